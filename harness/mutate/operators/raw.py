"""libFuzzer's own byte mutations, on the whole file and on parts of it."""

from __future__ import annotations

from harness.format.tree import LENGTH, Doc, prefix
from harness.mutate.registry import operator
from harness.mutate.repair import spot
from harness.mutate.rng import Rng


def _damage(part: bytes, rng: Rng, room: int) -> bytes:
    if rng.native is not None:
        return rng.native(part, len(part) + room)
    if not part:
        return bytes([rng.below(256)])
    at = rng.below(len(part))
    kind = rng.below(4)
    if kind == 0:
        return part[:at] + part[at + 1 :]
    if kind == 1:
        return part[:at] + bytes([rng.below(256)]) + part[at:]
    return part[:at] + bytes([part[at] ^ (1 << rng.below(8))]) + part[at + 1 :]


@operator("raw.file", "shallow")
def file(doc: Doc, rng: Rng) -> bytes | None:
    """Byte mutations anywhere in the file."""
    return _damage(doc.data, rng, 64)


@operator("raw.header", "shallow")
def header(doc: Doc, rng: Rng) -> bytes | None:
    """Byte mutations in the header, and the length prefix repaired."""
    new = _damage(doc.data[LENGTH : doc.end], rng, 64)
    return prefix(len(new)) + new + doc.buffer


@operator("raw.token", "shallow")
def token(doc: Doc, rng: Rng) -> bytes | None:
    """Byte mutations in one token of the header, and the length prefix repaired."""
    span = spot(doc, rng)
    if span is None:
        return None
    start, stop = span
    return doc.splice(start, stop, _damage(doc.data[start:stop], rng, 16))


@operator("raw.buffer", "sound")
def buffer(doc: Doc, rng: Rng) -> bytes | None:
    """Other bytes in the buffer, as many as before."""
    data = doc.data
    if len(data) <= doc.end:
        return None
    at = doc.end + rng.below(len(data) - doc.end)
    return data[:at] + bytes((data[at] ^ (1 + rng.below(255)),)) + data[at + 1 :]
