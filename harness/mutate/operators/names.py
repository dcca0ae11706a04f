"""Operators on the names of tensors."""

from __future__ import annotations

from harness.format.tree import Doc
from harness.mutate.operators.encoding import respell
from harness.mutate.parts import NAMES
from harness.mutate.registry import operator
from harness.mutate.rng import Rng

_RESERVED = (
    b'"__metadata__"', b'"__metadata__ "', b'"__METADATA__"', b'"__metadata"', b'"\\u005f_metadata__"', b'"__metadat\\u0061__"',
    b'"__metadata__\\u0000"', b'"__metadata__\x00"', b'" __metadata__"', b'"metadata"',
)  # fmt: skip


@operator("name.replace", "sound", tensors=1)
def replace(doc: Doc, rng: Rng) -> list[bytes]:
    """Another name for one tensor: empty, NUL, long, a path, any script, or one seen elsewhere."""
    known = rng.bank.names.parts
    names = rng.some(known) if known and rng.below(2) else rng.some(NAMES)
    return doc.splice(*rng.choice(doc.tensors).key, *names)


@operator("name.reserved", "deep", tensors=1)
def reserved(doc: Doc, rng: Rng) -> list[bytes]:
    """A tensor called ``__metadata__``, or nearly so, or so once its escapes are read."""
    return doc.splice(*rng.choice(doc.tensors).key, *rng.some(_RESERVED))


@operator("name.equal", "deep", tensors=2, dear=True)
def equal(doc: Doc, rng: Rng) -> list[bytes]:
    """Two tensors of one name, spelled alike or by other escapes; all else stays consistent."""
    tensors = doc.tensors
    at = rng.below(len(tensors))
    name = tensors[at - 1 - rng.below(len(tensors) - 1)].name
    return doc.splice(*tensors[at].key, name, *respell(name)[:4])
