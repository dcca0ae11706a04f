"""The input under test, in shared memory while it runs: a worker that is killed leaves it behind at no cost.

The slot is a file in a memory file system: ``u32 length``, one byte for the number of the call that a program is at, three
unused, then the bytes. The worker maps it; whoever supervises reads it after the worker's death.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path

_LENGTH = struct.Struct("<IB3x")


class Slot:
    """The worker's side: ``put`` costs two small copies."""

    def __init__(self, path: Path, capacity: int) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            # Its pages are taken now: in a full memory file system a later first write would be a SIGBUS.
            os.posix_fallocate(descriptor, 0, capacity + _LENGTH.size)
            self._map = mmap.mmap(descriptor, capacity + _LENGTH.size)
        finally:
            os.close(descriptor)
        self.view = memoryview(self._map)

    def put(self, data: bytes) -> None:
        """Store ``data``, at no call yet; longer than the capacity raises ValueError."""
        size = len(data) + 8
        self.view[:size] = len(data).to_bytes(8, "little") + data

    def get(self) -> bytes:
        """What was stored last, as a forked child reads it."""
        return bytes(self.view[8 : 8 + int.from_bytes(self.view[:4], "little")])

    @property
    def cell(self) -> memoryview:
        """Where a target writes the number of the call it is at (:mod:`harness.programs.progress`)."""
        return self.view[4:5]


def read_slot(path: Path) -> bytes | None:
    """The input a dead worker was running, or None when it had not started one."""
    return read(path)[0]


def read(path: Path) -> tuple[bytes | None, int]:
    """The same, and the number of the call it was at: 0 where it had not begun any."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None, 0
    if len(raw) < _LENGTH.size:
        return None, 0
    length, call = _LENGTH.unpack_from(raw)
    return (raw[8 : 8 + length], call) if 0 < length <= len(raw) - 8 else (None, 0)
