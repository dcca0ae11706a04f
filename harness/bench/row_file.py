"""Results of a long measurement in files, one JSON object a line. A measurement that was ended goes on where it stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from harness.errors import HarnessError

#: One result.
Row = dict[str, Any]


class RowFile:
    """The results in ``folder`` whose files begin with ``key``.

    A ``part`` ("2-of-8") writes to a file of its own, and the results of all parts are read. ``fields`` are those of every row: a
    line without them is skipped. ``fresh`` removes the files.
    """

    def __init__(self, folder: Path, key: str, part: str, fields: Collection[str], *, fresh: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{key}{part and '-'}{part}.jsonl"
        files = sorted(folder.glob(f"{key}*.jsonl"), key=lambda path: path.stat().st_mtime)
        for path in files if fresh else ():
            path.unlink()
        #: The rows that were there, the oldest file first.
        self.rows: list[Row] = [row for path in files if path.is_file() for row in _rows(path, frozenset(fields))]

    def add(self, row: Row, name: str, again: str) -> None:
        """Write a row to the disk. Raises HarnessError with ``name`` of the result and what happens ``again`` where it cannot."""
        try:
            with self._path.open("ab") as file:
                # A full disk may have left part of an earlier line.
                file.write(b"\n" + json.dumps(row).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise HarnessError(
                f"{name} cannot be written: {error.strerror}",
                hint=f"make room, and run the same command again: it {again}",
            ) from error


def part_name(part: tuple[int, int]) -> str:
    """The part K of N as ("K-of-N"); "" where there is one part."""
    number, of = part
    return "" if of == 1 else f"{number}-of-{of}"


def _rows(path: Path, fields: frozenset[str]) -> list[Row]:
    """The whole lines of the file."""
    found = []
    for line in path.read_bytes().splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and row.keys() >= fields:
            found.append(row)
    return found
