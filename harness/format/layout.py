"""The layout of tensors in the byte buffer: every byte belongs to exactly one tensor."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from operator import itemgetter
from typing import NamedTuple

from harness.format.header import Tensor

_PLACE = itemgetter(Tensor._fields.index("begin"), Tensor._fields.index("end"), Tensor._fields.index("name"))


class Misplaced(NamedTuple):
    """A broken or unsettled layout rule at ``tensor``, if any; ``other`` is the tensor in its way.

    ``start`` and ``stop`` are a range of the buffer, or two sizes of it, in bytes.
    """

    rule: str
    aspect: str
    tensor: Tensor | None
    other: Tensor | None
    start: int
    stop: int

    @property
    def detail(self) -> str:
        """A sentence with values."""
        tensor, other, start, stop = self.tensor, self.other, self.start, self.stop
        if tensor is not None and other is not None:
            if self.rule == "layout.overlap":
                return f"{tensor.name!a} begins at {start}, inside {other.name!a} that ends at {stop}"
            return f"the empty tensor {tensor.name!a} stands inside {other.name!a}"
        if self.rule != "layout.truncated":
            return f"bytes {start} to {stop} of the buffer belong to no tensor"
        if tensor is not None and self.aspect == "empty-tensor":
            return f"the empty tensor {tensor.name!a} stands at {start}, past the buffer of {stop} bytes"
        return f"the buffer has {start} bytes, the tensors need {stop}"


def check_layout(tensors: list[Tensor], size: int) -> Iterator[Misplaced]:
    """Yields the layout faults of tensors, each sound by itself, in a buffer of ``size`` bytes; not in order of rank."""
    filled = sorted([tensor for tensor in tensors if tensor.end > tensor.begin], key=_PLACE)
    reach = 0
    previous: Tensor | None = None
    for tensor in filled:
        begin, end = tensor.begin, tensor.end
        if begin > reach:
            yield Misplaced("layout.hole", "middle" if reach else "start", tensor, None, reach, begin)
        elif previous is not None and begin < reach:
            same = begin == previous.begin and end == previous.end
            yield Misplaced("layout.overlap", "same" if same else "partial", tensor, previous, begin, reach)
        if end > reach:
            reach, previous = end, tensor
    if reach < size:
        aspect = "after-last" if filled else "no-tensors"
        yield Misplaced("layout.trailing", aspect, previous, None, reach, size)
    elif reach > size:
        yield Misplaced("layout.truncated", "missing-bytes", previous, None, size, reach)
    if len(filled) < len(tensors):
        yield from _empty_tensors(tensors, filled, size)


def _empty_tensors(tensors: list[Tensor], filled: list[Tensor], size: int) -> Iterator[Misplaced]:
    begins = [tensor.begin for tensor in filled]
    for tensor in tensors:
        begin = tensor.begin
        if begin != tensor.end:
            continue
        if begin > size:
            yield Misplaced("layout.truncated", "empty-tensor", tensor, None, begin, size)
            continue
        around = bisect_left(begins, begin) - 1
        if around >= 0 and filled[around].end > begin:
            yield Misplaced("unspecified.empty-tensor-offset", "inside", tensor, filled[around], begin, begin)
