"""The bugs of the range: as many of each sort as promised, and every edit fits the released source."""

from __future__ import annotations

from collections import Counter

from harness.bench.range import bugs
from harness.parsers import fixes, sources
from harness.parsers.registry import Parser

BUGS = bugs.bugs()


def test_there_are_32_of_graded_depth() -> None:
    assert [bug.number for bug in BUGS] == list(range(1, 33))
    assert len({bug.name for bug in BUGS}) == len({bug.title for bug in BUGS}) == 32
    assert Counter(bug.level for bug in BUGS) == {"simple": 8, "fields": 8, "deep": 16}
    assert {bug.kind for bug in BUGS} == set(bugs.KINDS)


def test_half_derive_from_upstream_and_the_predictions_stand() -> None:
    assert sum(bool(bug.origin) for bug in BUGS) >= 16
    misses = Counter(word for bug in BUGS for word in bug.misses)
    assert misses.keys() == {bugs.BYTES, bugs.ABLATED}
    assert misses[bugs.BYTES] >= 10
    assert misses[bugs.ABLATED] >= 5


def test_every_bug_is_planted() -> None:
    assert bugs.numbers(bugs.planted().edits) == [bug.number for bug in BUGS]


def test_the_edits_fit_the_released_source_together(sancov_parser: Parser) -> None:
    planted = bugs.planted()
    for file in fixes.touched([planted]):
        path = sources.find(sancov_parser.source, file)
        assert path is not None
        edits = [(planted.name, edit) for edit in planted.edits if edit.file == file]
        text = fixes.edited(path.read_text(encoding="utf-8"), edits, file)
        if file.endswith(".py"):
            compile(text, file, "exec")
