"""Operators on the buffer, and on the border between it and the header."""

from __future__ import annotations

from harness.format.tree import LENGTH, Doc, prefix
from harness.mutate.parts import FILL
from harness.mutate.registry import operator
from harness.mutate.rng import Rng


@operator("buffer.longer", "deep")
def longer(doc: Doc, rng: Rng) -> list[bytes]:
    """Bytes behind the last tensor, or before the first, that belong to none."""
    data = doc.data
    extra = FILL[: rng.choice((1, 1, 2, 7, 8, 9, 64))]
    return [data + extra, data + extra[:1], data[: doc.end] + extra + doc.buffer]


@operator("buffer.shorter", "deep", tensors=1, smaller=True)
def shorter(doc: Doc, rng: Rng) -> list[bytes]:
    """The last bytes of the buffer missing: one, some, or all."""
    size = len(doc.buffer)
    if not size:
        return []
    data = doc.data
    return [data[:-1], data[: doc.end], data[: len(data) - 1 - rng.below(size)]]


@operator("buffer.border", "shallow")
def border(doc: Doc, rng: Rng) -> list[bytes]:
    """The border between header and buffer moved: spaces of the buffer read as padding, or a brace as data."""
    data = doc.data
    move = 1 + rng.below(4)
    size = doc.end - LENGTH
    return [
        # Still sound for a reader that trusts the prefix; the buffer lost its first bytes to the header.
        prefix(size + 4) + data[LENGTH : doc.end] + b"    " + data[doc.end + 4 :],
        prefix(size + move) + data[LENGTH:],
        prefix(max(0, size - move)) + data[LENGTH:],
    ]
