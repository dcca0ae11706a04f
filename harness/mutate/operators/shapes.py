"""Operators on shapes."""

from __future__ import annotations

from harness.format.tree import Doc
from harness.mutate.parts import KINDS, dims_text
from harness.mutate.registry import operator
from harness.mutate.repair import retype
from harness.mutate.rng import Rng

_LARGE = (
    (1 << 64) - 1, 1 << 63, (1 << 63) - 1, 1 << 62, 1 << 61, (1 << 61) - 1, 1 << 60, 1 << 48, 1 << 33, 1 << 32, (1 << 32) - 1,
    1 << 31, (1 << 31) - 1, 1 << 16,
)  # fmt: skip


def _products() -> tuple[bytes, ...]:
    """Return shapes whose product passes 2**64, with another number before, between or behind the two."""
    rng = Rng(2)
    found = []
    for large in _LARGE:
        for other in _LARGE[:12]:
            dims = [large, other]
            if rng.below(2):
                dims.insert(rng.below(3), rng.below(9))
            found.append(dims_text(tuple(dims)))
    return tuple(found)


_OVER = _products()
# Shapes whose true product is far over 2**64, or has a zero somewhere: 0 if it is counted modulo 2**64.
_WRAPPED = tuple(
    (dims_text(dims), 0)
    for a, b in (
        (1 << 32, 1 << 32), (1 << 63, 2), (1 << 61, 8), (1 << 60, 16), (1 << 62, 1 << 62), ((1 << 64) - 1, 1 << 63),
    )
    for dims in ((a, b), (b, a), (0, a, b), (a, 0, b), (a, b, 0), (a, b, 4))
)  # fmt: skip
_EDITS = (0, 2, 3, 7, 255, 65537, 1 << 32, 1 << 53, (1 << 64) - 1, 1 << 64)
_ONES = tuple(b"1," * rank for rank in (1, 7, 8, 15, 31, 32, 33, 63, 64, 65, 100))


@operator("shape.kind", "sound", tensors=1)
def kind(doc: Doc, rng: Rng) -> list[bytes]:
    """Another dtype and shape for one tensor; its size, later offsets and the buffer follow."""
    tensor = rng.choice(doc.tensors)
    return retype(doc, tensor, rng.some(KINDS)) if tensor.size >= 0 else []


@operator("shape.zero", "sound", tensors=1)
def zero(doc: Doc, rng: Rng) -> list[bytes]:
    """A zero among the dimensions of one tensor, and no bytes for it."""
    tensor = rng.choice(doc.tensors)
    if tensor.size < 0:
        return []
    dtype, shape = doc.pieces[tensor.at_dtype], doc.pieces[tensor.at_shape]
    if not tensor.dims:
        return retype(doc, tensor, [(dtype, b"[0]", 0)])
    first, comma, rest = shape[1:-1].partition(b",")
    shapes = [b"[0,%b]" % shape[1:-1], b"[%b,0]" % shape[1:-1], b"[0%b%b]" % (comma, rest)]
    if comma:
        shapes.append(b"[%b,0,%b]" % (first, rest))
    return retype(doc, tensor, [(dtype, zero, 0) for zero in shapes])


@operator("shape.same-size", "sound", tensors=1)
def same_size(doc: Doc, rng: Rng) -> list[bytes]:
    """Another shape of the same product: ones added, up to high ranks, dimensions turned round, split, merged."""
    tensor = rng.choice(doc.tensors)
    dims = tensor.dims
    inside = doc.pieces[tensor.at_shape][1:-1]
    if not dims:
        return doc.splice(*tensor.spans[1], b"[1]", b"[%b]" % rng.choice(_ONES)[:-1])
    news = [b"[%b%b]" % (rng.choice(_ONES), inside), b"[%b,1]" % inside, b"[1,%b]" % inside]
    if len(dims) > 1:
        parts = inside.split(b",")
        news += [b"[%b]" % b",".join(parts[::-1]), b"[%d]" % tensor.count]
        if 1 in dims:
            news.append(dims_text(tuple([dim for dim in dims if dim != 1])))
    if dims[0] % 2 == 0:
        news.append(dims_text((2, dims[0] // 2, *dims[1:])))
    return doc.splice(*tensor.spans[1], *news)


@operator("shape.overflow", "deep", tensors=1)
def overflow(doc: Doc, rng: Rng) -> list[bytes]:
    """Dimensions whose product goes over 2**64, in any order, some with a zero."""
    return doc.splice(*rng.choice(doc.tensors).spans[1], *rng.some(_OVER))


@operator("shape.wrap", "deep", tensors=1)
def wrap(doc: Doc, rng: Rng) -> list[bytes]:
    """Dimensions whose product is 2**64 or holds a zero, and no bytes: right for who counts modulo 2**64 or stops at 0."""
    tensor = rng.choice(doc.tensors)
    dtype = doc.pieces[tensor.at_dtype]
    return retype(doc, tensor, [(dtype, shape, size) for shape, size in rng.some(_WRAPPED)]) if tensor.size >= 0 else []


@operator("shape.edit", "deep", tensors=1)
def edit(doc: Doc, rng: Rng) -> list[bytes]:
    """One dimension off by one, doubled, huge, added or gone, and nothing else changed."""
    tensor = rng.choice(doc.tensors)
    dims = tensor.dims
    at = rng.below(len(dims) + 1)
    head = b"[" + b"".join([b"%d," % dim for dim in dims[:at]])
    tail = b"".join([b",%d" % dim for dim in dims[at + 1 :]]) + b"]"
    if at == len(dims):
        return doc.splice(*tensor.spans[1], *[b"%b%d]" % (head, dim) for dim in _EDITS])
    dim = dims[at]
    others = (dim + 1, dim * 2, rng.choice(_LARGE), abs(dim - 1), rng.choice(_EDITS))
    news = [b"%b%d%b" % (head, other, tail) for other in others]
    news.append(b"%b%d,%d%b" % (head, rng.choice(_EDITS), dim, tail))
    news.append(dims_text(dims[:at] + dims[at + 1 :]))
    return doc.splice(*tensor.spans[1], *news)
