"""The results of mutants, one JSON object a line: a measurement that was ended goes on where it stopped."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.bench.mutants.mutant import Mutant
from harness.errors import HarnessError

KILLED, SURVIVED, UNVIABLE = "killed", "survived", "unviable"

#: One result: the fields of the mutant, ``status``, ``by`` (the kill, or None), ``why`` (of an unviable one), ``inputs`` (their
#: key), ``failed`` (inputs on which the harness failed), ``seconds``, ``peers`` (for each, the killer or "").
Row = dict[str, Any]


class Ledger:
    """The results of one source, in ``folder``. Other threads may add to it. Raises HarnessError where it cannot be written.

    ``key`` names the source. A ``part`` ("2-of-8") has a file of its own, and the results of all parts are read.
    """

    def __init__(self, folder: Path, key: str, part: str = "", *, fresh: bool = False) -> None:
        self._path = folder / f"{key}{part and '-'}{part}.jsonl"
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        files = sorted(folder.glob(f"{key}*.jsonl"), key=lambda path: path.stat().st_mtime)
        for path in files if fresh else ():
            path.unlink()
        #: The newest result by id of the mutant.
        self.rows: dict[str, Row] = {row["id"]: row for path in files for row in _rows(path)}

    def replayed(self, mutant: Mutant, inputs: str) -> bool:
        """Whether it has a result of the replay that still holds. A survivor has one for the same inputs only."""
        row = self.rows.get(mutant.id)
        return row is not None and (row["status"] != SURVIVED or row["inputs"] == inputs)

    def lacking(self, mutant: Mutant, peers: Iterable[str]) -> list[str]:
        """Those of the ``peers`` that have not judged it yet."""
        row = self.rows.get(mutant.id) or {"status": "", "peers": {}}
        return [name for name in peers if name not in row["peers"]] if row["status"] != UNVIABLE else []

    def add(self, mutant: Mutant, status: str, inputs: str, **fields: Any) -> Row:
        """Write the result of a mutant to the disk."""
        row: Row = {
            "id": mutant.id, "name": mutant.name, "file": mutant.file, "line": mutant.line, "function": mutant.function,
            "change": mutant.change, "status": status, "by": None, "why": "", "failed": 0, "inputs": inputs,
            "peers": {},
        } | fields  # fmt: skip
        with self._lock:
            try:
                with self._path.open("ab") as file:
                    # A full disk may have left part of an earlier line.
                    file.write(b"\n" + json.dumps(row).encode() + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                raise HarnessError(
                    f"the result of {mutant.name} cannot be written: {error.strerror}",
                    hint="make room, and run the same command again: it goes on from here",
                ) from error
            self.rows[mutant.id] = row
        return row


def _rows(path: Path) -> list[Row]:
    """The whole lines of the file."""
    found = []
    for line in path.read_bytes().splitlines() if path.is_file() else ():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and {"id", "status", "inputs"} <= row.keys():
            found.append(row)
    return found
