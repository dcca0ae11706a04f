"""The right answers to the calls of target ``crate``, by the text of the format, by Rust's ranges, and by numpy."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple

import numpy

from harness.format.dtypes import DTYPE_BITS
from harness.parsers.crate_api.library import INTEGER, SELECT, Info, Item, View
from harness.programs import arrays
from harness.targets.crate.program import RESERVED, bounds

#: Why a part must be refused.
TOO_MANY, OUTSIDE, REVERSED, MISALIGNED = "too-many", "outside", "start-after-stop", "misaligned"
#: Parts without elements that 0.8.0 refuses; target ``parallel`` has the same words.
AT_END, NO_ELEMENTS = "empty-at-end", "of-no-elements"


class Wanted(NamedTuple):
    """The right part: ``fault`` is the reason why it must be refused, or "" for one of this ``shape`` and these bytes.

    ``place`` is AT_END or NO_ELEMENTS where a part of nothing begins at the end of a dimension. ``outside`` are the dimensions
    whose item is out of bounds, with start and stop.
    """

    fault: str
    shape: tuple[int, ...] = ()
    data: bytes = b""
    place: str = ""
    outside: tuple[tuple[int, int, int], ...] = ()


@lru_cache(1 << 14)
def part(dtype: str, shape: tuple[int, ...], salt: int, items: tuple[Item, ...]) -> Wanted:
    """The part of a tensor that ``items`` select: a range selects what it selects in a slice of Rust."""
    if len(items) > len(shape):
        return Wanted(TOO_MANY)
    index: list[Any] = []
    outside: list[tuple[int, int, int]] = []
    faults: list[str] = []
    place = ""
    for axis, (item, d) in enumerate(zip(items, shape, strict=False)):
        if item.kind in (INTEGER, SELECT):
            if item.a >= d:
                outside.append((axis, item.a, item.a + 1))
                faults.append(OUTSIDE)
            index.append(min(item.a, max(d - 1, 0)))
            continue
        start, stop, step = bounds(item, d)
        if start > d or stop > d or start > stop:
            outside.append((axis, start, stop))
            faults.append(OUTSIDE if max(start, stop) > d else REVERSED)
        elif start == d:
            place = AT_END if d else NO_ELEMENTS
        index.append(slice(min(start, d), min(stop, d), min(step, 1 << 62)))
    if faults:
        return Wanted(OUTSIDE if OUTSIDE in faults else REVERSED, outside=tuple(outside))
    chosen = numpy.arange(prod(shape)).reshape(shape)[tuple(index)]
    data = _bytes_of(dtype, arrays.content(dtype, shape, salt), chosen.reshape(-1))
    return Wanted(MISALIGNED) if data is None else Wanted("", chosen.shape, data, place)


def _bytes_of(dtype: str, data: bytes, chosen: Any) -> bytes | None:
    """The bytes of the chosen elements; None where these are no whole bytes of the tensor."""
    bits = DTYPE_BITS[dtype]
    raw = numpy.frombuffer(data, numpy.uint8)
    if bits % 8 == 0:
        found: bytes = raw.reshape(-1, bits // 8)[chosen].tobytes()
        return found
    places = (chosen[:, None] * bits + numpy.arange(bits)).reshape(-1)
    if len(places) % 8:
        return None
    first = places[::8]
    whole = (places.reshape(-1, 8) == first[:, None] + numpy.arange(8)).all() and not (first % 8).any()
    return raw[first // 8].tobytes() if whole else None


def size(dtype: str, shape: Sequence[int]) -> int | None:
    """The length in bytes of a tensor; None where it is no whole number of bytes."""
    bits = DTYPE_BITS[dtype] * prod(shape)
    return None if bits % 8 else bits // 8


def overflows(dtype: str, shape: Sequence[int]) -> bool:
    """Whether the elements or bits of a shape, multiplied from the left, pass 64 bits on the way."""
    product = 1
    for dimension in shape:
        product *= dimension
        if product >= 1 << 64:
            return True
    return product * DTYPE_BITS[dtype] >= 1 << 64


def fault_of_view(view: View) -> str:
    """Why a view must be refused, or "" for one whose data has the size of its dtype and shape."""
    wanted = size(view.dtype, view.shape)
    return "misaligned" if wanted is None else "" if wanted == len(view.data) else "size"


def fault_of_infos(infos: Sequence[tuple[str, Info]]) -> str:
    """Why entries of a header must be refused, or ""."""
    names = [name for name, _ in infos]
    if len(set(names)) < len(names):
        return "duplicate-name"
    if RESERVED in names:
        return "name/" + RESERVED
    rows = [info for _, info in infos]
    if (rows and rows[0].begin) or any(one.end != other.begin for one, other in pairwise(rows)):
        return "order"
    wrong = (info.end - info.begin != size(info.dtype, info.shape) for info in rows)
    return "size" if any(wrong) else ""


def fault_of_values(own: Sequence[tuple[str, View]]) -> str:
    """Why a writer must refuse the caller's tensors, or ""."""
    names = [name for name, _ in own]
    if len(set(names)) < len(names):
        return "duplicate-name"
    if RESERVED in names:
        return "name/" + RESERVED
    return next((fault for _, view in own if (fault := fault_of_view(view))), "")
