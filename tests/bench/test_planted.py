"""The planted bugs: three of each kind, and every edit fits the released source."""

from __future__ import annotations

from collections import Counter

import pytest

from harness.bench import planted
from harness.parsers import fixes, sources
from harness.parsers.registry import Parser

BUGS = [bug for name in planted.SETS for bug in planted.bugs(name)]


@pytest.mark.parametrize("name", planted.SETS)
def test_there_are_three_of_each_kind(name: str) -> None:
    bugs = planted.bugs(name)
    assert Counter(bug.kind for bug in bugs) == dict.fromkeys(planted.KINDS, 3)
    assert len({bug.name for bug in BUGS}) == len(BUGS)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_every_edit_changes_the_source(bug: planted.Bug, sancov_parser: Parser) -> None:
    for edit in bug.edits:
        path = sources.find(sancov_parser.source, edit.file)
        assert path is not None
        text = path.read_text(encoding="utf-8")
        assert fixes.edited(text, [(bug.name, edit)], edit.file) != text
