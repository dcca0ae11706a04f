"""Crossover: parts of other inputs of the same kind, from the bank."""

from __future__ import annotations

from harness.format.tree import Doc
from harness.mutate.registry import operator
from harness.mutate.repair import insert
from harness.mutate.rng import Rng


@operator("cross.tensor", "sound")
def tensor(doc: Doc, rng: Rng) -> list[bytes]:
    """A tensor of another input, with bytes of its own; later offsets move."""
    entries = rng.bank.entries.parts
    if not entries or len(doc.tensors) > 24:
        return []
    return insert(doc, rng, rng.some(entries))


@operator("cross.shape", "deep", tensors=1)
def shape(doc: Doc, rng: Rng) -> list[bytes]:
    """Another input's shape for one tensor, and nothing else changed."""
    shapes = rng.bank.shapes.parts
    return doc.splice(*rng.choice(doc.tensors).spans[1], *rng.some(shapes)) if shapes else []
