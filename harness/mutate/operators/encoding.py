"""Operators on how the text of the header is encoded."""

from __future__ import annotations

import json
from functools import lru_cache

from harness.format.tree import LENGTH, STRING, Doc, text
from harness.mutate.registry import operator
from harness.mutate.repair import spot
from harness.mutate.rng import Rng

_LONE = (
    rb"\ud800", rb"\udc00", rb"\udbff", rb"\udfff", rb"\uD800x", rb"\ud800\ud800", rb"\udc00\ud800", rb"\ud83e\u0041",
    rb"\ud83e\n", rb"\ud83e", rb"\ud83e\udd17",
)  # fmt: skip

_DAMAGE = (
    b"\x80", b"\xbf", b"\xc0\x80", b"\xc1\xbf", b"\xe0\x80\x80", b"\xe0\x9f\xbf", b"\xed\xa0\x80", b"\xed\xbf\xbf",
    b"\xf0\x80\x80\x80", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xff", b"\xfe", b"\xe2\x82", b"\xf0\x9f\xa4", b"\xc3",
)  # fmt: skip

_STRAY = (
    b"\x00", b"\x01", b"\x08", b"\t", b"\n", b"\r", b"\x0b", b"\x0c", b"\x1f", b"\x7f", b"\xc2\x85", b"\xc2\xa0",
    b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\xef\xbf\xbe", b"\xe2\x80\xae", b"\\", b"\\x41", b"\\u12", b"\\u{41}", b"\\a",
    b"\\'", b"\\0", b"\\U00000041", b"\\\n",
)  # fmt: skip


@lru_cache(maxsize=2048)
def respell(raw: bytes) -> tuple[bytes, ...]:
    """Return other spellings of the same JSON string, by escapes; none where it is empty or no string."""
    value = text(raw)
    if not value:
        return ()
    escaped = "".join([f"\\u{ord(c):04x}" if c < "\x80" else c for c in value])
    spellings = [json.dumps(value), json.dumps(value, ensure_ascii=False), f'"{escaped}"']
    if raw.isascii() and b"\\" not in raw:
        spots = (1, len(raw) // 2, len(raw) - 2)
        spellings += [f"{raw[:at].decode()}\\u{raw[at]:04X}{raw[at + 1 :].decode()}" for at in spots]
    news = {spelling.encode(errors="surrogatepass") for spelling in spellings}
    return tuple(sorted(news - {raw}))


@operator("encoding.escape", "sound")
def escape(doc: Doc, rng: Rng) -> list[bytes]:
    """The same string spelled with other escapes: names, field names and dtypes alike."""
    span = spot(doc, rng, STRING)
    news = respell(doc.data[span[0] : span[1]]) if span is not None else ()
    return doc.splice(*span, *news) if span is not None and news else []


@operator("encoding.surrogate", "shallow")
def surrogate(doc: Doc, rng: Rng) -> list[bytes]:
    """A lone, doubled or turned-round surrogate escape in a string."""
    return _inside(doc, rng, _LONE)


@operator("encoding.utf8", "shallow")
def utf8(doc: Doc, rng: Rng) -> list[bytes]:
    """Bytes that are no UTF-8 in a string: overlong, surrogate, beyond U+10FFFF, cut off."""
    return _inside(doc, rng, _DAMAGE)


@operator("encoding.stray", "shallow")
def stray(doc: Doc, rng: Rng) -> list[bytes]:
    """A control character, a byte order mark, a line separator or a bad escape, in a string or between tokens."""
    if rng.below(3):
        return _inside(doc, rng, _STRAY)
    span = spot(doc, rng)
    return [] if span is None else doc.splice(span[0], span[0], *rng.some(_STRAY))


@operator("encoding.bom", "shallow")
def bom(doc: Doc, rng: Rng) -> list[bytes]:
    """A byte order mark before the header, or the whole header in UTF-16."""
    end = min(doc.end, LENGTH + 512)
    if rng.below(4) == 0 and end > LENGTH:
        wide = doc.data[LENGTH:end].decode("latin-1")
        return doc.splice(LENGTH, end, wide.encode("utf-16-le"), wide.encode("utf-16-be"))
    return doc.splice(LENGTH, LENGTH, b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\x00")


def _inside(doc: Doc, rng: Rng, options: tuple[bytes, ...]) -> list[bytes]:
    span = spot(doc, rng, STRING)
    if span is None:
        return []
    start, stop = span
    at = start + 1 + rng.below(max(1, stop - start - 1))
    return doc.splice(at, at, *rng.some(options))
