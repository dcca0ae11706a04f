"""The results of mutants: a measurement that was ended goes on where it stopped."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.bench.mutants.mutant import Mutant
from harness.bench.row_file import Row, RowFile

KILLED, SURVIVED, UNVIABLE = "killed", "survived", "unviable"
#: It compiles to the same libraries: no input can tell, or no code of this platform has it.
IDENTICAL = "identical"


class Ledger:
    """The results of one source, in ``folder``. Other threads may add to it.

    A row has the fields of the mutant, ``status``, ``by`` (the kill, or None), ``why`` (of an unviable one) and ``inputs``
    (their key). It also has ``failed`` (inputs on which the harness failed), ``reached`` (targets that run its place), ``seconds``
    and ``peers`` (for each, the killer or "").
    ``key`` names the source. A ``part`` ("2-of-8") has a file of its own, and the results of all parts are read.
    """

    def __init__(self, folder: Path, key: str, part: str = "", *, fresh: bool = False) -> None:
        self._file = RowFile(folder, key, part, ("id", "status", "inputs"), fresh=fresh)
        self._lock = threading.Lock()
        #: The newest result by id of the mutant.
        self.rows: dict[str, Row] = {row["id"]: row for row in self._file.rows}

    def replayed(self, mutant: Mutant, inputs: str) -> bool:
        """Whether it has a result of the replay that still holds. A survivor has one for the same inputs only."""
        row = self.rows.get(mutant.id)
        return row is not None and (row["status"] != SURVIVED or row["inputs"] == inputs)

    def lacking(self, mutant: Mutant, peers: Iterable[str]) -> list[str]:
        """Those of the ``peers`` that have not judged it yet."""
        row = self.rows.get(mutant.id) or {"status": "", "peers": {}}
        return (
            [name for name in peers if name not in row["peers"]] if row["status"] not in (UNVIABLE, IDENTICAL) else []
        )

    def add(self, mutant: Mutant, status: str, inputs: str, **fields: Any) -> Row:
        """Write the result of a mutant to the disk. Raises HarnessError where it cannot be written."""
        row: Row = {
            "id": mutant.id, "name": mutant.name, "file": mutant.file, "line": mutant.line, "function": mutant.function,
            "change": mutant.change, "status": status, "by": None, "why": "", "failed": 0, "inputs": inputs,
            "peers": {},
        } | fields  # fmt: skip
        with self._lock:
            self._file.add(row, f"the result of {mutant.name}", "goes on from here")
            self.rows[mutant.id] = row
        return row
