"""Operators on shapes."""

from __future__ import annotations

from harness.format.tree import Doc
from harness.mutate.registry import operator
from harness.mutate.repair import SHAPES, dims_text, resize
from harness.mutate.rng import Rng


@operator("shape.consistent", "sound", tensors=1)
def consistent(doc: Doc, rng: Rng) -> bytes | None:
    """Another small shape for one tensor; its size, later offsets and the buffer follow."""
    if not doc.tensors:
        return None
    tensor = rng.choice(doc.tensors)
    if not tensor.bits or tensor.size < 0:
        return None
    shape, size = rng.choice(SHAPES[tensor.dtype])
    pieces = doc.pieces.copy()
    pieces[tensor.at_shape] = shape
    return doc.render(pieces, resize(doc, pieces, tensor, size))


@operator("shape.zero", "sound", tensors=1)
def zero(doc: Doc, rng: Rng) -> bytes | None:
    """A zero among the dimensions of one tensor, and no bytes for it."""
    if not doc.tensors:
        return None
    tensor = rng.choice(doc.tensors)
    if tensor.size < 0:
        return None
    dims = list(tensor.dims)
    if dims and rng.below(2):
        dims[rng.below(len(dims))] = 0
    else:
        dims.insert(rng.below(len(dims) + 1), 0)
    pieces = doc.pieces.copy()
    pieces[tensor.at_shape] = dims_text(tuple(dims))
    return doc.render(pieces, resize(doc, pieces, tensor, 0))


_LARGE = (
    (1 << 64) - 1, 1 << 63, (1 << 63) - 1, 1 << 62, 1 << 61, (1 << 61) - 1, 1 << 60, 1 << 48, 1 << 33, 1 << 32, (1 << 32) - 1,
    1 << 31, (1 << 31) - 1, 1 << 16,
)  # fmt: skip


@operator("shape.overflow", "deep", tensors=1)
def overflow(doc: Doc, rng: Rng) -> bytes | None:
    """Dimensions whose product goes over 2**64, in any order, with or without a zero or a factor that wraps back."""
    if not doc.tensors:
        return None
    tensor = rng.choice(doc.tensors)
    dims = [rng.choice(_LARGE), rng.choice(_LARGE)]
    kind = rng.below(4)
    if kind == 0:
        dims.insert(rng.below(3), 0)
    elif kind == 1:
        # 2**32 * 2**32 * n wraps to 0, 2**63 * 2 too: what remains is what the offsets may say.
        dims = rng.choice(([1 << 32, 1 << 32], [1 << 63, 2], [2, 1 << 63], [1 << 61, 8], [1 << 60, 16], [1 << 62, 1 << 62]))
    elif kind == 2:
        dims.insert(rng.below(3), rng.below(9))
    pieces = doc.pieces.copy()
    pieces[tensor.at_shape] = b"[" + b",".join([b"%d" % dim for dim in dims]) + b"]"
    buffer = doc.buffer
    if kind < 2 and tensor.size > 0:
        buffer = resize(doc, pieces, tensor, 0)
    return doc.render(pieces, buffer)


@operator("shape.edit", "deep", tensors=1)
def edit(doc: Doc, rng: Rng) -> bytes | None:
    """One dimension off by one, doubled, huge, added or gone, and nothing else changed."""
    if not doc.tensors:
        return None
    tensor = rng.choice(doc.tensors)
    dims = list(tensor.dims)
    kind = rng.below(6)
    if not dims or kind == 0:
        dims.insert(rng.below(len(dims) + 1), rng.choice((0, 2, 3, 7, 255, 1 << 32, (1 << 64) - 1)))
    else:
        at = rng.below(len(dims))
        if kind == 1:
            del dims[at]
        elif kind == 2:
            dims[at] = rng.choice(_LARGE)
        else:
            dims[at] = max(0, dims[at] + 1) if kind == 3 else dims[at] - 1 if kind == 4 and dims[at] else dims[at] * 2
    pieces = doc.pieces.copy()
    pieces[tensor.at_shape] = dims_text(tuple(dims))
    return doc.render(pieces, doc.buffer)


@operator("shape.same-size", "sound", tensors=1)
def same_size(doc: Doc, rng: Rng) -> bytes | None:
    """Another shape of the same product: ones added or taken, dimensions turned round, split or merged."""
    if not doc.tensors:
        return None
    tensor = rng.choice(doc.tensors)
    dims = list(tensor.dims)
    kind = rng.below(6)
    if kind == 0 or not dims:
        dims.insert(rng.below(len(dims) + 1), 1)
    elif kind == 1:
        dims.reverse()
    elif kind == 2:
        dims = [tensor.count]
    elif kind == 3:
        at = rng.below(len(dims))
        if dims[at] % 2:
            return None
        dims[at : at + 1] = [2, dims[at] // 2]
    elif kind == 4:
        # High rank: readers keep shapes in small fixed arrays, and multiply in loops.
        dims.extend([1] * rng.choice((1, 7, 8, 15, 31, 32, 33, 63, 64, 65, 100)))
    elif 1 in dims:
        dims.remove(1)
    else:
        return None
    pieces = doc.pieces.copy()
    pieces[tensor.at_shape] = dims_text(tuple(dims))
    return doc.render(pieces, doc.buffer)


