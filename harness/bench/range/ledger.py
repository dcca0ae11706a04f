"""The attempts that are done: a measurement that was ended goes on with the next attempt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.bench.range.attempt import Plan
from harness.bench.row_file import Row, RowFile

_FIELDS = ("id", "bugs", "budget", "cpu_seconds", "detected", "counts")


class Ledger:
    """The attempts on one build, in ``folder``. A row is the result of :func:`harness.bench.range.attempt.run`.

    ``key`` names the build. A ``part`` ("2-of-8") has a file of its own, and the attempts of all parts are read.
    """

    def __init__(self, folder: Path, key: str, part: str = "", *, fresh: bool = False) -> None:
        self._file = RowFile(folder, key, part, _FIELDS, fresh=fresh)
        self._rows = {_id(row["id"], row["bugs"]): row for row in self._file.rows}

    def row(self, plan: Plan) -> Row | None:
        """The result of an attempt, where it was done with the same bugs and did not fail."""
        row = self._rows.get(_id(plan.id, [bug.number for bug in plan.bugs]))
        return None if row is None or row["failed"] else row

    def add(self, row: Row) -> None:
        """Write a result to the disk. Raises HarnessError where it cannot be written."""
        self._file.add(row, f"the attempt {row['id']}", "repeats this attempt")
        self._rows[_id(row["id"], row["bugs"])] = row


def _id(name: str, numbers: Sequence[int]) -> tuple[str, tuple[int, ...]]:
    return name, tuple(numbers)
