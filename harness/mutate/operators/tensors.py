"""Operators on whole tensors: fewer, more, in another order. All of them keep a sound file sound."""

from __future__ import annotations

from harness.format.tree import Doc
from harness.mutate.generate import NAMES, generate
from harness.mutate.registry import operator
from harness.mutate.repair import DTYPES, SHAPES, dims_text, entry, insert, mend, remove
from harness.mutate.rng import Rng

_MANY = 24


@operator("tensor.remove", "sound", tensors=1, smaller=True)
def drop(doc: Doc, rng: Rng) -> bytes | None:
    """One tensor less; later offsets and the buffer close up."""
    if not doc.tensors:
        return None
    return remove(doc, rng.below(len(doc.tensors)))


@operator("tensor.few", "sound", tensors=2, smaller=True)
def few(doc: Doc, rng: Rng) -> bytes | None:
    """A new valid file of one to three of the tensors, without metadata and spaces."""
    tensors = doc.tensors
    if len(tensors) < 2:
        return None
    start = rng.below(len(tensors))
    return mend(tensors[start : start + 1 + rng.below(3)])


@operator("tensor.add", "sound")
def add(doc: Doc, rng: Rng) -> bytes | None:
    """One more tensor, anywhere in header and buffer; later offsets move."""
    if len(doc.tensors) > _MANY:
        return None
    dtype = rng.choice(DTYPES)
    shape, size = rng.choice(SHAPES[dtype])
    return insert(doc, rng, rng.choice(NAMES), dtype, shape, size)


@operator("tensor.duplicate", "sound", tensors=1)
def duplicate(doc: Doc, rng: Rng) -> bytes | None:
    """One tensor once more under another name, with bytes of its own."""
    if not doc.tensors or len(doc.tensors) > _MANY:
        return None
    tensor = rng.choice(doc.tensors)
    if not tensor.bits or not 0 <= tensor.size <= 4096:
        return None
    return insert(doc, rng, tensor.name[:-1] + b'~"', tensor.dtype, dims_text(tensor.dims), tensor.size)


@operator("tensor.many", "sound")
def many(doc: Doc, rng: Rng) -> bytes | None:
    """Up to twenty more tensors without bytes, all of one kind, at the start or the end of the buffer."""
    if len(doc.tensors) > _MANY:
        return None
    dtype = rng.choice(DTYPES)
    at = len(doc.buffer) if rng.below(2) else 0
    start, count = rng.below(10), 1 + rng.below(20)
    new = [entry(b'"%d"' % number, dtype, b"[0]", at, at) for number in range(start, start + count)]
    pieces = doc.pieces.copy()
    pieces.insert(1, b",".join(new) + (b"," if doc.members else b""))
    return doc.render(pieces, doc.buffer)


@operator("tensor.permute", "sound", tensors=2)
def permute(doc: Doc, rng: Rng) -> bytes | None:
    """Two members of the header change places; offsets and data stay."""
    members = doc.members
    if len(members) < 2:
        return None
    at = rng.below(len(members) - 1)
    first, second = members[at], members[at + 1 + rng.below(len(members) - at - 1)]
    pieces = doc.pieces
    return doc.render(
        [
            *pieces[: first.first],
            *pieces[second.first : second.last],
            *pieces[first.last : second.first],
            *pieces[first.first : first.last],
            *pieces[second.last :],
        ],
        doc.buffer,
    )


@operator("tensor.relayout", "sound", tensors=2)
def relayout(doc: Doc, rng: Rng) -> bytes | None:
    """Two neighbours in the buffer change places, with their bytes; the text keeps its order."""
    order = doc.order
    if len(order) < 2:
        return None
    rank = rng.below(len(order) - 1)
    first, second = order[rank], order[rank + 1]
    if first.end != second.begin or first.size < 0 or second.size < 0:
        return None
    start, middle, stop = first.begin, first.begin + second.size, second.end
    pieces = doc.pieces.copy()
    pieces[second.at_offsets] = b"[%d,%d]" % (start, middle)
    pieces[first.at_offsets] = b"[%d,%d]" % (middle, stop)
    buffer = doc.buffer
    moved = buffer[second.begin : stop] + buffer[start : first.end]
    return doc.render(pieces, buffer[:start] + moved + buffer[stop:])


@operator("tensor.fresh", "sound", dear=True)
def fresh(doc: Doc, rng: Rng) -> bytes | None:
    """A new valid file, with nothing of the old one."""
    return generate(rng)
