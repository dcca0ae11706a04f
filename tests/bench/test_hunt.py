"""Findings of a hunt are tried in turns of their targets, until one shows on the build with the bug alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.bench import hunt
from harness.errors import EngineError
from harness.findings import store
from harness.findings.finding import Finding
from harness.findings.store import Stored
from harness.oracles import contract
from harness.parsers.registry import Parser
from harness.triage import compare_builds


def test_a_finding_behind_many_that_do_not_repeat_is_tried_at_the_first_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sancov_parser: Parser
) -> None:
    def add(aspect: str, target: str) -> None:
        store.add(
            tmp_path, Finding(contract.RAISED, aspect, "s", target=target), b"x", parser=sancov_parser.name, seed=1
        )

    for number in range(20):
        add(f"NoSuchError{number}", "deserialize")
    add("OtherError", "slices")
    failing = [True]

    def compare(findings: Sequence[Stored], other: Parser) -> Iterator[tuple[Stored, str]]:
        for one in findings:
            if failing.pop():
                raise EngineError("a process does not start in time")
            failing.append(False)
            yield one, compare_builds.ONLY_HERE if one.target == "slices" else compare_builds.NOT_AGAIN

    monkeypatch.setattr(compare_builds, "compare", compare)
    row: dict[str, Any] = {"found": ""}
    tried: set[str] = set()
    assert hunt._look(tmp_path, sancov_parser, tried, row)
    assert (row, tried) == ({"found": ""}, set())
    failing[:] = [False]
    assert hunt._look(tmp_path, sancov_parser, tried, row)
    assert row["target"] == "slices"
    assert row["found"].endswith("OtherError")
    assert len(tried) <= 2
    # Nothing new is left in an empty folder.
    assert not hunt._look(tmp_path / "empty", sancov_parser, set(), {"found": ""})
