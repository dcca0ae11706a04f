"""The bytes of the tensors of target ``sizes``: each depends on its place, and memory of 4 GiB takes a few megabytes.

Up to :data:`DENSE` bytes, each word of eight bytes is another one. Beyond, the memory has *marks*: 64 such bytes at least once
in each MiB, on another page each time, and on both sides of each power of two. The rest is zeros that no page holds. A block
that is misplaced, repeated or left out therefore shows, and every byte of a reading is compared.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy

from harness.targets.sizes.program import DATA_CAP, Content, Tensor

#: Most bytes of a memory without holes.
DENSE = 96 << 20
#: Bytes that are compared, written or read at a time.
CHUNK = 1 << 22
_MARK, _STRIDE, _PAGE = 64, 1 << 20, mmap.PAGESIZE
#: Odd, so that each word has another product: the golden ratio in 64 bits (Knuth, volume 3, section 6.4).
_FACTOR = 0x9E3779B97F4A7C15
_SIZES = (1 << 18, 1 << 22, 1 << 25, DENSE)
#: Python 3.11 does not name it; the number is that of Linux.
_NORESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)
_libc = ctypes.CDLL(None, use_errno=True)


def memory(content: Content) -> Any:
    """The memory of a writer, as an array of bytes. It is read-only, also for the parser."""
    if content.memory > DENSE:
        return _sparse(content.memory)
    # One memory for all programs: tensors at the same place have the same bytes.
    return _dense(next(size for size in _SIZES if content.memory <= size))[: content.memory]


def pieces(content: Content, tensor: Tensor) -> Iterator[tuple[int, int]]:
    """The ranges of a tensor that are no holes, from its first byte on."""
    if content.memory <= DENSE:
        yield 0, tensor.size
        return
    first, last = tensor.place, tensor.place + tensor.size
    for begin in _marks(content.memory):
        if first < begin + _MARK and begin < last:
            yield max(begin, first) - first, min(begin + _MARK, last) - first


def difference(value: Any, wanted: Any) -> int:
    """The first place where two arrays of bytes of one length differ; -1 where they are equal."""
    for at in range(0, len(wanted), CHUNK):
        one, other = value[at : at + CHUNK], wanted[at : at + CHUNK]
        if not numpy.array_equal(one, other):
            return at + int(numpy.flatnonzero(one != other)[0])
    return -1


@lru_cache(len(_SIZES))
def _dense(size: int) -> Any:
    made = _mapped(size)
    made.view("<u8")[:] = numpy.arange(1, (len(made) >> 3) + 1, dtype="<u8") * numpy.uint64(_FACTOR)
    return _protected(made)


@lru_cache(1)
def _sparse(size: int) -> Any:
    made = _mapped(size)
    for at in _marks(size):
        words = numpy.arange(at + 1, at + 1 + _MARK // 8, dtype="<u8") * numpy.uint64(_FACTOR)
        made[at : at + _MARK] = words.view("u1")[: size - at]
    return _protected(made)


@lru_cache(2)
def _marks(size: int) -> tuple[int, ...]:
    """Where marks begin, in order."""
    pages = _STRIDE // _PAGE - 1
    found = {at + at // _STRIDE * 97 % pages * _PAGE for at in range(0, size, _STRIDE)} | {max(0, size - _MARK)}
    for bits in range(12, DATA_CAP.bit_length()):
        found |= {1 << bits, (1 << bits) - _MARK}
    return tuple(sorted(at for at in found if at < size))


def _mapped(size: int) -> Any:
    """New memory whose pages exist when they are written; a page that is read alone takes none."""
    made = mmap.mmap(-1, max(size, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NORESERVE)
    made.madvise(mmap.MADV_NOHUGEPAGE)
    return numpy.frombuffer(made, "u1")[:size]


def _protected(made: Any) -> Any:
    """The same memory, read-only: it counts no more as memory that this process may fill (RLIMIT_DATA)."""
    if _libc.mprotect(ctypes.c_void_p(made.ctypes.data), ctypes.c_size_t(len(made)), mmap.PROT_READ):
        raise OSError(ctypes.get_errno(), "mprotect")
    made.flags.writeable = False
    return made
