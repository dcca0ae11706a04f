"""Memory for the values of programs, with a guard page at one end and a fill all round.

A program hands its buffers to the parser through this module. In a normal run they stay where they are. Between
:func:`use` and ``use(None)`` each of them is copied into memory of its own: before an inaccessible page, or behind one. A
read beyond the buffer then ends the process. The rest of its page, and new and freed memory of the C library, of Python
and of numpy, hold one byte, the *fill*. So bytes that are no part of the program change with the fill.

Buffers begin at the address that their alignment asks for. Objects of Python (dtype ``object``) stay where they are.

Needs ``mprotect`` and ``mallopt`` of glibc; :func:`why_not` says what is missing. Use from one thread, in a process that may die.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import sys
from functools import cache
from typing import Any, NamedTuple

import numpy

from harness.programs.at_guard import extent, moved

#: Bytes of a page.
PAGE = mmap.PAGESIZE
# Places for buffers of one page, and of a larger size. Old ones are used again, so that nothing is unmapped that is in use.
_PLACES, _FEW = 256, 16
#: Most pages of one buffer; a larger one stays where it is.
MOST_PAGES = 256
_M_PERTURB = -6
# The head of a bytes object; a zero follows its bytes.
_HEAD = bytes.__basicsize__ - 1
_REFERENCES = 1 << 30
# From 3.14 on CPython keeps marks in the low bits of the address of an object.
_ALIGNMENT = 8 if sys.version_info >= (3, 14) else 1
# The bytes behind an array that is apart from others.
_BEHIND = 0xC3
# Sizes of small blocks that Python and numpy keep for themselves.
_PYTHON_SIZES = tuple(range(2, 480, 16))
_NUMPY_SIZES = (*range(1, 65), *range(68, 257, 4), *range(264, 513, 8))


class Memory(NamedTuple):
    """How buffers lie: at which ``edge`` of them the guard page is, and the byte that is all round."""

    edge: str
    fill: int

    @property
    def at_end(self) -> bool:
        """Whether the guard page follows the buffer; else it comes before."""
        return self.edge == END


END, START = "past the end", "before the start"
#: The memory of the two runs of a program that are compared. The fills differ in every bit.
RUNS = (Memory(END, 0xA5), Memory(START, 0x5A))
_current: Memory | None = None
# The files with a filled last page, by descriptor, each with its inode.
_tails: dict[int, int] = {}


def current() -> Memory | None:
    """The memory in use; None in a normal run."""
    return _current


@cache
def why_not() -> str:
    """Why programs cannot run in guarded memory on this machine, as a clause, or ""."""
    library = ctypes.CDLL(None)
    lacking = [name for name in ("mprotect", "mallopt") if not hasattr(library, name)]
    if lacking:
        return f"the C library has no {' and no '.join(lacking)}"
    if hasattr(library, "__asan_init"):
        return "AddressSanitizer has guards of its own"
    try:
        _Ring(1, 1)
    except OSError as error:
        return f"the kernel protects no page: {error.strerror}"
    return ""


def environment() -> dict[str, str]:
    """Variables for a process that is to run programs in guarded memory.

    The C library keeps freed blocks for each thread, and fills none of these. It is told to keep none.
    """
    tunables = [os.environ.get("GLIBC_TUNABLES", ""), "glibc.malloc.tcache_count=0"]
    return {"GLIBC_TUNABLES": ":".join(filter(None, tunables))}


def use(memory: Memory | None) -> None:
    """Lay buffers into ``memory`` from now on, and fill what is free in this process. None: leave them where they are."""
    global _current
    _current = memory
    for descriptor, inode in _tails.items():
        _clear(descriptor, inode)
    _tails.clear()
    ctypes.CDLL(None).mallopt(_M_PERTURB, memory.fill if memory else 0)
    if memory is not None:
        _paint(memory.fill)


def _clear(descriptor: int, inode: int) -> None:
    """Clear the last page behind the end of a file, if it is still open: others may use it."""
    with contextlib.suppress(OSError):
        found = os.fstat(descriptor)
        if found.st_ino == inode:
            os.ftruncate(descriptor, -(-found.st_size // PAGE) * PAGE)
            os.ftruncate(descriptor, found.st_size)


def _paint(fill: int) -> None:
    """Fill the small blocks that Python and numpy have freed and will give out next."""
    octet = bytes((fill,))
    source = numpy.full(_NUMPY_SIZES[-1], fill, "uint8")
    # All are held at once, so that each is a block of its own. All are free when this function ends.
    _held = [octet * size for size in _PYTHON_SIZES for _ in range(4)]
    _arrays = [source[:size].copy() for size in _NUMPY_SIZES for _ in range(2)]


class _Ring:
    """Places of equal size in one mapping, with a guard page on either side of each. They are given out in turn."""

    def __init__(self, pages: int, places: int) -> None:
        self._size = pages * PAGE
        self._step = self._size + PAGE
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        self._memory = numpy.frombuffer(mmap.mmap(-1, places * self._step + PAGE, flags=flags), "uint8")
        self._places, self._next = places, 0
        library = ctypes.CDLL(None, use_errno=True)
        for place in range(places + 1):
            address = self._memory.ctypes.data + place * self._step
            if library.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(PAGE), 0):
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))

    def place(self) -> Any:
        """The bytes of the next place."""
        start = self._next * self._step + PAGE
        self._next = (self._next + 1) % self._places
        return self._memory[start : start + self._size]


@cache
def _ring(pages: int) -> _Ring:
    return _Ring(pages, _PLACES if pages == 1 else _FEW)


def _room(size: int, memory: Memory, gap: int = 0) -> Any:
    """``size`` bytes of memory at a guard page, or ``gap`` bytes away from one. None where they are too many."""
    pages = -(-(size + gap) // PAGE) or 1
    if pages > MOST_PAGES:
        return None
    place = _ring(1 << (pages - 1).bit_length()).place()
    place[:] = memory.fill
    start = len(place) - size - gap if memory.at_end else gap
    # A slice without elements would be at the start of its base.
    return numpy.ndarray((size,), "uint8", place, start)


def block(data: bytes) -> Any:
    """Memory that holds ``data``, as an array of bytes; guarded where a memory is in use."""
    room = None if _current is None else _room(len(data), _current)
    if room is None:
        return numpy.frombuffer(bytearray(data), "uint8")
    room[:] = numpy.frombuffer(data, "uint8")
    return room


def text(data: bytes) -> bytes:
    """The bytes object ``data`` in guarded memory, where a memory is in use.

    A bytes object ends with a zero of its own, and begins with a head. So a read shows that goes two bytes past the end,
    or past the head. Where objects must be aligned, up to seven bytes of the fill lie between its end and the guard page.
    """
    size = _HEAD + len(data) + 1
    if _current is None or sys.getsizeof(data) != size:
        return data
    room = _room(size, _current, -size % _ALIGNMENT if _current.at_end else 0)
    if room is None:
        return data
    address = room.ctypes.data
    ctypes.memmove(address, id(data), len(room))
    # More references than anybody drops: Python must not free this memory.
    ctypes.c_ssize_t.from_address(address).value = _REFERENCES
    made: bytes = ctypes.cast(address, ctypes.py_object).value
    return made


def array(value: Any) -> Any:
    """An equal array in guarded memory, where a memory is in use: of the same type, with the same strides.

    Its memory reaches from its first byte to its last one. The bytes between its elements stay what they are. Other values
    are given back as they are, but a memoryview of an array is one of the moved array.
    """
    memory = _current
    if memory is None:
        return value
    if isinstance(value, memoryview) and isinstance(value.obj, numpy.ndarray):
        return memoryview(array(value.obj))
    if not isinstance(value, numpy.ndarray) or _opaque(value):
        return value
    low, high = extent(value)
    room = _room(high - low, memory, 0 if value.flags.aligned else 1)
    return value if room is None else moved(value, room)


def apart(value: Any) -> Any:
    """An equal array with as many bytes of ours behind its memory as it has elements' bytes.

    A call that ignores strides reads ``nbytes`` bytes from the first element on. In a normal run it then reads the same bytes
    each time, and never dies.
    """
    if not isinstance(value, numpy.ndarray) or _opaque(value):
        return value
    low, high = extent(value)
    return moved(value, numpy.full(high - low + value.nbytes, _BEHIND, "uint8")[: high - low])


def _opaque(value: Any) -> bool:
    """Whether an array has no bytes of its own that can be copied."""
    return bool(value.dtype.hasobject or value.dtype.kind == "T")


def tail(descriptor: int) -> None:
    """Fill the last page of a file in memory behind its end, where a memory is in use.

    A mapping of the file shows these bytes, as it shows whole pages. A read of the file does not.
    """
    if _current is None:
        return
    size = os.fstat(descriptor).st_size
    if size % PAGE == 0:
        return
    whole = -(-size // PAGE) * PAGE
    # Cutting a file clears what it loses, so the bytes are written after that, through a mapping of the longer file.
    os.ftruncate(descriptor, whole)
    with mmap.mmap(descriptor, whole) as pages:
        os.ftruncate(descriptor, size)
        pages[size:] = bytes((_current.fill,)) * (whole - size)
    _tails[descriptor] = os.fstat(descriptor).st_ino
