"""All data of a file of target ``huge``, compared with how the file was made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from harness.targets.huge.layout import Layout, Row, pattern, windows

#: Tensors up to this many bytes are read whole. Of a larger one the windows are read, and what lies halfway between two.
WHOLE_BYTES = 1 << 24
#: numpy holds at most 64 dimensions (crashes/raise-1a0072ee), and reads others as slices alone.
_RANK = 64
_BETWEEN = 64
#: Bytes of the pages that a window and the middle behind it touch, at most.
_PAGES = 16_384
#: The words of numpy for the dtypes.
NUMPY = {"U8": "|u1", "I16": "<i2", "F32": "<f4", "I64": "<i8"}
Wrong = list[tuple[str, str]]


def read(file: Any, layout: Layout) -> Wrong:
    """Read all tensors of an open file; the first of each kind of difference, as (aspect, words)."""

    def compare(name: str, begin: int, row: Row) -> Wrong:
        if len(row.shape) > _RANK:
            return []
        return _large(file, name, row) if row.size > WHOLE_BYTES else _whole(file, name, begin, row)

    return _compared(layout, compare)


def pieces(file: Any, layout: Layout) -> Wrong:
    """The same of the tensors up to :data:`WHOLE_BYTES`, each whole and as a slice: a slice by pread reads its whole tensor."""

    def compare(name: str, begin: int, row: Row) -> Wrong:
        if len(row.shape) > _RANK or row.size > WHOLE_BYTES:
            return []
        found = _whole(file, name, begin, row)
        return found + _array(name, row, begin, file.get_slice(name)[...]) if row.size else found

    return _compared(layout, compare)


def deserialized(read: dict[str, dict[str, Any]], layout: Layout) -> Wrong:
    """Compare what ``deserialize`` gave of all tensors, by name."""

    def compare(name: str, begin: int, row: Row) -> Wrong:
        entry = read.get(name)
        if entry is None:
            return [("names", f"deserialize does not list {name[:80]!r}")]
        return _compare(name, row, begin, entry["dtype"] == row.dtype, tuple(entry["shape"]), bytes(entry["data"]))

    return _compared(layout, compare)


def _compared(layout: Layout, compare: Callable[[str, int, Row], Wrong]) -> Wrong:
    """The first of each kind of difference that ``compare`` tells of the tensors, by name, place and row."""
    wrong: dict[str, str] = {}
    for row in layout.rows:
        for name, begin in _members(row):
            for aspect, words in compare(name, begin, row):
                wrong.setdefault(aspect, words)
    return list(wrong.items())


def touched(layout: Layout) -> int:
    """The bytes of the file that :func:`read` brings into memory, and the copy of the largest tensor."""
    sizes = [(row.size if row.size <= WHOLE_BYTES else _PAGES * len(windows(row.size)), row) for row in layout.rows]
    return sum(size * len(row.names) for size, row in sizes) + 2 * max((size for size, _ in sizes), default=0)


def _members(row: Row) -> Iterator[tuple[str, int]]:
    return ((name, row.begin + place * row.size) for place, name in enumerate(row.names))


def _whole(file: Any, name: str, begin: int, row: Row) -> Wrong:
    return _array(name, row, begin, file.get_tensor(name))


def _array(name: str, row: Row, begin: int, array: Any) -> Wrong:
    return _compare(name, row, begin, array.dtype.str == NUMPY[row.dtype], array.shape, array.tobytes())


def _compare(name: str, row: Row, begin: int, same_dtype: bool, shape: tuple[int, ...], data: bytes) -> Wrong:
    if not same_dtype:
        return [("dtype", f"tensor {name[:80]!r} is read with another dtype")]
    if shape != row.shape:
        return [("shape", f"tensor {name[:80]!r} is read with another shape")]
    return [] if data == _content(begin, row.size) else [("bytes", f"tensor {name[:80]!r} is read with other bytes")]


def _content(begin: int, size: int) -> bytes:
    """The bytes of a tensor: zeros between its windows."""
    parts: list[bytes] = []
    at = 0
    for first, last in windows(size):
        parts += (bytes(first - at), pattern(begin + first, begin + last))
        at = last
    return b"".join((*parts, bytes(size - at)))


def _large(file: Any, name: str, row: Row) -> Wrong:
    """Compare parts of a tensor of one dimension, of a byte an element."""
    part = file.get_slice(name)
    if tuple(part.get_shape()) != row.shape:
        return [("shape", f"tensor {name[:80]!r} is read with another shape")]
    found = windows(row.size)
    wanted = [(first, pattern(row.begin + first, row.begin + last)) for first, last in found]
    wanted += [((a + b - _BETWEEN) // 2, bytes(_BETWEEN)) for (_, a), (b, _) in pairwise(found) if b - a >= _BETWEEN]
    for first, data in wanted:
        array = part[first : first + len(data)]
        if array.tobytes() != data:
            return [("bytes", f"tensor {name[:80]!r} has other bytes from {first} on")]
    return []
