"""Operators on ``__metadata__``."""

from __future__ import annotations

from harness.format.tree import Doc
from harness.mutate.generate import NAMES, TEXTS, metadata
from harness.mutate.operators.encoding import respell
from harness.mutate.operators.syntax import LITERALS
from harness.mutate.registry import operator
from harness.mutate.rng import Rng

_OTHER = (b"null", b"[]", b'""', b"0", b"true", b'[["a","b"]]', b'{"a":null}', b'{"a":{}}', b'{"a":1}', b"{}")


def _add(doc: Doc, rng: Rng, value: bytes, key: bytes = b'"__metadata__"') -> bytes:
    """Return the file with one more member, among the others."""
    new = key + b":" + value
    if not doc.members:
        at = doc.tokens[0][1] if doc.tokens else doc.end
        return doc.splice(at, at, new)
    at = rng.choice(doc.members).span[0]
    return doc.splice(at, at, new + b",")


@operator("metadata.set", "sound")
def change(doc: Doc, rng: Rng) -> bytes | None:
    """Other metadata: one more string, another value, another key, or all of it new."""
    member = doc.metadata
    if member is None:
        return _add(doc, rng, metadata(rng))
    if not doc.items:
        return doc.splice(*member.value, metadata(rng))
    item = rng.choice(doc.items)
    kind = rng.below(3)
    if kind == 0:
        return doc.splice(*item.value, rng.choice(TEXTS))
    if kind == 1:
        return doc.splice(*item.key, rng.choice(NAMES))
    at = item.span[0]
    return doc.splice(at, at, rng.choice(NAMES) + b":" + rng.choice(TEXTS) + b",")


@operator("metadata.remove", "sound", smaller=True)
def remove(doc: Doc, rng: Rng) -> bytes | None:
    """One key of the metadata less, or none of it left."""
    if doc.metadata is None:
        return None
    if doc.items and rng.below(3):
        return doc.splice(*rng.choice(doc.items).cut, b"")
    return doc.splice(*doc.metadata.cut, b"")


@operator("metadata.type", "shallow")
def wrong_type(doc: Doc, rng: Rng) -> bytes | None:
    """Metadata that is no object of strings: null, an array, numbers or objects as values."""
    if doc.metadata is None:
        return _add(doc, rng, rng.choice(_OTHER))
    if doc.items and rng.below(3):
        return doc.splice(*rng.choice(doc.items).value, rng.choice(LITERALS))
    return doc.splice(*doc.metadata.value, rng.choice(_OTHER))


@operator("metadata.duplicate", "deep")
def duplicate(doc: Doc, rng: Rng) -> bytes | None:
    """A key twice in the metadata, perhaps with another value or spelling; or the metadata themselves twice."""
    if doc.metadata is None:
        return _add(doc, rng, b'{"a":"1","a":"2"}')
    data = doc.data
    if not doc.items or rng.below(5) == 0:
        return _add(doc, rng, rng.choice((b"null", b"{}", data[doc.metadata.value[0] : doc.metadata.value[1]])))
    item = rng.choice(doc.items)
    key = data[item.key[0] : item.key[1]]
    if rng.below(2):
        key = respell(key, rng) or key
    value = rng.choice(TEXTS) if rng.below(2) else data[item.value[0] : item.value[1]]
    at = item.span[1]
    return doc.splice(at, at, b"," + key + b":" + value)
