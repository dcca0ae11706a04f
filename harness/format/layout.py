"""How tensors lie in the byte buffer: every byte belongs to exactly one of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from harness.format.model import Tensor


class Misplaced(NamedTuple):
    """A broken or unsettled layout rule; ``tensor`` is the one to point at, if any."""

    rule: str
    aspect: str
    detail: str
    tensor: Tensor | None


def check_layout(tensors: list[Tensor], size: int) -> Iterator[Misplaced]:
    """Yields what is wrong with tensors (each sound by itself) in a buffer of ``size`` bytes, in no order of rank."""
    filled = sorted((t for t in tensors if t.end > t.begin), key=lambda t: (t.begin, t.end, t.name))
    reach = 0
    previous: Tensor | None = None
    for tensor in filled:
        if tensor.begin > reach:
            detail = f"bytes {reach} to {tensor.begin} of the buffer belong to no tensor"
            yield Misplaced("layout.hole", "middle" if reach else "start", detail, tensor)
        elif previous is not None and tensor.begin < reach:
            same = (tensor.begin, tensor.end) == (previous.begin, previous.end)
            detail = f"{tensor.name!a} begins at {tensor.begin}, inside {previous.name!a} that ends at {reach}"
            yield Misplaced("layout.overlap", "same" if same else "partial", detail, tensor)
        if tensor.end > reach:
            reach, previous = tensor.end, tensor
    if reach < size:
        aspect = "after-last" if filled else "no-tensors"
        yield Misplaced(
            "layout.trailing", aspect, f"bytes {reach} to {size} of the buffer belong to no tensor", previous
        )
    elif reach > size:
        detail = f"the buffer has {size} bytes, the tensors need {reach}"
        yield Misplaced("layout.truncated", "missing-bytes", detail, previous)
    yield from _empty_tensors(tensors, filled, size)


def _empty_tensors(tensors: list[Tensor], filled: list[Tensor], size: int) -> Iterator[Misplaced]:
    begins = [tensor.begin for tensor in filled]
    for tensor in tensors:
        if tensor.begin != tensor.end:
            continue
        if tensor.begin > size:
            detail = f"the empty tensor {tensor.name!a} stands at {tensor.begin}, past the buffer of {size} bytes"
            yield Misplaced("layout.truncated", "empty-tensor", detail, tensor)
            continue
        around = bisect_left(begins, tensor.begin) - 1
        if around >= 0 and filled[around].end > tensor.begin:
            detail = f"the empty tensor {tensor.name!a} stands inside {filled[around].name!a}"
            yield Misplaced("unspecified.empty-tensor-offset", "inside", detail, tensor)
