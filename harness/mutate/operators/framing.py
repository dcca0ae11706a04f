"""Operators on the length prefix and on where the file ends."""

from __future__ import annotations

import struct

from harness.format.tree import LENGTH, Doc
from harness.mutate.registry import operator
from harness.mutate.rng import Rng

_LIMITS = tuple(
    struct.pack("<Q", limit + off)
    for limit in (100_000_000, 1 << 31, 1 << 32, 1 << 63, 1 << 64)
    for off in (-9, -8, -7, -1, 0, 1)
    if limit + off < 1 << 64
)


@operator("framing.near", "shallow")
def near(doc: Doc, rng: Rng) -> list[bytes]:
    """A length prefix near 0, near the real header size or near the file size."""
    centre = rng.choice((2, doc.end - LENGTH, doc.end - LENGTH, doc.end, len(doc.data) - LENGTH, len(doc.data)))
    rest = doc.data[LENGTH:]
    return [struct.pack("<Q", max(0, centre + off)) + rest for off in (-2, -1, 1, 2)]


@operator("framing.limit", "shallow")
def limit(doc: Doc, rng: Rng) -> list[bytes]:
    """A length prefix at the 100 MB limit, 2**31, 2**32, 2**63 or 2**64, or the real one with a high bit set."""
    rest = doc.data[LENGTH:]
    outs = [size + rest for size in rng.some(_LIMITS)[:3]]
    outs.append(struct.pack("<Q", max(0, doc.end - LENGTH) | 1 << (rng.below(40) + 24)) + rest)
    return outs
