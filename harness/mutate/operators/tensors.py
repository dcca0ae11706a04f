"""Operators on whole tensors: fewer, more, in another order."""

from __future__ import annotations

from harness.format.tree import Doc
from harness.mutate.generate import NAMES, generate
from harness.mutate.registry import operator
from harness.mutate.repair import DTYPES, dims_for, insert, remove
from harness.mutate.rng import Rng


@operator("tensor.remove", "sound", smaller=True)
def drop(doc: Doc, rng: Rng) -> bytes | None:
    """One tensor less; later offsets and the buffer close up."""
    if not doc.tensors:
        return None
    return remove(doc, rng.below(len(doc.tensors)))


@operator("tensor.add", "sound")
def add(doc: Doc, rng: Rng) -> bytes | None:
    """One more tensor, anywhere in header and buffer; later offsets move."""
    if len(doc.tensors) > 24:
        return None
    dtype = rng.choice(DTYPES)
    dims, size = dims_for(rng, dtype)
    return insert(doc, rng, rng.choice(NAMES), dtype, dims, size)


@operator("tensor.fresh", "sound")
def fresh(doc: Doc, rng: Rng) -> bytes | None:
    """A new valid file, with nothing of the old one."""
    return generate(rng)
