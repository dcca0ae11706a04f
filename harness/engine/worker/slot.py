"""The input under test in shared memory, where it stays when the worker is killed.

The slot is a file in a memory file system: ``u32 length``, one byte for the number of the current call of a program, three
unused bytes, then the input. The worker maps the file. The supervisor reads it after the worker's death.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path

_LENGTH = struct.Struct("<IB3x")


class Slot:
    """The worker's side. ``put`` costs two small copies."""

    def __init__(self, path: Path, capacity: int) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            # Allocate the pages now: in a full memory file system, the first write to one would be a SIGBUS.
            os.posix_fallocate(descriptor, 0, capacity + _LENGTH.size)
            self._map = mmap.mmap(descriptor, capacity + _LENGTH.size)
        finally:
            os.close(descriptor)
        self.view = memoryview(self._map)

    def put(self, data: bytes) -> None:
        """Store ``data`` with the call number 0. Raises ValueError where it is longer than the capacity."""
        size = len(data) + 8
        self.view[:size] = len(data).to_bytes(8, "little") + data

    def get(self) -> bytes:
        """The last stored input, for a forked child."""
        return bytes(self.view[8 : 8 + int.from_bytes(self.view[:4], "little")])

    @property
    def cell(self) -> memoryview:
        """The byte in which a target counts its calls (:mod:`harness.programs.progress`)."""
        return self.view[4:5]


def read(path: Path) -> tuple[bytes | None, int]:
    """The last input of a dead worker (None before the first), and the number of its last call (0 before the first)."""
    raw = path.read_bytes() if path.exists() else b""
    if len(raw) < _LENGTH.size:
        return None, 0
    length, call = _LENGTH.unpack_from(raw)
    return (raw[8 : 8 + length], call) if 0 < length <= len(raw) - 8 else (None, 0)
