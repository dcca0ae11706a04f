"""The trials that are done, one JSON object a line: a measurement that was ended goes on with the next trial."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from harness.bench.peers.trial import Plan
from harness.errors import HarnessError

#: The result of a trial, as :func:`harness.bench.peers.trial.run` gives it.
Row = dict[str, Any]
_FIELDS = frozenset(
    {"id", "peer", "bugs", "budget", "cpu_seconds", "reached", "triggered", "detected", "calls", "deep"}
)


class Ledger:
    """The trials on one build, in ``folder``. Raises HarnessError where it cannot be written.

    ``key`` names the build. A ``part`` ("2-of-8") has a file of its own, and the trials of all parts are read.
    """

    def __init__(self, folder: Path, key: str, part: str = "", *, fresh: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{key}{part and '-'}{part}.jsonl"
        files = sorted(folder.glob(f"{key}*.jsonl"), key=lambda path: path.stat().st_mtime)
        for path in files if fresh else ():
            path.unlink()
        self._rows = {row["id"]: row for path in files if path.is_file() for row in _rows(path)}

    def row(self, plan: Plan) -> Row | None:
        """The result of a trial, where it is done."""
        return self._rows.get(plan.id)

    def add(self, row: Row) -> None:
        """Write a result to the disk."""
        try:
            with self._path.open("ab") as file:
                # A full disk may have left part of an earlier line.
                file.write(b"\n" + json.dumps(row).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise HarnessError(
                f"the trial {row['id']} cannot be written: {error.strerror}",
                hint="make room, and run the same command again: it repeats this trial",
            ) from error
        self._rows[row["id"]] = row


def _rows(path: Path) -> list[Row]:
    """The whole lines of the file."""
    found = []
    for line in path.read_bytes().splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and row.keys() >= _FIELDS:
            found.append(row)
    return found
