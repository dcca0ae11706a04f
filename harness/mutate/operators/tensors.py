"""Operators on whole tensors: fewer, more, in another order. All of them keep a sound file sound."""

from __future__ import annotations

from harness.format.tree import Doc
from harness.mutate.generate import generate
from harness.mutate.parts import KINDS, NAMES, QUOTED
from harness.mutate.registry import operator
from harness.mutate.repair import add, entry, insert, mend, remove
from harness.mutate.rng import Rng

_MANY = 24
_EMPTY = tuple(QUOTED.values())


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


@operator("tensor.duplicate", "sound", tensors=1)
def duplicate(doc: Doc, rng: Rng) -> list[bytes]:
    """One tensor once more under another name, with bytes of its own."""
    if len(doc.tensors) > _MANY:
        return []
    tensor = rng.choice(doc.tensors)
    if not 0 <= tensor.size <= 4096:
        return []
    name = tensor.name[:-1] + b'~"'
    return insert(doc, rng, [(name, doc.pieces[tensor.at_dtype], doc.pieces[tensor.at_shape], tensor.size)])


@operator("tensor.many", "sound", dear=True)
def many(doc: Doc, rng: Rng) -> list[bytes]:
    """Up to twenty more tensors without bytes, all of one kind, at the start or the end of the buffer."""
    if len(doc.tensors) > _MANY:
        return []
    dtype = rng.choice(_EMPTY)
    at = len(doc.buffer) if rng.below(2) else 0
    start, count = rng.below(10), 1 + rng.below(20)
    new = [entry(b'"%d"' % number, dtype, b"[0]", at, at) for number in range(start, start + count)]
    return add(doc, rng, [b",".join(new)])


@operator("tensor.permute", "sound", tensors=2)
def permute(doc: Doc, rng: Rng) -> list[bytes]:
    """Two members of the header change places; offsets and data stay."""
    members = doc.members
    at = rng.below(len(members) - 1)
    first, second = members[at], members[at + 1 + rng.below(len(members) - at - 1)]
    data = doc.data
    (a, b), (c, d) = (first.key[0], first.value[1]), (second.key[0], second.value[1])
    return doc.splice(a, d, data[c:d] + data[b:c] + data[a:b])


@operator("tensor.relayout", "sound", tensors=2)
def relayout(doc: Doc, rng: Rng) -> list[bytes]:
    """Two neighbours in the buffer change places, with their bytes; the text keeps its order."""
    order = doc.order
    rank = rng.below(len(order) - 1)
    first, second = order[rank], order[rank + 1]
    if first.end != second.begin or first.size < 0 or second.size < 0:
        return []
    start, middle, stop = first.begin, first.begin + second.size, second.end
    pieces = doc.pieces.copy()
    pieces[second.at_offsets] = b"[%d,%d]" % (start, middle)
    pieces[first.at_offsets] = b"[%d,%d]" % (middle, stop)
    buffer = doc.buffer
    moved = buffer[second.begin : stop] + buffer[start : first.end]
    return [doc.render(pieces, buffer[:start] + moved + buffer[stop:])]


@operator("tensor.fresh", "sound", dear=True)
def fresh(doc: Doc, rng: Rng) -> list[bytes]:
    """A new valid file, with nothing of the old one."""
    return [generate(rng)]
