"""Operators on the fields of a tensor and on the shape of its JSON."""

from __future__ import annotations

from harness.format.tree import Doc
from harness.mutate.operators.syntax import LITERALS, nested
from harness.mutate.registry import operator
from harness.mutate.repair import value
from harness.mutate.rng import Rng

_KEYS = (b'"extra"', b'""', b'"Dtype"', b'"offsets"', b'"strides"', b'"name"', b'"__metadata__"', b'"dtype "', b'"\\u0000"')
_RENAMED = (
    b'"Dtype"', b'"DTYPE"', b'"dtype "', b'"type"', b'"shapes"', b'"Shape"', b'"data_offset"', b'"dataOffsets"', b'"offsets"',
    b'"data-offsets"', b'"data_offsets\\u0000"', b'""',
)  # fmt: skip


@operator("field.missing", "shallow", tensors=1, smaller=True)
def missing(doc: Doc, rng: Rng) -> bytes | None:
    """A tensor without one of its fields."""
    if not doc.tensors:
        return None
    fields = rng.choice(doc.tensors).fields
    at = rng.below(len(fields))
    if at + 1 < len(fields):
        return doc.splice(fields[at][0][0], fields[at + 1][0][0], b"")
    return doc.splice(fields[at - 1][1][1], fields[at][1][1], b"")


@operator("field.extra", "deep", tensors=1)
def extra(doc: Doc, rng: Rng) -> bytes | None:
    """One more field in a tensor, of any type, nested deep now and then."""
    if not doc.tensors:
        return None
    (start, _), (_, stop) = rng.choice(rng.choice(doc.tensors).fields)
    key = rng.choice(_KEYS)
    value = rng.choice(LITERALS[:20]) if rng.below(4) else nested(rng)
    if rng.below(2):
        return doc.splice(start, start, key + b":" + value + b",")
    return doc.splice(stop, stop, b"," + key + b":" + value)


@operator("field.rename", "shallow", tensors=1)
def rename(doc: Doc, rng: Rng) -> bytes | None:
    """A field under a name that only resembles its own."""
    if not doc.tensors:
        return None
    return doc.splice(*rng.choice(rng.choice(doc.tensors).fields)[0], rng.choice(_RENAMED))


@operator("field.duplicate", "shallow", tensors=1)
def duplicate(doc: Doc, rng: Rng) -> bytes | None:
    """A field twice in one tensor, alike or with another field's value."""
    if not doc.tensors:
        return None
    fields = rng.choice(doc.tensors).fields
    key, (start, stop) = rng.choice(fields)[0], rng.choice(fields)[1]
    data = doc.data
    return doc.splice(stop, stop, b"," + data[key[0] : key[1]] + b":" + data[start:stop])


@operator("field.reorder", "sound", tensors=1)
def reorder(doc: Doc, rng: Rng) -> bytes | None:
    """Two fields of a tensor change places."""
    if not doc.tensors:
        return None
    fields = rng.choice(doc.tensors).fields
    at = rng.below(len(fields) - 1)
    (start, _), (_, first) = fields[at]
    (second, _), (_, stop) = fields[at + 1 + rng.below(len(fields) - at - 1)]
    data = doc.data
    return doc.splice(start, stop, data[second:stop] + data[first:second] + data[start:first])


@operator("field.type", "shallow")
def wrong_type(doc: Doc, rng: Rng) -> bytes | None:
    """A value of another JSON type, or of none, in place of any value of the header."""
    span = value(doc, rng)
    if span is None:
        return None
    parts = rng.bank.values.parts
    return doc.splice(*span, rng.choice(parts) if parts and rng.below(4) == 0 else rng.choice(LITERALS))


@operator("field.array-form", "deep", tensors=1)
def array_form(doc: Doc, rng: Rng) -> bytes | None:
    """A tensor as an array of its three values instead of an object."""
    if not doc.tensors:
        return None
    tensor = rng.choice(doc.tensors)
    pieces = doc.pieces.copy()
    values = [pieces[tensor.at_dtype], pieces[tensor.at_shape], pieces[tensor.at_offsets]]
    if rng.below(4) == 0:
        values.append(b"0")
    pieces[tensor.first + 1 : tensor.last] = [b":[" + b",".join(values) + b"]"]
    return doc.render(pieces, doc.buffer)


@operator("field.dtype-form", "deep", tensors=1)
def dtype_form(doc: Doc, rng: Rng) -> bytes | None:
    """A dtype as an object with one key, as some readers take an enumeration, or as a number."""
    if not doc.tensors:
        return None
    tensor = rng.choice(doc.tensors)
    pieces = doc.pieces.copy()
    dtype = pieces[tensor.at_dtype]
    pieces[tensor.at_dtype] = rng.choice((b"{%b:null}", b"{%b:null}", b"{%b:[]}", b"[%b]", b"{%b:{}}")) % dtype
    return doc.render(pieces, doc.buffer)
