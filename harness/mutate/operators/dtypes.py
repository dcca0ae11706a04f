"""Operators on element types."""

from __future__ import annotations

from harness.format.dtypes import DTYPE_BITS
from harness.format.tree import Doc
from harness.mutate.registry import operator
from harness.mutate.repair import DTYPES, QUOTED, resize
from harness.mutate.rng import Rng

_ODD = (
    b'"F128"', b'"I128"', b'"U128"', b'"F8"', b'"F6"', b'"I4"', b'"U4"', b'"I1"', b'"C128"', b'"C32"', b'"F8_E4M3FN"',
    b'"F32 "', b'" F32"', b'"F32\\u0000"', b'"F32\x00"', b'""', b'"f32"', b'"float32"', b'"bool"', b'"Bool"', b'"BF16 "',
    b'"F_32"', b'"F3"', b'"F322"', b'"F6_E2M1"', b'"F8_E5M2FNUZ "', b'"STRING"', b'"torch.float32"', b'"<f4"',
)  # fmt: skip


@operator("dtype.consistent", "sound", tensors=1)
def consistent(doc: Doc, rng: Rng) -> bytes | None:
    """Another dtype for one tensor; its size, later offsets and the buffer follow."""
    if not doc.tensors:
        return None
    tensor = rng.choice(doc.tensors)
    dtype = rng.choice(DTYPES)
    bits = tensor.count * DTYPE_BITS[dtype]
    if bits & 7 or bits > 1 << 15 or tensor.size < 0:
        return None
    pieces = doc.pieces.copy()
    pieces[tensor.at_dtype] = QUOTED[dtype]
    return doc.render(pieces, resize(doc, pieces, tensor, bits >> 3))


@operator("dtype.swap", "deep", tensors=1)
def swap(doc: Doc, rng: Rng) -> bytes | None:
    """Another dtype for one tensor, and nothing else changed."""
    if not doc.tensors:
        return None
    tensor = rng.choice(doc.tensors)
    pieces = doc.pieces.copy()
    pieces[tensor.at_dtype] = QUOTED[rng.choice(DTYPES)]
    return doc.render(pieces, doc.buffer)


@operator("dtype.unknown", "shallow", tensors=1)
def unknown(doc: Doc, rng: Rng) -> bytes | None:
    """A dtype that does not exist: another case, an old or a foreign name, one character off."""
    if not doc.tensors:
        return None
    tensor = rng.choice(doc.tensors)
    pieces = doc.pieces.copy()
    pieces[tensor.at_dtype] = rng.choice(_ODD) if rng.below(4) else QUOTED[tensor.dtype].lower() if tensor.bits else b'""'
    return doc.render(pieces, doc.buffer)
