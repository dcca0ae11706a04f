"""Operators on the length prefix and on where the file ends."""

from __future__ import annotations

import struct

from harness.format.tree import LENGTH, Doc
from harness.mutate.registry import operator
from harness.mutate.repair import spot
from harness.mutate.rng import Rng

_LIMITS = tuple(
    limit + off
    for limit in (100_000_000, 1 << 31, 1 << 32, 1 << 63, 1 << 64)
    for off in (-9, -8, -7, -1, 0, 1)
    if limit + off < 1 << 64
)


@operator("framing.near", "shallow")
def near(doc: Doc, rng: Rng) -> bytes | None:
    """A length prefix near 0, near the real header size or near the file size."""
    centre = rng.choice((0, 2, doc.end - LENGTH, doc.end, len(doc.data) - LENGTH, len(doc.data)))
    return struct.pack("<Q", max(0, centre + rng.below(5) - 2)) + doc.data[LENGTH:]


@operator("framing.limit", "shallow")
def limit(doc: Doc, rng: Rng) -> bytes | None:
    """A length prefix at the 100 MB limit, 2**31, 2**32, 2**63 or 2**64, or the real one with a high bit set."""
    size = rng.choice(_LIMITS) if rng.below(4) else max(0, doc.end - LENGTH) | 1 << (rng.below(40) + 24)
    return struct.pack("<Q", size) + doc.data[LENGTH:]


@operator("framing.truncate", "shallow", smaller=True)
def truncate(doc: Doc, rng: Rng) -> bytes | None:
    """The file cut short: in the prefix, at a token of the header or at its end."""
    kind = rng.below(4)
    if kind == 0:
        return doc.data[: rng.below(LENGTH + 2)]
    span = spot(doc, rng) if kind < 3 else None
    if span is not None:
        return doc.data[: span[0]]
    return doc.data[: doc.end - rng.below(2)]
