"""Arrays moved to other memory, and to a guard page: an inaccessible page at which a read beyond the array ends the process.

Reproducers carry the functions as source, so they use numpy and the standard library alone.
"""

from __future__ import annotations

import ctypes
import mmap
from typing import Any

import numpy


def extent(x: Any) -> tuple[int, int]:
    """The address of the first byte of an array, and that after its last byte; equal where it has no elements."""
    low = high = x.__array_interface__["data"][0]
    if not x.size:
        return low, high
    for size, stride in zip(x.shape, x.strides, strict=True):
        if stride < 0:
            low += (size - 1) * stride
        else:
            high += (size - 1) * stride
    return low, high + x.itemsize


def moved(x: Any, room: Any) -> Any:
    """An equal array of the same type and strides, with its extent in ``room``, an array of as many bytes."""
    low, high = extent(x)
    ctypes.memmove(room.ctypes.data, low, high - low)
    first = x.__array_interface__["data"][0] - low
    y: Any = numpy.ndarray(x.shape, x.dtype, room, first, x.strides)
    if isinstance(x, numpy.ma.MaskedArray):
        return numpy.ma.masked_array(y, mask=x.mask)
    y.flags.writeable = x.flags.writeable
    return y if type(x) is numpy.ndarray else y.view(type(x))


def at_guard(x: Any, end: bool = True, fill: int = 0) -> Any:
    """The array, moved before a guard page, or behind one; the rest of its memory holds ``fill``."""
    low, high = extent(x)
    size = -(-(high - low) // 4096) * 4096 or 4096
    memory = numpy.frombuffer(mmap.mmap(-1, size + 8192, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), "uint8")
    memory[:] = fill
    for place in (0, size + 4096):
        ctypes.CDLL(None).mprotect(ctypes.c_void_p(memory.ctypes.data + place), ctypes.c_size_t(4096), 0)
    start = 4096 + (size - (high - low) if end else 0)
    return moved(x, numpy.ndarray((high - low,), "uint8", memory, start))
