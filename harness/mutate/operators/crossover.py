"""Crossover: parts of other inputs of the same kind, from the bank."""

from __future__ import annotations

from harness.format.tree import Doc
from harness.mutate.registry import operator
from harness.mutate.repair import insert, retype
from harness.mutate.rng import Rng


@operator("cross.tensor", "sound")
def tensor(doc: Doc, rng: Rng) -> list[bytes]:
    """A tensor of another input, with bytes of its own; later offsets move."""
    entries = rng.bank.entries.parts
    if not entries or len(doc.tensors) > 24:
        return []
    return insert(doc, rng, rng.some(entries))


@operator("cross.type", "sound", tensors=1)
def kind(doc: Doc, rng: Rng) -> list[bytes]:
    """Dtype and shape of another input's tensor; size, later offsets and the buffer follow."""
    entries = rng.bank.entries.parts
    target = rng.choice(doc.tensors)
    if not entries or target.size < 0:
        return []
    return retype(doc, target, [known[1:] for known in rng.some(entries)])


@operator("cross.shape", "deep", tensors=1)
def shape(doc: Doc, rng: Rng) -> list[bytes]:
    """Another input's shape for one tensor, and nothing else changed."""
    shapes = rng.bank.shapes.parts
    return doc.splice(*rng.choice(doc.tensors).spans[1], *rng.some(shapes)) if shapes else []


@operator("cross.member", "deep")
def member(doc: Doc, rng: Rng) -> list[bytes]:
    """A member of another input as it is, added or in place of one here; no offset is repaired."""
    members = rng.bank.members.parts
    if not members or not doc.members:
        return []
    here = rng.choice(doc.members)
    news = rng.some(members)
    if rng.below(2):
        return doc.splice(here.key[0], here.value[1], *news)
    return doc.splice(here.key[0], here.key[0], *[new + b"," for new in news])
