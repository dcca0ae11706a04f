"""Operators on whole tensors: fewer, more, in another order. All of them keep a sound file sound."""

from __future__ import annotations

from harness.format.tree import Doc
from harness.mutate.parts import KINDS, NAMES
from harness.mutate.registry import operator
from harness.mutate.repair import insert, mend, remove
from harness.mutate.rng import Rng

_MANY = 24


@operator("tensor.remove", "sound", tensors=1, smaller=True)
def drop(doc: Doc, rng: Rng) -> list[bytes]:
    """One tensor less; later offsets and the buffer close up."""
    return [remove(doc, tensor) for tensor in (doc.tensors if len(doc.tensors) < 4 else [rng.choice(doc.tensors)])]


@operator("tensor.few", "sound", tensors=2, smaller=True)
def few(doc: Doc, rng: Rng) -> list[bytes]:
    """A new valid file of one to three of the tensors, without metadata and spaces."""
    tensors = doc.tensors
    start = rng.below(len(tensors))
    return mend(tensors[start : start + 1 + rng.below(3)])


@operator("tensor.add", "sound")
def add_one(doc: Doc, rng: Rng) -> list[bytes]:
    """One more tensor, anywhere in header and buffer; later offsets move."""
    if len(doc.tensors) > _MANY:
        return []
    name = rng.choice(NAMES)
    return insert(doc, rng, [(name, *kind) for kind in rng.some(KINDS)])


@operator("tensor.permute", "sound", tensors=2)
def permute(doc: Doc, rng: Rng) -> list[bytes]:
    """Two members of the header change places; offsets and data stay."""
    members = doc.members
    at = rng.below(len(members) - 1)
    first, second = members[at], members[at + 1 + rng.below(len(members) - at - 1)]
    data = doc.data
    (a, b), (c, d) = (first.key[0], first.value[1]), (second.key[0], second.value[1])
    return doc.splice(a, d, data[c:d] + data[b:c] + data[a:b])
