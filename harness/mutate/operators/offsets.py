"""Operators on data offsets."""

from __future__ import annotations

from harness.format.tree import Doc
from harness.mutate.registry import operator
from harness.mutate.repair import FILL, shift
from harness.mutate.rng import Rng


@operator("offsets.hole", "deep")
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


@operator("offsets.overlap", "deep")
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
    b"0", b"1", b"7", b"8", b"255", b"65535", b"65536", b"2147483647", b"2147483648", b"4294967295", b"4294967296",
    b"9007199254740993", b"9223372036854775807", b"9223372036854775808", b"18446744073709551608", b"18446744073709551615",
)  # fmt: skip


@operator("offsets.edge", "deep")
def edge(doc: Doc, rng: Rng) -> bytes | None:
    """One offset off by one, or 0, or at a power of two up to 2**64 - 1."""
    if not doc.tensors:
        return None
    tensor = rng.choice(doc.tensors)
    pieces = doc.pieces.copy()
    at = tensor.at_end if rng.below(2) else tensor.at_begin
    kind = rng.below(4)
    value = tensor.end if at == tensor.at_end else tensor.begin
    pieces[at] = rng.choice(_EDGES) if kind > 1 else b"%d" % (value + 1 if kind or value < 1 else value - 1)
    return doc.render(pieces, doc.buffer)
