"""Operators on JSON syntax."""

from __future__ import annotations

from harness.format.tree import NUMBER, Doc
from harness.mutate.operators.encoding import respell
from harness.mutate.parts import NESTED
from harness.mutate.registry import operator
from harness.mutate.repair import spot, value
from harness.mutate.rng import Rng

_MARKS = (b"", b",", b":", b";", b"{", b"}", b"[", b"]", b'"', b",,", b"/**/", b"//\n", b"#", b"=", b"\\", b"'")

_AFTER = (
    b"}", b"{}", b"]", b",", b"\x00", b"\x00\x00\x00\x00", b"null", b"//", b'{"a":1}', b"\x1a", b"\xc2\xa0", b"\x0c", b" }",
    b'" "', b"0",
)  # fmt: skip

_NUMBERS = (
    b"-0", b"-1", b"1e400", b"1E1", b"18446744073709551616", b"1_0", b".5", b"\xd9\xa1", b"1" * 400, b"9" * 5000, b"0" * 20,
)  # fmt: skip


@operator("syntax.duplicate-key", "deep", expensive=True)
def duplicate_key(doc: Doc, rng: Rng) -> list[bytes]:
    """A member of the header twice: alike, or with the other one's value, or with the name spelled otherwise."""
    members = doc.members
    if not members:
        return []
    member = rng.choice(members)
    data = doc.data
    key, same = data[slice(*member.key)], data[slice(*member.value)]
    at = rng.choice(members).key[0]
    other = data[slice(*rng.choice(members).value)]
    spelled = respell(key)
    news = [b"%b:%b," % (key, same)]
    if spelled:
        news.append(b"%b:%b," % (rng.choice(spelled), same))
    if other is not same:
        news.append(b"%b:%b," % (key, other))
    return doc.splice(at, at, *news)


@operator("syntax.mark", "shallow")
def mark(doc: Doc, rng: Rng) -> list[bytes]:
    """A bracket, colon, comma or quote more, less, or in place of a token."""
    span = spot(doc, rng)
    if span is None:
        return []
    start, stop = span
    kind = rng.below(3)
    if kind == 0:
        return doc.splice(start, start, *rng.some(_MARKS[1:]))
    return doc.splice(start, min(stop, start + 1) if kind == 1 else stop, *rng.some(_MARKS))


@operator("syntax.number", "shallow")
def number(doc: Doc, rng: Rng) -> list[bytes]:
    """A number spelled otherwise: with fraction, exponent, sign, leading zero, as a string, far too long."""
    span = spot(doc, rng, NUMBER)
    if span is None:
        return []
    raw = doc.data[span[0] : span[1]]
    news = (
        raw + b".0", raw + b"e0", raw + b"E+0", raw + b".", b"-" + raw, b"0" + raw, b"+" + raw, b"0x" + raw, b'"%b"' % raw,
        raw + b"0" * 19, b"%b.%b0e%d" % (raw[:1], raw[1:], len(raw) - 1), b"%d" % (256 + rng.below(9)), *_NUMBERS,
    )  # fmt: skip
    return doc.splice(*span, *rng.some(news))


@operator("syntax.nesting", "shallow")
def nesting(doc: Doc, rng: Rng) -> list[bytes]:
    """Arrays or objects nested up to a thousand deep, in place of a value."""
    span = value(doc, rng)
    return [] if span is None else doc.splice(*span, *rng.some(NESTED)[:3])


@operator("syntax.after", "shallow")
def after(doc: Doc, rng: Rng) -> list[bytes]:
    """Something after the closing brace, still inside the header."""
    return doc.splice(doc.end, doc.end, *rng.some(_AFTER))


@operator("syntax.comma", "shallow")
def comma(doc: Doc, rng: Rng) -> list[bytes]:
    """A comma before a closing bracket or after an opening one."""
    outs = []
    for kind in b"{[":
        span = spot(doc, rng, bytes((kind,)))
        if span is not None:
            outs += doc.splice(span[1], span[1], b",")
        span = spot(doc, rng, bytes((kind + 2,)))
        if span is not None:
            outs += doc.splice(span[0], span[0], b",")
    return outs
