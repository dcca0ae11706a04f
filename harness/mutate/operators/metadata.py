"""Operators on ``__metadata__``."""

from __future__ import annotations

from harness.format.tree import Doc
from harness.mutate.generate import metadata
from harness.mutate.operators.encoding import respell
from harness.mutate.parts import LITERALS, NAMES, TEXTS
from harness.mutate.registry import operator
from harness.mutate.repair import add
from harness.mutate.rng import Rng

_RANDOM = Rng(3)
_NEW = tuple(metadata(_RANDOM) for _ in range(64))
_OTHER = (b"null", b"[]", b'""', b"0", b"true", b'[["a","b"]]', b'{"a":null}', b'{"a":{}}', b'{"a":1}', b"{}")


def _add(doc: Doc, rng: Rng, *values: bytes) -> list[bytes]:
    return add(doc, rng, [b'"__metadata__":' + value for value in values])


@operator("metadata.set", "sound")
def change(doc: Doc, rng: Rng) -> list[bytes]:
    """Other metadata: one more string, another value, another key, or all of it new."""
    member = doc.metadata
    if member is None:
        return _add(doc, rng, *rng.some(_NEW)[:4])
    items = doc.items()
    if not items:
        return doc.splice(*member.value, *rng.some(_NEW)[:4])
    key, value = rng.choice(items)
    kind = rng.below(3)
    if kind == 0:
        return doc.splice(*value, *rng.some(TEXTS))
    if kind == 1:
        return doc.splice(*key, *rng.some(NAMES))
    return doc.splice(key[0], key[0], *[b"%b:%b," % (name, rng.choice(TEXTS)) for name in rng.some(NAMES)])


@operator("metadata.remove", "sound", smaller=True)
def remove(doc: Doc, rng: Rng) -> list[bytes]:
    """One key of the metadata less, or none of it left."""
    if doc.metadata is None:
        return []
    items = doc.items()
    if len(items) < 2 or rng.below(3) == 0:
        return doc.splice(*doc.cut(doc.metadata), b"")
    at = rng.below(len(items))
    if at + 1 < len(items):
        return doc.splice(items[at][0][0], items[at + 1][0][0], b"")
    return doc.splice(items[at - 1][1][1], items[at][1][1], b"")


@operator("metadata.type", "shallow")
def wrong_type(doc: Doc, rng: Rng) -> list[bytes]:
    """Metadata that is no object of strings: null, an array, numbers or objects as values."""
    if doc.metadata is None:
        return _add(doc, rng, *rng.some(_OTHER))
    items = doc.items()
    if items and rng.below(3):
        return doc.splice(*rng.choice(items)[1], *rng.some(LITERALS))
    return doc.splice(*doc.metadata.value, *rng.some(_OTHER))


@operator("metadata.duplicate", "deep", dear=True)
def duplicate(doc: Doc, rng: Rng) -> list[bytes]:
    """A key twice in the metadata, perhaps with another value or spelling; or the metadata themselves twice."""
    if doc.metadata is None:
        return _add(doc, rng, b'{"a":"1","a":"2"}', b'{"a":"1","\\u0061":"1"}')
    data = doc.data
    items = doc.items()
    if not items or rng.below(5) == 0:
        return _add(doc, rng, b"null", b"{}", data[slice(*doc.metadata.value)])
    key, value = rng.choice(items)
    name, same = data[slice(*key)], data[slice(*value)]
    news = [b",%b:%b" % (spelled, same) for spelled in (name, *respell(name)[:2])]
    news.append(b",%b:%b" % (name, rng.choice(TEXTS)))
    return doc.splice(value[1], value[1], *news)
