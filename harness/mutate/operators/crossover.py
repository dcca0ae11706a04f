"""Crossover: parts of other inputs of the same kind, from the bank."""

from __future__ import annotations

from math import prod

from harness.format.dtypes import DTYPE_BITS
from harness.format.tree import Doc
from harness.mutate.registry import operator
from harness.mutate.repair import QUOTED, dims_text, insert, resize
from harness.mutate.rng import Rng

_ROOM = 512


@operator("cross.tensor", "sound")
def tensor(doc: Doc, rng: Rng) -> bytes | None:
    """A tensor of another input, with bytes of its own; later offsets move."""
    entries = rng.bank.entries.parts
    if not entries or len(doc.tensors) > 24:
        return None
    name, dtype, dims = rng.choice(entries)
    return insert(doc, rng, name, dtype, dims_text(dims), prod(dims) * DTYPE_BITS[dtype] // 8)


@operator("cross.type", "sound", tensors=1)
def kind(doc: Doc, rng: Rng) -> bytes | None:
    """Dtype and shape of another input's tensor; size, later offsets and the buffer follow."""
    entries = rng.bank.entries.parts
    if not entries or not doc.tensors:
        return None
    target = rng.choice(doc.tensors)
    if target.size < 0:
        return None
    _, dtype, dims = rng.choice(entries)
    pieces = doc.pieces.copy()
    pieces[target.at_dtype] = QUOTED[dtype]
    pieces[target.at_shape] = dims_text(dims)
    return doc.render(pieces, resize(doc, pieces, target, prod(dims) * DTYPE_BITS[dtype] // 8))


@operator("cross.shape", "deep", tensors=1)
def shape(doc: Doc, rng: Rng) -> bytes | None:
    """Another input's shape for one tensor, and nothing else changed."""
    shapes = rng.bank.shapes.parts
    if not shapes or not doc.tensors:
        return None
    pieces = doc.pieces.copy()
    pieces[rng.choice(doc.tensors).at_shape] = dims_text(rng.choice(shapes))
    return doc.render(pieces, doc.buffer)


@operator("cross.member", "deep")
def member(doc: Doc, rng: Rng) -> bytes | None:
    """A member of another input as it is, added or in place of one here; no offset is repaired."""
    members = rng.bank.members.parts
    if not members or not doc.members:
        return None
    here = rng.choice(doc.members)
    new = rng.choice(members)
    if rng.below(2):
        return doc.splice(here.key[0], here.value[1], new)
    return doc.splice(here.key[0], here.key[0], new + b",")
