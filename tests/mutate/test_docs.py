"""docs/mutators.md and the operators tell the same story."""

from __future__ import annotations

from pathlib import Path

from harness.mutate import OPERATORS

PAGE = (Path(__file__).parents[2] / "docs" / "mutators.md").read_text()


def test_every_operator_has_its_row_and_there_are_no_others() -> None:
    rows = {line for line in PAGE.splitlines() if line.startswith("| `")}
    assert rows == {f"| `{name}` | {op.family} | {op.summary} |" for name, op in OPERATORS.items()}
