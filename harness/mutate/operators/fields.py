"""Operators on the fields of a tensor and on the shape of its JSON."""

from __future__ import annotations

from harness.format.tree import Doc, Member
from harness.mutate.operators.syntax import LITERALS, nested
from harness.mutate.registry import operator
from harness.mutate.repair import QUOTED, dims_text
from harness.mutate.rng import Rng

_KEYS = (b'"extra"', b'""', b'"Dtype"', b'"offsets"', b'"strides"', b'"name"', b'"__metadata__"', b'"dtype "', b'"\\u0000"')
_RENAMED = (
    b'"Dtype"', b'"DTYPE"', b'"dtype "', b'"type"', b'"shapes"', b'"Shape"', b'"data_offset"', b'"dataOffsets"', b'"offsets"',
    b'"data-offsets"', b'"data_offsets\\u0000"', b'""',
)  # fmt: skip


def _field(doc: Doc, rng: Rng) -> Member | None:
    if not doc.fields:
        return None
    fields = rng.choice(doc.fields)
    return rng.choice(fields) if fields else None


@operator("field.missing", "shallow", smaller=True)
def missing(doc: Doc, rng: Rng) -> bytes | None:
    """A tensor without one of its fields."""
    field = _field(doc, rng)
    return None if field is None else doc.splice(*field.cut, b"")


@operator("field.extra", "deep")
def extra(doc: Doc, rng: Rng) -> bytes | None:
    """One more field in a tensor, of any type, nested deep now and then."""
    field = _field(doc, rng)
    if field is None:
        return None
    key = rng.choice(_KEYS)
    value = rng.choice(LITERALS[:20]) if rng.below(4) else nested(rng)
    if rng.below(2):
        return doc.splice(field.span[0], field.span[0], key + b":" + value + b",")
    return doc.splice(field.span[1], field.span[1], b"," + key + b":" + value)


@operator("field.rename", "shallow")
def rename(doc: Doc, rng: Rng) -> bytes | None:
    """A field under a name that only resembles its own."""
    field = _field(doc, rng)
    return None if field is None else doc.splice(*field.key, rng.choice(_RENAMED))


@operator("field.duplicate", "shallow")
def duplicate(doc: Doc, rng: Rng) -> bytes | None:
    """A field twice in one tensor, alike or with another field's value."""
    if not doc.fields:
        return None
    fields = rng.choice(doc.fields)
    if not fields:
        return None
    field, other = rng.choice(fields), rng.choice(fields)
    data = doc.data
    new = data[field.key[0] : field.key[1]] + b":" + data[other.value[0] : other.value[1]]
    return doc.splice(other.span[1], other.span[1], b"," + new)


@operator("field.reorder", "sound")
def reorder(doc: Doc, rng: Rng) -> bytes | None:
    """Two fields of a tensor change places."""
    if not doc.fields:
        return None
    fields = rng.choice(doc.fields)
    if len(fields) < 2:
        return None
    at = rng.below(len(fields) - 1)
    (start, first), (second, stop) = fields[at].span, fields[at + 1 + rng.below(len(fields) - at - 1)].span
    data = doc.data
    return doc.splice(start, stop, data[second:stop] + data[first:second] + data[start:first])


@operator("field.type", "shallow")
def wrong_type(doc: Doc, rng: Rng) -> bytes | None:
    """A value of another JSON type, or of none, in place of any value of the header."""
    if not doc.values:
        return None
    start, stop = rng.choice(doc.values)
    parts = rng.bank.values.parts
    return doc.splice(start, stop, rng.choice(parts) if parts and rng.below(4) == 0 else rng.choice(LITERALS))


@operator("field.array-form", "deep")
def array_form(doc: Doc, rng: Rng) -> bytes | None:
    """A tensor as an array of its three values instead of an object."""
    if not doc.tensors:
        return None
    tensor = rng.choice(doc.tensors)
    values = [QUOTED.get(tensor.dtype, b'""'), dims_text(tensor.dims), b"[%d,%d]" % (tensor.begin, tensor.end)]
    if rng.below(4) == 0:
        values.append(b"0")
    pieces = doc.pieces.copy()
    pieces[tensor.value : tensor.last] = [b"[" + b",".join(values) + b"]"]
    return doc.render(pieces, doc.buffer)


@operator("field.dtype-form", "deep")
def dtype_form(doc: Doc, rng: Rng) -> bytes | None:
    """A dtype as an object with one key, as some readers take an enumeration, or as a number."""
    if not doc.tensors:
        return None
    tensor = rng.choice(doc.tensors)
    pieces = doc.pieces.copy()
    dtype = pieces[tensor.at_dtype]
    pieces[tensor.at_dtype] = rng.choice((b"{%b:null}", b"{%b:null}", b"{%b:[]}", b"[%b]", b"{%b:{}}")) % dtype
    return doc.render(pieces, doc.buffer)
