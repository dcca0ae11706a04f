"""libFuzzer's own byte mutations, on the whole file and on parts of it."""

from __future__ import annotations

from harness.format.tree import LENGTH, Doc
from harness.mutate.registry import operator
from harness.mutate.repair import spot
from harness.mutate.rng import Rng

_TURNS = 4


def _damage(part: bytes, rng: Rng, room: int) -> list[bytes]:
    """Return a few damaged versions of ``part``; by hand where there is no libFuzzer."""
    native = rng.native
    if native is not None:
        return [native(part, len(part) + room) for _ in range(_TURNS)]
    outs = []
    for _ in range(_TURNS):
        at = rng.below(len(part) + 1)
        kind = rng.below(4)
        if kind == 0:
            outs.append(part[:at] + part[at + 1 :])
        elif kind == 1 or at == len(part):
            outs.append(part[:at] + bytes((rng.below(256),)) + part[at:])
        else:
            outs.append(part[:at] + bytes((part[at] ^ (1 << rng.below(8)),)) + part[at + 1 :])
    return outs


@operator("raw.file", "shallow")
def file(doc: Doc, rng: Rng) -> list[bytes]:
    """Byte mutations anywhere in the file."""
    return _damage(doc.data, rng, 64)


@operator("raw.header", "shallow")
def header(doc: Doc, rng: Rng) -> list[bytes]:
    """Byte mutations in the header, and the length prefix repaired."""
    return doc.splice(LENGTH, doc.end, *_damage(doc.data[LENGTH : doc.end], rng, 64))


@operator("raw.token", "shallow")
def token(doc: Doc, rng: Rng) -> list[bytes]:
    """Byte mutations in one token of the header, and the length prefix repaired."""
    span = spot(doc, rng)
    return [] if span is None else doc.splice(*span, *_damage(doc.data[span[0] : span[1]], rng, 16))


@operator("raw.buffer", "sound")
def buffer(doc: Doc, rng: Rng) -> list[bytes]:
    """Other bytes in the buffer, as many as before."""
    data = doc.data
    if len(data) <= doc.end:
        return []
    at = doc.end + rng.below(len(data) - doc.end)
    return [data[:at] + bytes((data[at] ^ (1 + rng.below(255)),)) + data[at + 1 :] for _ in range(2)]
