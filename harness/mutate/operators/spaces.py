"""Operators on white space and padding."""

from __future__ import annotations

from harness.format.tree import LENGTH, Doc, prefix
from harness.mutate.registry import operator
from harness.mutate.repair import spot
from harness.mutate.rng import Rng

_SPACES = (b" ", b"\n", b"\t", b"\r", b"\r\n", b"        ", b" \n\t ")
_OTHER = (b"\n", b"\t", b"\r", b"\r\n", b" \n", b"\n ", b"\t" * 8, b"\x00", b" \x00", b"\x0b")
_SPACE = ord(" ")


@operator("space.padding", "sound")
def padding(doc: Doc, rng: Rng) -> list[bytes]:
    """Spaces after the header: one, up to the next multiple of eight, or many."""
    counts = (1, -doc.end % LENGTH or 8, rng.choice((2, 7, 8, 9, 64)))
    return doc.splice(doc.end, doc.end, *[b" " * count for count in counts])


@operator("space.padding-other", "deep", dear=True)
def padding_other(doc: Doc, rng: Rng) -> list[bytes]:
    """White space that is no space, or a NUL, after the header."""
    return doc.splice(doc.end, doc.end, *rng.some(_OTHER))


@operator("space.leading", "deep", dear=True)
def leading(doc: Doc, rng: Rng) -> list[bytes]:
    """White space before the header's first brace."""
    return doc.splice(LENGTH, LENGTH, *rng.some(_SPACES))


@operator("space.inside", "sound")
def inside(doc: Doc, rng: Rng) -> list[bytes]:
    """White space between two tokens of the header."""
    span = spot(doc, rng)
    return [] if span is None or span[0] == LENGTH else doc.splice(span[0], span[0], *rng.some(_SPACES))


@operator("space.strip", "sound", smaller=True, dear=True)
def strip(doc: Doc, rng: Rng) -> list[bytes]:
    """No white space left between tokens, no padding."""
    kinds, starts, data = doc.kinds or doc.scan(), doc.starts, doc.data
    if _SPACE not in kinds:
        return []
    header = b"".join([data[starts[at] : starts[at + 1]] for at, kind in enumerate(kinds) if kind != _SPACE])
    return [prefix(len(header)) + header + doc.buffer]
