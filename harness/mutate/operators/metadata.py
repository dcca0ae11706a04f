"""Operators on ``__metadata__``."""

from __future__ import annotations

from harness.format.tree import Doc
from harness.mutate.operators.encoding import respell
from harness.mutate.parts import LITERALS, TEXTS, VALID
from harness.mutate.registry import operator
from harness.mutate.repair import add
from harness.mutate.rng import Rng

_OTHER = (b"null", b"[]", b'""', b"0", b"true", b'[["a","b"]]', b'{"a":null}', b'{"a":{}}', b'{"a":1}')
_NO_STRINGS = tuple(value for value in LITERALS[:VALID] if not value.startswith(b'"'))


def _add(doc: Doc, rng: Rng, *values: bytes) -> list[bytes]:
    return add(doc, rng, [b'"__metadata__":' + value for value in values])


@operator("metadata.type", "shallow")
def wrong_type(doc: Doc, rng: Rng) -> list[bytes]:
    """Metadata that is no object of strings: null, an array, numbers or objects as values."""
    if doc.metadata is None:
        return _add(doc, rng, *rng.some(_OTHER))
    items = doc.items()
    if items and rng.below(3):
        return doc.splice(*rng.choice(items)[1], *rng.some(_NO_STRINGS))
    return doc.splice(*doc.metadata.value, *rng.some(_OTHER))


@operator("metadata.duplicate", "deep", expensive=True)
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
