"""Operators on the fields of a tensor and on the shape of its JSON."""

from __future__ import annotations

from harness.format.tree import Doc
from harness.mutate.parts import LITERALS, NESTED, VALID
from harness.mutate.registry import operator
from harness.mutate.repair import value
from harness.mutate.rng import Rng

_KEYS = (
    b'"extra"',
    b'""',
    b'"Dtype"',
    b'"offsets"',
    b'"strides"',
    b'"name"',
    b'"__metadata__"',
    b'"dtype "',
    b'"\\u0000"',
)


@operator("field.missing", "shallow", tensors=1, smaller=True)
def missing(doc: Doc, rng: Rng) -> list[bytes]:
    """A tensor without one of its fields."""
    fields = rng.choice(doc.tensors).fields
    at = rng.below(len(fields))
    if at + 1 < len(fields):
        return doc.splice(fields[at][0][0], fields[at + 1][0][0], b"")
    return doc.splice(fields[at - 1][1][1], fields[at][1][1], b"")


@operator("field.extra", "deep", tensors=1, expensive=True)
def extra(doc: Doc, rng: Rng) -> list[bytes]:
    """One more field in a tensor, of any type, nested deep now and then."""
    (start, _), (_, stop) = rng.choice(rng.choice(doc.tensors).fields)
    key = rng.choice(_KEYS)
    values = rng.some(LITERALS[:VALID]) if rng.below(4) else rng.some(NESTED)[:3]
    if rng.below(2):
        return doc.splice(start, start, *[b"%b:%b," % (key, value) for value in values])
    return doc.splice(stop, stop, *[b",%b:%b" % (key, value) for value in values])


@operator("field.duplicate", "shallow", tensors=1)
def duplicate(doc: Doc, rng: Rng) -> list[bytes]:
    """A field twice in one tensor, alike or with another field's value."""
    fields = rng.choice(doc.tensors).fields
    data = doc.data
    key, (start, stop) = rng.choice(fields)
    at = fields[-1][1][1]
    name = data[slice(*key)]
    values = {data[start:stop], data[slice(*rng.choice(fields)[1])]}
    return doc.splice(at, at, *[b",%b:%b" % (name, value) for value in sorted(values)])


@operator("field.type", "shallow")
def wrong_type(doc: Doc, rng: Rng) -> list[bytes]:
    """A value of another JSON type, or of none, in place of any value of the header."""
    span = value(doc, rng)
    if span is None:
        return []
    parts = rng.bank.values.parts
    return doc.splice(*span, *rng.some(parts if parts and rng.below(4) == 0 else LITERALS))


@operator("field.array-form", "deep", tensors=1)
def array_form(doc: Doc, rng: Rng) -> list[bytes]:
    """A tensor as an array of its three values instead of an object."""
    tensor = rng.choice(doc.tensors)
    pieces = doc.pieces
    values = b"%b,%b,%b" % (pieces[tensor.at_dtype], pieces[tensor.at_shape], pieces[tensor.at_offsets])
    return doc.splice(*tensor.value, b"[%b]" % values, b"[%b,0]" % values)
