"""The number of the current call of a program, in one byte of memory that outlives the process.

A target of programs takes the cell when it opens. It writes the number of each call, from 1, before the call. The supervisor
of the process puts the cell into shared memory first (:func:`use`), and reads it after a death.
"""

from __future__ import annotations

import mmap

# Shared with forked children.
_cell = memoryview(mmap.mmap(-1, 1))


def use(cell: memoryview) -> None:
    """Let targets that open from now on write to ``cell[0]``."""
    global _cell
    _cell = cell


def cell() -> memoryview:
    """The byte to write to; a private one by default."""
    return _cell
