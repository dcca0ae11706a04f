"""Operators on the names of tensors."""

from __future__ import annotations

from harness.format.tree import Doc
from harness.mutate.generate import NAMES
from harness.mutate.operators.encoding import respell
from harness.mutate.registry import operator
from harness.mutate.rng import Rng

_RESERVED = (
    b'"__metadata__"', b'"__metadata__ "', b'"__METADATA__"', b'"__metadata"', b'"\\u005f_metadata__"', b'"__metadat\\u0061__"',
    b'"__metadata__\\u0000"', b'"__metadata__\x00"', b'" __metadata__"', b'"metadata"',
)  # fmt: skip


@operator("name.replace", "sound", tensors=1)
def replace(doc: Doc, rng: Rng) -> bytes | None:
    """Another name for one tensor: empty, NUL, long, a path, any script, or one seen elsewhere."""
    if not doc.tensors:
        return None
    tensor = rng.choice(doc.tensors)
    known = rng.bank.names.parts
    pieces = doc.pieces.copy()
    pieces[tensor.first] = rng.choice(known) if known and rng.below(2) else rng.choice(NAMES)
    return doc.render(pieces, doc.buffer)


@operator("name.reserved", "deep", tensors=1)
def reserved(doc: Doc, rng: Rng) -> bytes | None:
    """A tensor called ``__metadata__``, or nearly so, or so once its escapes are read."""
    if not doc.tensors:
        return None
    pieces = doc.pieces.copy()
    pieces[rng.choice(doc.tensors).first] = rng.choice(_RESERVED)
    return doc.render(pieces, doc.buffer)


@operator("name.equal", "deep", tensors=2)
def equal(doc: Doc, rng: Rng) -> bytes | None:
    """Two tensors of one name, spelled alike or by other escapes; all else stays consistent."""
    tensors = doc.tensors
    if len(tensors) < 2:
        return None
    at = rng.below(len(tensors))
    name = tensors[at - 1 - rng.below(len(tensors) - 1)].name
    pieces = doc.pieces.copy()
    pieces[tensors[at].first] = (respell(name, rng) or name) if rng.below(2) else name
    return doc.render(pieces, doc.buffer)
