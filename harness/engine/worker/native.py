"""The edge counters of the instrumented module, read directly from memory.

The start-up check and corpus tools need the edges that one input reaches, without libFuzzer. The sancov counters are a
section of the extension module. Their address is the module's load address plus the section's address in the file (ELF-64,
System V gABI chapter 4).
"""

from __future__ import annotations

import ctypes
import struct
from pathlib import Path

from harness.errors import EngineError

_SECTION = b"__sancov_cntrs"


def section(path: Path, name: bytes) -> tuple[int, int]:
    """Address and size of the section ``name`` of an ELF-64 file. Raises EngineError where there is none."""
    raw = path.read_bytes()
    if raw[:5] != b"\x7fELF\x02":
        raise EngineError(f"{path.name} is no 64-bit ELF module")
    (table,) = struct.unpack_from("<Q", raw, 0x28)
    entry, count, names = struct.unpack_from("<HHH", raw, 0x3A)

    def header(index: int) -> tuple[int, ...]:
        return struct.unpack_from("<IIQQQQ", raw, table + index * entry)

    strings = header(names)[4]
    for index in range(count):
        offset, _, _, address, _, size = header(index)
        if raw[strings + offset : raw.index(b"\0", strings + offset)] == name:
            return address, size
    raise EngineError(
        f"{path.name} has no coverage counters", hint="build an instrumented parser: harness build; then harness doctor"
    )


def load_address(path: Path) -> int:
    """The address of the module at ``path`` in this process. Raises EngineError where it is not loaded."""
    real = str(path.resolve())
    for line in Path("/proc/self/maps").read_text().splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5] == real and int(fields[2], 16) == 0:
            return int(fields[0].split("-")[0], 16)
    raise EngineError(f"{path.name} is not loaded in this process")


class NativeCounters:
    """The 8-bit edge counters of the extension module at ``path``, loaded in this process."""

    def __init__(self, path: Path) -> None:
        address, size = section(path, _SECTION)
        #: Where they lie in this process, and how many bytes they are.
        self.address = load_address(path) + address
        self.size = size
        self._table = (ctypes.c_uint8 * size).from_address(self.address)
        #: The counters as bytes, readable and writable.
        self.view = memoryview(self._table).cast("B")

    def clear(self) -> None:
        """Set every counter to zero."""
        ctypes.memset(self._table, 0, self.size)

    def touched(self) -> bool:
        """Whether any edge was reached since :meth:`clear`. libFuzzer clears the counters before each execution."""
        return bytes(self._table).count(0) < self.size

    def edges(self) -> frozenset[int]:
        """The edges reached since :meth:`clear`."""
        return frozenset(index for index, count in enumerate(bytes(self._table)) if count)
