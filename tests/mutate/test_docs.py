"""docs/mutators.md and the operators tell the same story."""

from __future__ import annotations

from pathlib import Path

from harness.format.tree import SOUND
from harness.mutate import OPERATORS
from harness.mutate.schedule import _SHARES

PAGE = (Path(__file__).parents[2] / "docs" / "mutators.md").read_text()


def test_every_operator_has_its_row_and_there_are_no_others() -> None:
    rows = {line for line in PAGE.splitlines() if line.startswith("| `")}
    assert rows == {f"| `{name}` | {op.family} | {op.summary} |" for name, op in OPERATORS.items()}


def test_the_parts_of_families_are_those_of_the_schedule() -> None:
    for family, share in _SHARES[SOUND].items():
        (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| {family} |")]
        assert row.endswith(f"| {share:.0%} |".replace("%", " %"))
