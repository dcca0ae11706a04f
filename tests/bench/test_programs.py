"""Programs are measured in a process of their own, on the release wheel."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.bench import programs
from harness.errors import EngineError
from harness.parsers.registry import Parser


def test_a_run_tells_its_rate_its_parts_and_how_many_are_valid(wheel_parser: Parser) -> None:
    said: list[str] = []
    found = programs.rates(wheel_parser.name, 1, 400, said.append)
    assert list(found) == ["writers"]
    for one in found.values():
        (row,) = one["rows"]
        assert one["median"] == row
        assert 0.5 < row["valid"] < 1
        assert row["rate"] > 0
        assert all(row[step] >= 0 for step in programs.STEPS)
        assert row["run"] > row["features"]
    assert len(said) == 1


def test_a_parser_that_is_not_there_is_an_error(project: Path) -> None:
    with pytest.raises(EngineError, match=r"(?s)cannot be measured: .*no parser nowhere"):
        programs.rates("nowhere", 1, 10, print)
