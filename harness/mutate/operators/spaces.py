"""Operators on white space and padding."""

from __future__ import annotations

from harness.format.tree import LENGTH, Doc
from harness.mutate.registry import operator
from harness.mutate.repair import spot
from harness.mutate.rng import Rng

_SPACES = (b" ", b"\n", b"\t", b"\r", b"\r\n", b"        ", b" \n\t ")
_OTHER = (b"\n", b"\t", b"\r", b"\r\n", b" \n", b"\n ", b"\t" * 8, b"\x00", b" \x00", b"\x0b")


@operator("space.padding-other", "deep", expensive=True)
def padding_other(doc: Doc, rng: Rng) -> list[bytes]:
    """White space that is no space, or a NUL, after the header."""
    return doc.splice(doc.end, doc.end, *rng.some(_OTHER))


@operator("space.leading", "deep", expensive=True)
def leading(doc: Doc, rng: Rng) -> list[bytes]:
    """White space before the header's first brace."""
    return doc.splice(LENGTH, LENGTH, *rng.some(_SPACES))


@operator("space.inside", "sound")
def inside(doc: Doc, rng: Rng) -> list[bytes]:
    """White space between two tokens of the header."""
    span = spot(doc, rng)
    return [] if span is None or span[0] == LENGTH else doc.splice(span[0], span[0], *rng.some(_SPACES))
