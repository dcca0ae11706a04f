"""Operators on data offsets."""

from __future__ import annotations

from harness.format.tree import Doc
from harness.mutate.parts import FILL
from harness.mutate.registry import operator
from harness.mutate.repair import shift
from harness.mutate.rng import Rng

_EDGES = (
    0, 1, 7, 8, 255, 65535, 65536, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 53) + 1, (1 << 63) - 1, 1 << 63,
    (1 << 64) - 8, (1 << 64) - 1,
)  # fmt: skip
_TOPS = (1 << 64, 1 << 63, 1 << 62, 1 << 53, 1 << 48, 1 << 40, 1 << 32, 1 << 31)
_TOP = (1 << 64) - 1


@operator("offsets.hole", "deep", tensors=1)
def hole(doc: Doc, rng: Rng) -> list[bytes]:
    """A gap before one tensor: it and all behind it move, and the buffer grows to match."""
    rank = rng.below(len(doc.order))
    at = doc.order[rank].begin
    pieces, buffer = doc.pieces.copy(), doc.buffer
    outs = []
    for gap in (1, 8, rng.choice((2, 4, 7, 64))):
        shift(doc, pieces, rank, at, gap)
        outs.append(doc.render(pieces, buffer[:at] + FILL[:gap] + buffer[at:]))
    return outs


@operator("offsets.overlap", "deep", tensors=2)
def overlap(doc: Doc, rng: Rng) -> list[bytes]:
    """One tensor and all behind it begin inside the one before, and the buffer shrinks to match."""
    rank = 1 + rng.below(len(doc.order) - 1)
    before, tensor = doc.order[rank - 1], doc.order[rank]
    at, size = tensor.begin, before.size
    if size < 1 or at < size:
        return []
    pieces, buffer = doc.pieces.copy(), doc.buffer
    outs = []
    for back in {1, size, 1 + rng.below(min(size, 1 << 20))}:
        shift(doc, pieces, rank, at, -back)
        outs.append(doc.render(pieces, buffer[: at - back] + buffer[at:]))
    return outs


@operator("offsets.edge", "deep", tensors=1)
def edge(doc: Doc, rng: Rng) -> list[bytes]:
    """One offset off by one, or 0, or at a power of two up to 2**64 - 1."""
    tensor = rng.choice(doc.tensors)
    begin, end = tensor.begin, tensor.end
    pairs = [(begin + 1, end), (begin, end + 1), (begin + 1, end + 1)]
    if end:
        pairs.append((begin, end - 1))
    if begin:
        pairs.append((begin - 1, end))
    at = rng.below(len(_EDGES))
    pairs += [(begin, edge) for edge in _EDGES[at : at + 2]] + [(edge, end) for edge in _EDGES[at + 2 : at + 4]]
    return doc.splice(*tensor.spans[2], *[b"[%d,%d]" % pair for pair in pairs if pair != (begin, end)])


@operator("offsets.swap", "deep", tensors=1)
def swap(doc: Doc, rng: Rng) -> list[bytes]:
    """Begin and end of one tensor swapped; the ranges of two tensors swapped."""
    tensors = doc.tensors
    at = rng.below(len(tensors))
    tensor = tensors[at]
    outs = doc.splice(*tensor.spans[2], b"[%d,%d]" % (tensor.end, tensor.begin)) if tensor.size else []
    if len(tensors) > 1:
        other = tensors[at - 1 - rng.below(len(tensors) - 1)]
        pieces = doc.pieces.copy()
        spot, to = tensor.at_offsets, other.at_offsets
        pieces[spot], pieces[to] = pieces[to], pieces[spot]
        outs.append(doc.render(pieces, doc.buffer))
    return outs


@operator("offsets.equal", "deep", tensors=2)
def equal(doc: Doc, rng: Rng) -> list[bytes]:
    """Two tensors on the same bytes, with dtype and shape to match; the buffer loses those of the second."""
    order = doc.order
    rank = 1 + rng.below(len(order) - 1)
    tensor, other = order[rank], order[rng.below(rank)]
    if tensor.size < 0 or tensor.begin < other.end:
        return []
    pieces, buffer = doc.pieces.copy(), doc.buffer
    shift(doc, pieces, rank + 1, tensor.end, -tensor.size)
    pieces[tensor.at_dtype] = pieces[other.at_dtype]
    pieces[tensor.at_shape] = pieces[other.at_shape]
    pieces[tensor.at_offsets] = pieces[other.at_offsets]
    return [doc.render(pieces, buffer[: tensor.begin] + buffer[tensor.end :])]


@operator("offsets.wrap", "deep", tensors=1)
def wrap(doc: Doc, rng: Rng) -> list[bytes]:
    """Offsets near a high power of two whose difference is still the tensor's size, if counted modulo 2**64."""
    tensor = rng.choice(doc.tensors)
    size = tensor.size
    back = rng.choice((0, 1, 8, max(0, size)))
    begins = [min(max(0, top - back), _TOP) for top in rng.some(_TOPS)]
    return doc.splice(*tensor.spans[2], *[b"[%d,%d]" % (begin, (begin + size) & _TOP) for begin in begins])
