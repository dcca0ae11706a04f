"""The trials that are done: a measurement that was ended goes on with the next trial."""

from __future__ import annotations

from pathlib import Path

from harness.bench.peers.trial import Plan
from harness.bench.row_file import Row, RowFile

_FIELDS = ("id", "peer", "bugs", "budget", "cpu_seconds", "reached", "triggered", "detected", "calls", "deep")


class Ledger:
    """The trials on one build, in ``folder``. A row is the result of :func:`harness.bench.peers.trial.run`.

    ``key`` names the build. A ``part`` ("2-of-8") has a file of its own, and the trials of all parts are read.
    """

    def __init__(self, folder: Path, key: str, part: str = "", *, fresh: bool = False) -> None:
        self._file = RowFile(folder, key, part, _FIELDS, fresh=fresh)
        self._rows = {row["id"]: row for row in self._file.rows}

    def row(self, plan: Plan) -> Row | None:
        """The result of a trial, where it is done."""
        return self._rows.get(plan.id)

    def add(self, row: Row) -> None:
        """Write a result to the disk. Raises HarnessError where it cannot be written."""
        self._file.add(row, f"the trial {row['id']}", "repeats this trial")
        self._rows[row["id"]] = row
