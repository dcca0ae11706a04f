"""Operators that make one part of a file resemble another part of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache

from harness.format.tree import Doc, Tensor, text
from harness.mutate.conventions import CONVENTIONS
from harness.mutate.registry import operator
from harness.mutate.repair import add, insert, retype
from harness.mutate.resemblance import resembling
from harness.mutate.rng import Rng

_MANY = 24
#: Names and values up to this many bytes are copied: small inputs run faster.
_LONGEST = 400


def _quoted(value: str) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass")


_ENTRIES = tuple((_quoted(one.key), _quoted(one.value)) for one in CONVENTIONS)


@lru_cache(1 << 12)
def _alike(raw: bytes) -> tuple[bytes, ...]:
    """Spellings of names that resemble the JSON string ``raw``; none where it is no string, is long, or has lone surrogates."""
    name = text(raw) if len(raw) <= _LONGEST else None
    if name is None or any("\ud7ff" < character < "\ue000" for character in name):
        return ()
    return tuple(map(_quoted, resembling(name)))


@lru_cache(1 << 12)
def _string(raw: bytes) -> bool:
    return len(raw) <= _LONGEST and text(raw) is not None


def _two(doc: Doc, rng: Rng) -> tuple[Tensor, Tensor]:
    """Two tensors, by the place in the header."""
    tensors = doc.tensors
    at = rng.below(len(tensors))
    return tensors[at], tensors[at - 1 - rng.below(len(tensors) - 1)]


@operator("alike.tensor", "sound", tensors=1)
def tensor(doc: Doc, rng: Rng) -> list[bytes]:
    """One more tensor, of the dtype and shape of another one and with a name that resembles its name."""
    other = rng.choice(doc.tensors)
    names = _alike(other.name)
    if not names or len(doc.tensors) > _MANY or not 0 <= other.size <= _LONGEST:
        return []
    pieces = doc.pieces
    dtype, shape = pieces[other.at_dtype], pieces[other.at_shape]
    return insert(doc, rng, [(name, dtype, shape, other.size) for name in rng.some(names)])


@operator("alike.name", "sound", tensors=2)
def name(doc: Doc, rng: Rng) -> list[bytes]:
    """A name that resembles the name of another tensor."""
    one, other = _two(doc, rng)
    names = _alike(other.name)
    return doc.splice(*one.key, *rng.some(names)) if names else []


@operator("alike.kind", "sound", tensors=2)
def kind(doc: Doc, rng: Rng) -> list[bytes]:
    """Dtype and shape of another tensor; its size, later offsets and the buffer follow."""
    one, other = _two(doc, rng)
    if one.size < 0 or not 0 <= other.size <= _LONGEST or other.size * 8 != other.bits * other.count:
        return []
    return retype(doc, one, [(doc.pieces[other.at_dtype], doc.pieces[other.at_shape], other.size)])


@operator("alike.data", "sound", tensors=2)
def data(doc: Doc, rng: Rng) -> list[bytes]:
    """The bytes of another tensor, as many as fit: all of them, moved by one, or in the opposite order."""
    one, other = _two(doc, rng)
    source = doc.buffer[other.begin : other.end][: max(0, one.size)]
    if not source or one.end > len(doc.buffer):
        return []
    before, after = doc.data[: doc.end] + doc.buffer[: one.begin], doc.buffer[one.begin + len(source) :]
    return [before + new + after for new in dict.fromkeys((source, source[1:] + source[:1], source[::-1]))]


@operator("alike.offsets", "deep", tensors=2)
def offsets(doc: Doc, rng: Rng) -> list[bytes]:
    """The offsets of another tensor, or one of the two; nothing else changed."""
    one, other = _two(doc, rng)
    pairs = {(other.begin, other.end), (other.begin, one.end), (one.begin, other.end), (other.end, one.end)}
    news = [b"[%d,%d]" % pair for pair in sorted(pairs) if pair != (one.begin, one.end)]
    return doc.splice(*one.spans[2], *news) if news else []


@operator("alike.field", "deep", tensors=2)
def field(doc: Doc, rng: Rng) -> list[bytes]:
    """The dtype or the shape of another tensor, and nothing else changed."""
    one, other = _two(doc, rng)
    at, to = (one.at_dtype, other.at_dtype) if rng.below(2) else (one.at_shape, other.at_shape)
    new = doc.pieces[to]
    return doc.splice(*one.spans[at == one.at_shape], new) if new != doc.pieces[at] else []


@operator("alike.metadata", "sound", tensors=1)
def metadata(doc: Doc, rng: Rng) -> list[bytes]:
    """An entry of metadata whose key or value is the name of a tensor, or resembles it or another key."""
    raw = rng.choice(doc.tensors).name
    if not _string(raw):
        return []
    items = doc.items()
    keys = _alike(doc.data[slice(*rng.choice(items)[0])]) if items and rng.below(2) else _alike(raw)
    pairs = [(raw, b'"F32"'), (raw, raw), (b'"format"', raw)]
    pairs += [(key, raw) for key in rng.some(keys)] if keys else []
    return _entries(doc, rng, pairs)


@operator("alike.convention", "sound")
def convention(doc: Doc, rng: Rng) -> list[bytes]:
    """An entry of metadata as big libraries write it."""
    return _entries(doc, rng, rng.some(_ENTRIES))


def _entries(doc: Doc, rng: Rng, pairs: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    """Add each entry in turn, at either end of the metadata; new metadata where there are none."""
    member = doc.metadata
    if member is None:
        return add(doc, rng, [b'"__metadata__":{%b:%b}' % pair for pair in pairs])
    items = doc.items()
    if not items:
        return doc.splice(*member.value, *[b"{%b:%b}" % pair for pair in pairs])
    data = doc.data
    taken = {data[start:stop] for (start, stop), _ in items}
    fresh = [pair for pair in pairs if pair[0] not in taken]
    if not fresh:
        return []
    if rng.below(2):
        at = items[0][0][0]
        return doc.splice(at, at, *[b"%b:%b," % pair for pair in fresh])
    at = items[-1][1][1]
    return doc.splice(at, at, *[b",%b:%b" % pair for pair in fresh])
