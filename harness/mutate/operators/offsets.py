"""Operators on data offsets."""

from __future__ import annotations

from harness.format.tree import Doc
from harness.mutate.registry import operator
from harness.mutate.repair import FILL, resize, shift
from harness.mutate.rng import Rng


@operator("offsets.hole", "deep", tensors=1)
def hole(doc: Doc, rng: Rng) -> bytes | None:
    """A gap before one tensor: it and all behind it move, and the buffer grows to match."""
    if not doc.order:
        return None
    rank = rng.below(len(doc.order))
    at = doc.order[rank].begin
    gap = rng.choice((1, 1, 2, 4, 7, 8, 64))
    pieces = doc.pieces.copy()
    shift(doc, pieces, rank, at, gap)
    return doc.render(pieces, doc.buffer[:at] + FILL[:gap] + doc.buffer[at:])


@operator("offsets.overlap", "deep", tensors=2)
def overlap(doc: Doc, rng: Rng) -> bytes | None:
    """One tensor and all behind it begin inside the one before, and the buffer shrinks to match."""
    if len(doc.order) < 2:
        return None
    rank = 1 + rng.below(len(doc.order) - 1)
    before, tensor = doc.order[rank - 1], doc.order[rank]
    if before.size < 1 or tensor.begin < before.size:
        return None
    back = rng.choice((1, before.size, 1 + rng.below(min(before.size, 1 << 20))))
    pieces = doc.pieces.copy()
    shift(doc, pieces, rank, tensor.begin, -back)
    at = tensor.begin
    return doc.render(pieces, doc.buffer[: at - back] + doc.buffer[at:])


_EDGES = (
    0, 1, 7, 8, 255, 65535, 65536, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 53) + 1, (1 << 63) - 1, 1 << 63,
    (1 << 64) - 8, (1 << 64) - 1,
)  # fmt: skip


_TOPS = (1 << 64, 1 << 63, 1 << 62, 1 << 53, 1 << 48, 1 << 40, 1 << 32, 1 << 31)


@operator("offsets.edge", "deep", tensors=1)
def edge(doc: Doc, rng: Rng) -> bytes | None:
    """One offset off by one, or 0, or at a power of two up to 2**64 - 1."""
    if not doc.tensors:
        return None
    tensor = rng.choice(doc.tensors)
    pieces = doc.pieces.copy()
    ends = [tensor.begin, tensor.end]
    at = rng.below(2)
    kind = rng.below(4)
    ends[at] = rng.choice(_EDGES) if kind > 1 else ends[at] + 1 if kind or not ends[at] else ends[at] - 1
    pieces[tensor.at_offsets] = b"[%d,%d]" % (ends[0], ends[1])
    return doc.render(pieces, doc.buffer)


@operator("offsets.swap", "deep", tensors=1)
def swap(doc: Doc, rng: Rng) -> bytes | None:
    """Begin and end of one tensor swapped, or the ranges of two tensors."""
    tensors = doc.tensors
    if not tensors:
        return None
    at = rng.below(len(tensors))
    tensor = tensors[at]
    pieces = doc.pieces.copy()
    if len(tensors) < 2 or rng.below(2):
        pieces[tensor.at_offsets] = b"[%d,%d]" % (tensor.end, tensor.begin)
    else:
        other = tensors[at - 1 - rng.below(len(tensors) - 1)]
        at, to = tensor.at_offsets, other.at_offsets
        pieces[at], pieces[to] = pieces[to], pieces[at]
    return doc.render(pieces, doc.buffer)


@operator("offsets.equal", "deep", tensors=2)
def equal(doc: Doc, rng: Rng) -> bytes | None:
    """Two tensors on the same bytes, with dtype and shape to match; the buffer loses those of the second."""
    order = doc.order
    if len(order) < 2:
        return None
    rank = 1 + rng.below(len(order) - 1)
    tensor, other = order[rank], order[rng.below(rank)]
    if tensor.size < 0 or tensor.begin < other.end:
        return None
    pieces = doc.pieces.copy()
    buffer = resize(doc, pieces, tensor, 0)
    pieces[tensor.at_dtype] = pieces[other.at_dtype]
    pieces[tensor.at_shape] = pieces[other.at_shape]
    pieces[tensor.at_offsets] = pieces[other.at_offsets]
    return doc.render(pieces, buffer)


@operator("offsets.wrap", "deep", tensors=1)
def wrap(doc: Doc, rng: Rng) -> bytes | None:
    """Offsets near 2**63 or 2**64 whose difference is still the tensor's size, if counted modulo 2**64."""
    if not doc.tensors:
        return None
    tensor = rng.choice(doc.tensors)
    begin = min(rng.choice(_TOPS) - rng.choice((0, 1, 8, max(0, tensor.size))), (1 << 64) - 1)
    begin = max(0, begin)
    pieces = doc.pieces.copy()
    pieces[tensor.at_offsets] = b"[%d,%d]" % (begin, (begin + tensor.size) % (1 << 64))
    return doc.render(pieces, doc.buffer)
