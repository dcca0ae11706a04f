from __future__ import annotations

from pathlib import Path

from harness.bench.mutants import survivors
from harness.bench.mutants.ledger import KILLED, Ledger
from harness.bench.mutants.mutant import Mutant


def _mutant(line: int, function: str) -> Mutant:
    return Mutant("safetensors/src/slice.rs", line, 1, function, "replace + with -", 0, 1, "-")


def test_the_targets_of_a_campaign_are_those_that_killed_the_neighbours(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "key")
    kills = [(1, "f", "slices"), (2, "f", "crate"), (3, "f", "crate"), (4, "g", "writers")]
    for line, function, target in kills:
        ledger.add(_mutant(line, function), KILLED, "inputs", by={"target": target})
    assert survivors._targets(_mutant(9, "f"), ledger) == ["crate", "slices"]
    assert survivors._targets(_mutant(9, "new"), ledger) == ["crate", "slices", "writers"]


def test_where_no_neighbour_was_killed_they_are_those_that_reach_the_file(tmp_path: Path) -> None:
    targets = survivors._targets(_mutant(9, "f"), Ledger(tmp_path, "key"))
    assert {"slices", "crate"} <= set(targets)
