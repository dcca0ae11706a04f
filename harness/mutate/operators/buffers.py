"""Operators on the buffer, and on the border between it and the header."""

from __future__ import annotations

from harness.format.tree import LENGTH, Doc, prefix
from harness.mutate.registry import operator
from harness.mutate.repair import FILL
from harness.mutate.rng import Rng


@operator("buffer.longer", "deep")
def longer(doc: Doc, rng: Rng) -> bytes | None:
    """Bytes behind the last tensor, or before the first, that belong to none."""
    extra = FILL[: rng.choice((1, 1, 2, 7, 8, 9, 64))]
    if rng.below(4):
        return doc.data + extra
    return doc.data[: doc.end] + extra + doc.buffer


@operator("buffer.shorter", "deep", tensors=1, smaller=True)
def shorter(doc: Doc, rng: Rng) -> bytes | None:
    """The last bytes of the buffer missing: one, some, or all."""
    size = len(doc.buffer)
    if not size:
        return None
    return doc.data[: len(doc.data) - rng.choice((1, size, 1 + rng.below(size)))]


@operator("buffer.border", "shallow")
def border(doc: Doc, rng: Rng) -> bytes | None:
    """The border between header and buffer moved: spaces of the buffer read as padding, or a brace as data."""
    data = doc.data
    kind = rng.below(3)
    if kind == 0:
        # Still sound for a reader that trusts the prefix; the buffer lost its first bytes to the header.
        return prefix(doc.end - LENGTH + 4) + data[LENGTH : doc.end] + b"    " + data[doc.end + 4 :]
    move = 1 + rng.below(4)
    return prefix(max(0, doc.end - LENGTH + (move if kind == 1 else -move))) + data[LENGTH:]
