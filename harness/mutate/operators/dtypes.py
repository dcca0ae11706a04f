"""Operators on element types."""

from __future__ import annotations

from harness.format.dtypes import DTYPE_BITS
from harness.format.tree import Doc
from harness.mutate.parts import DTYPES, QUOTED
from harness.mutate.registry import operator
from harness.mutate.repair import retype
from harness.mutate.rng import Rng

_ODD = (
    b'"F128"', b'"I128"', b'"U128"', b'"F8"', b'"F6"', b'"I4"', b'"U4"', b'"I1"', b'"C128"', b'"C32"', b'"F8_E4M3FN"',
    b'"F32 "', b'" F32"', b'"F32\\u0000"', b'"F32\x00"', b'""', b'"f32"', b'"float32"', b'"bool"', b'"Bool"', b'"BF16 "',
    b'"F_32"', b'"F3"', b'"F322"', b'"F6_E2M1"', b'"F8_E5M2FNUZ "', b'"STRING"', b'"torch.float32"', b'"<f4"', b'"i64"',
)  # fmt: skip
_SIZED = tuple((QUOTED[name], DTYPE_BITS[name]) for name in DTYPES)
_ALL = tuple(QUOTED.values())


@operator("dtype.consistent", "sound", tensors=1)
def consistent(doc: Doc, rng: Rng) -> list[bytes]:
    """Another dtype for one tensor; its size, later offsets and the buffer follow."""
    tensor = rng.choice(doc.tensors)
    count = tensor.count
    if count > 1 << 10 or tensor.size < 0:
        return []
    shape = doc.pieces[tensor.at_shape]
    return retype(
        doc, tensor, [(name, shape, count * bits >> 3) for name, bits in rng.some(_SIZED) if not count * bits & 7]
    )


@operator("dtype.swap", "deep", tensors=1)
def swap(doc: Doc, rng: Rng) -> list[bytes]:
    """Another dtype for one tensor, and nothing else changed."""
    return doc.splice(*rng.choice(doc.tensors).spans[0], *rng.some(_ALL))


@operator("dtype.unknown", "shallow", tensors=1)
def unknown(doc: Doc, rng: Rng) -> list[bytes]:
    """A dtype that does not exist: another case, an old or a foreign name, one character off."""
    return doc.splice(*rng.choice(doc.tensors).spans[0], *rng.some(_ODD))


@operator("dtype.form", "deep", tensors=1)
def form(doc: Doc, rng: Rng) -> list[bytes]:
    """A dtype as an object with one key, as some readers take an enumeration, or in an array."""
    tensor = rng.choice(doc.tensors)
    dtype = doc.pieces[tensor.at_dtype]
    return doc.splice(*tensor.spans[0], b"{%b:null}" % dtype, b"[%b]" % dtype, b"{%b:{}}" % dtype, b"{%b:[]}" % dtype)
