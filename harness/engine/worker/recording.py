"""The inputs of a run in one file. The bench executes them again to measure the cost of mutator and oracles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

# A fair mix of inputs that still fits in memory.
MOST = 50_000
_LENGTH = 4


class Recorder:
    """Wraps a callback. It passes every input on, and writes :data:`MOST` of them to ``path`` after the first ``skip``."""

    def __init__(self, path: Path, execute: Callable[[bytes], None], *, skip: int = 0) -> None:
        self._skip = skip
        self._execute = execute
        self._file = path.open("wb", buffering=1 << 20)
        self._left = MOST

    def __call__(self, data: bytes) -> None:
        """Write one input, then run it: the last run ends the process."""
        if self._skip > 0:
            self._skip -= 1
        elif self._left:
            self._file.write(len(data).to_bytes(_LENGTH, "little") + data)
            self._left -= 1
            if not self._left:
                self.close()
        self._execute(data)

    def close(self) -> None:
        """Flush and close the file."""
        self._file.close()
        self._left = 0


def read(path: Path) -> list[bytes]:
    """The inputs in ``path`` in their order, without a cut last one."""
    raw = path.read_bytes()
    inputs: list[bytes] = []
    place = 0
    while place + _LENGTH <= len(raw):
        size = int.from_bytes(raw[place : place + _LENGTH], "little")
        place += _LENGTH
        if place + size <= len(raw):
            inputs.append(raw[place : place + size])
        place += size
    return inputs
