"""The input under test in shared memory, where it stays when the worker is killed.

The slot is a file in a memory file system: ``u32 length``, one byte for the number of the current call of a program, three
bytes for the number of the execution, then the input. The worker maps the file. The supervisor reads it after the worker's death.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path

_HEAD = struct.Struct("<IB3s")
_SIZE = _HEAD.size
# The number of an execution is stored without its higher bits.
_ROUND = 1 << 24


class Slot:
    """The worker's side. ``put`` costs two small copies."""

    def __init__(self, path: Path, capacity: int) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            # Allocate the pages now: in a full memory file system, the first write to one would be a SIGBUS.
            os.posix_fallocate(descriptor, 0, capacity + _SIZE)
            self._map = mmap.mmap(descriptor, capacity + _SIZE)
        finally:
            os.close(descriptor)
        self.view = memoryview(self._map)

    def put(self, data: bytes, number: int) -> None:
        """Store ``data``, the input of execution ``number``, with call 0. Raises ValueError where it is longer than the capacity."""
        size = len(data)
        self.view[: size + 8] = (size | (number & 0xFFFFFF) << 40).to_bytes(8, "little") + data

    def put_other(self, data: bytes) -> None:
        """Store another input of the same execution, with call 0."""
        self.put(data, int.from_bytes(self.view[5:8], "little"))

    def get(self) -> bytes:
        """The last stored input, for a forked child."""
        return bytes(self.view[8 : 8 + int.from_bytes(self.view[:4], "little")])

    @property
    def cell(self) -> memoryview:
        """The byte in which a target counts its calls (:mod:`harness.programs.progress`)."""
        return self.view[4:5]


def read(path: Path) -> tuple[bytes | None, int]:
    """The last input of a dead worker (None before the first), and the number of its last call (0 before the first)."""
    raw = _whole(path)
    if len(raw) < _SIZE:
        return None, 0
    length, call, _ = _HEAD.unpack_from(raw)
    return (raw[8 : 8 + length], call) if 0 < length <= len(raw) - 8 else (None, 0)


def execution(path: Path, least: int) -> int:
    """The number of the last execution of a dead worker. ``least``: the number in its last status, less than 16 million before."""
    raw = _whole(path)
    if len(raw) < _SIZE:
        return least
    number = int.from_bytes(_HEAD.unpack_from(raw)[2], "little")
    return least + (number - least) % _ROUND


def _whole(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""
