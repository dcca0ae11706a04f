"""Operators on ``__metadata__``."""

from __future__ import annotations

from harness.format.tree import Doc
from harness.mutate.generate import NAMES, TEXTS, metadata
from harness.mutate.operators.encoding import respell
from harness.mutate.operators.syntax import LITERALS
from harness.mutate.registry import operator
from harness.mutate.repair import add
from harness.mutate.rng import Rng

_OTHER = (b"null", b"[]", b'""', b"0", b"true", b'[["a","b"]]', b'{"a":null}', b'{"a":{}}', b'{"a":1}', b"{}")


def _add(doc: Doc, rng: Rng, value: bytes) -> bytes:
    """Return the file with one more member called ``__metadata__``, among the others."""
    return doc.render(add(doc, rng, b'"__metadata__":' + value), doc.buffer)


@operator("metadata.set", "sound")
def change(doc: Doc, rng: Rng) -> bytes | None:
    """Other metadata: one more string, another value, another key, or all of it new."""
    member = doc.metadata
    if member is None:
        return _add(doc, rng, metadata(rng))
    items = doc.items()
    if not items:
        return doc.splice(*member.value, metadata(rng))
    item_key, item_value = rng.choice(items)
    kind = rng.below(3)
    if kind == 0:
        return doc.splice(*item_value, rng.choice(TEXTS))
    if kind == 1:
        return doc.splice(*item_key, rng.choice(NAMES))
    at = item_key[0]
    return doc.splice(at, at, rng.choice(NAMES) + b":" + rng.choice(TEXTS) + b",")


@operator("metadata.remove", "sound", smaller=True)
def remove(doc: Doc, rng: Rng) -> bytes | None:
    """One key of the metadata less, or none of it left."""
    if doc.metadata is None:
        return None
    items = doc.items()
    if len(items) < 2 or rng.below(3) == 0:
        return doc.splice(*doc.cut(doc.metadata), b"")
    at = rng.below(len(items))
    if at + 1 < len(items):
        return doc.splice(items[at][0][0], items[at + 1][0][0], b"")
    return doc.splice(items[at - 1][1][1], items[at][1][1], b"")


@operator("metadata.type", "shallow")
def wrong_type(doc: Doc, rng: Rng) -> bytes | None:
    """Metadata that is no object of strings: null, an array, numbers or objects as values."""
    if doc.metadata is None:
        return _add(doc, rng, rng.choice(_OTHER))
    items = doc.items()
    if items and rng.below(3):
        return doc.splice(*rng.choice(items)[1], rng.choice(LITERALS))
    return doc.splice(*doc.metadata.value, rng.choice(_OTHER))


@operator("metadata.duplicate", "deep")
def duplicate(doc: Doc, rng: Rng) -> bytes | None:
    """A key twice in the metadata, perhaps with another value or spelling; or the metadata themselves twice."""
    if doc.metadata is None:
        return _add(doc, rng, b'{"a":"1","a":"2"}')
    data = doc.data
    items = doc.items()
    if not items or rng.below(5) == 0:
        return _add(doc, rng, rng.choice((b"null", b"{}", data[doc.metadata.value[0] : doc.metadata.value[1]])))
    (start, stop), (first, last) = rng.choice(items)
    key = data[start:stop]
    if rng.below(2):
        key = respell(key, rng) or key
    value = rng.choice(TEXTS) if rng.below(2) else data[first:last]
    return doc.splice(last, last, b"," + key + b":" + value)
