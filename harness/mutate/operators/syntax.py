"""Operators on JSON syntax."""

from __future__ import annotations

from harness.format.tree import NUMBER, Doc
from harness.mutate.operators.encoding import respell
from harness.mutate.registry import operator
from harness.mutate.repair import spot, value
from harness.mutate.rng import Rng

LITERALS = (
    b"null", b"true", b"false", b"0", b"1", b"-1", b"1.5", b"1e3", b'""', b'"F32"', b"[]", b"{}", b"[0]", b"[0,0]",
    b"[null]", b"[[]]", b"[{}]", b'{"":0}', b'["F32",[1],[0,4]]', b'{"dtype":"F32","shape":[],"data_offsets":[0,4]}',
    b"NaN", b"Infinity", b"-Infinity", b"undefined", b"nul", b"True", b"'a'", b"",
)  # fmt: skip
"""Values of every JSON type, and some of none."""

_MARKS = (b"", b"", b",", b":", b";", b"{", b"}", b"[", b"]", b'"', b",,", b"/**/", b"//\n", b"#", b"=", b"\\")

_AFTER = (
    b"}", b"{}", b"]", b",", b"\x00", b"\x00\x00\x00\x00", b"null", b"//", b'{"a":1}', b"\x1a", b"\xc2\xa0", b"\x0c", b" }",
    b'" "', b"0",
)  # fmt: skip

_DEPTHS = (1, 2, 3, 16, 60, 63, 64, 120, 123, 124, 125, 126, 127, 128, 129, 130, 200, 500, 1000)


def nested(rng: Rng) -> bytes:
    """Return arrays or objects in each other, around the depths (64, 128) at which readers give up."""
    depth = rng.choice(_DEPTHS)
    if rng.below(2):
        return b"[" * depth + b"]" * depth
    return b'{"":' * depth + b"0" + b"}" * depth


@operator("syntax.duplicate-key", "deep")
def duplicate_key(doc: Doc, rng: Rng) -> bytes | None:
    """A member of the header twice: alike, or with the other one's value, or with the name spelled otherwise."""
    members = doc.members
    if not members:
        return None
    member = rng.choice(members)
    data = doc.data
    key = data[member.key[0] : member.key[1]]
    start, stop = rng.choice(members).value if rng.below(3) == 0 else member.value
    if rng.below(3) == 0:
        key = respell(key, rng) or key
    at = rng.choice(members).key[0]
    return doc.splice(at, at, key + b":" + data[start:stop] + b",")


@operator("syntax.mark", "shallow")
def mark(doc: Doc, rng: Rng) -> bytes | None:
    """A bracket, colon, comma or quote more, less, or in place of a token."""
    span = spot(doc, rng)
    if span is None:
        return None
    start, stop = span
    kind = rng.below(3)
    if kind == 0:
        return doc.splice(start, start, rng.choice(_MARKS) or b",")
    return doc.splice(start, min(stop, start + 1) if kind == 1 else stop, rng.choice(_MARKS))


@operator("syntax.number", "shallow")
def number(doc: Doc, rng: Rng) -> bytes | None:
    """A number spelled otherwise: with fraction, exponent, sign, leading zero, as a string, far too long."""
    span = spot(doc, rng, NUMBER)
    if span is None:
        return None
    start, stop = span
    raw = doc.data[start:stop]
    kind = rng.below(14)
    if kind < 4:
        new = raw + (b".0", b"e0", b"E+0", b".")[kind]
    elif kind < 9:
        new = (b"-", b"0", b"+", b"00", b"0x")[kind - 4] + raw
    elif kind == 9:
        new = b'"' + raw + b'"'
    elif kind == 10:
        new = raw + b"0" * rng.choice((1, 18, 19, 20, 400))
    elif kind == 11:
        new = raw[:1] + b"." + raw[1:] + b"0e%d" % (len(raw) - 1)
    elif kind == 12:
        new = raw[:-1] + b"%d" % (256 * (rng.below(9) + 1))
    else:
        new = rng.choice((b"-0", b"-1", b"1e400", b"1E1", b"18446744073709551616", b"1_0", b".5", b"\xd9\xa1"))
    return doc.splice(start, stop, new)


@operator("syntax.nesting", "shallow")
def nesting(doc: Doc, rng: Rng) -> bytes | None:
    """Arrays or objects nested up to a thousand deep, in place of a value."""
    span = value(doc, rng)
    return None if span is None else doc.splice(*span, nested(rng))


@operator("syntax.after", "shallow")
def after(doc: Doc, rng: Rng) -> bytes | None:
    """Something after the closing brace, still inside the header."""
    return doc.splice(doc.end, doc.end, rng.choice(_AFTER))


@operator("syntax.comma", "shallow")
def comma(doc: Doc, rng: Rng) -> bytes | None:
    """A comma before a closing bracket or after an opening one."""
    span = spot(doc, rng, rng.choice((b"{", b"}", b"[", b"]")))
    if span is None:
        return None
    start, stop = span
    at = stop if doc.data[start] in b"{[" else start
    return doc.splice(at, at, b",")
