"""Which call of its program a process is at, in one byte of memory that outlives it.

A target that runs programs takes the cell when it is opened and writes the number of each call, from 1, before it makes it.
Whoever supervises the process has put the cell in shared memory before (:func:`use`), and reads it after a death.
"""

from __future__ import annotations

_cell = memoryview(bytearray(1))


def use(cell: memoryview) -> None:
    """Let targets that are opened from now on write to ``cell[0]``."""
    global _cell
    _cell = cell


def cell() -> memoryview:
    """The byte to write to; one that nobody reads where none was set."""
    return _cell
