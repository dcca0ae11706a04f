"""Changing one tensor and all that depends on it: later offsets, the buffer, the length prefix."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from harness.format.dtypes import DTYPE_BITS
from harness.format.tree import NUMBER, Doc, Span, Tensor, prefix, text
from harness.mutate.rng import Rng

DTYPES: tuple[str, ...] = tuple(DTYPE_BITS)
QUOTED: dict[str, bytes] = {name: b'"' + name.encode() + b'"' for name in DTYPES}
FILL = bytes(range(256)) * 32
"""New bytes of a buffer: each position tells where it came from."""
ROOM = 128
"""Bytes that a tensor made here takes at most: searching is quicker on small inputs."""

Shape = tuple[bytes, int]


def dims_text(dims: tuple[int, ...]) -> bytes:
    """Return a shape as JSON."""
    return b"[%b]" % ",".join(map(str, dims)).encode()


def entry(name: bytes, dtype: str, shape: bytes, begin: int, end: int) -> bytes:
    """Return a tensor as a member of the header; ``name`` has its quotes, ``shape`` is as written."""
    return b'%b:{"dtype":%b,"shape":%b,"data_offsets":[%d,%d]}' % (name, QUOTED[dtype], shape, begin, end)


def resize(doc: Doc, pieces: list[bytes], tensor: Tensor, size: int) -> bytes:
    """Give ``tensor`` ``size`` bytes, shift the tensors behind it, and return the buffer that goes with that."""
    delta = size - tensor.size
    buffer = doc.buffer
    if delta == 0:
        return buffer
    end = tensor.end
    pieces[tensor.at_offsets] = b"[%d,%d]" % (tensor.begin, end + delta)
    if tensor.rank + 1 < len(doc.order):
        shift(doc, pieces, tensor.rank + 1, end, delta)
    if delta > 0:
        return buffer[:end] + FILL[:delta] + buffer[end:]
    return buffer[: max(0, end + delta)] + buffer[end:]


def shift(doc: Doc, pieces: list[bytes], rank: int, start: int, delta: int) -> None:
    """Move the offsets of all tensors from ``rank`` on that begin at ``start`` or later by ``delta`` bytes."""
    for other in doc.order[rank:]:
        if other.begin >= start:
            pieces[other.at_offsets] = b"[%d,%d]" % (max(0, other.begin + delta), max(0, other.end + delta))


def add(doc: Doc, rng: Rng, new: bytes, pieces: list[bytes] | None = None) -> list[bytes]:
    """Return the pieces of the header with the member ``new`` among the others, and a comma where one is due."""
    pieces = doc.pieces.copy() if pieces is None else pieces
    members = doc.members
    if members:
        place = rng.below(len(members) + 1)
        if place < len(members):
            pieces.insert(members[place].first, new + b",")
        else:
            pieces.insert(members[-1].last, b"," + new)
    else:
        pieces.insert(1, new)
    return pieces


def insert(doc: Doc, rng: Rng, name: bytes, dtype: str, shape: bytes, size: int) -> bytes:
    """Return the file with one more tensor of ``size`` bytes: anywhere in the header, anywhere in the buffer."""
    pieces = doc.pieces.copy()
    order = doc.order
    rank = rng.below(len(order) + 1)
    at = order[rank].begin if rank < len(order) else (order[-1].end if order else 0)
    buffer = doc.buffer
    if size:
        shift(doc, pieces, rank, at, size)
        buffer = buffer[:at] + FILL[:size] + buffer[at:]
    return doc.render(add(doc, rng, entry(name, dtype, shape, at, at + size), pieces), buffer)


def remove(doc: Doc, index: int) -> bytes:
    """Return the file without its tensor number ``index``: the ones behind it and the buffer close up."""
    tensor = doc.tensors[index]
    pieces = doc.pieces.copy()
    buffer = resize(doc, pieces, tensor, 0)
    if tensor is not doc.members[-1]:
        del pieces[tensor.first : tensor.last + 1]
    elif tensor is not doc.members[0]:
        del pieces[tensor.first - 1 : tensor.last]
    else:
        del pieces[tensor.first : tensor.last]
    return doc.render(pieces, buffer)


def spot(doc: Doc, rng: Rng, kind: bytes = b"") -> Span | None:
    """Return the span of a random token of the header, of the kind STRING or NUMBER if one is given."""
    kinds = doc.kinds or doc.scan()
    if not kinds:
        return None
    at = rng.below(len(kinds))
    if kind:
        at = kinds.find(kind, at)
        if at < 0:
            at = kinds.find(kind)
            if at < 0:
                return None
    return doc.starts[at], doc.starts[at + 1]


def value(doc: Doc, rng: Rng) -> Span | None:
    """Return the span of a random value: of a member, of a tensor's field or one of its numbers, or of metadata."""
    if not doc.members:
        return None
    kind = rng.below(8)
    member = rng.choice(doc.members)
    if kind == 0:
        return member.value
    if kind == 1:
        return spot(doc, rng, NUMBER)
    if isinstance(member, Tensor):
        return rng.choice(member.fields)[1]
    items = doc.items() if member is doc.metadata else []
    return rng.choice(items)[1] if items else member.value


def _shapes(bits: int) -> tuple[Shape, ...]:
    """Return small shapes of rank 0 to 8 that elements of ``bits`` bits can have, the usual ranks more often."""
    rng = Rng(bits)
    found: list[Shape] = []
    while len(found) < 192:
        dims: list[int] = []
        room = ROOM * 8 // bits
        for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6, 7, 8))):
            dim = rng.choice((0, 1, 1, 1, 2, 2, 3, 4, 5, 8))
            room //= max(1, dim)
            dims.append(dim if room else 1)
        if prod(dims) * bits % 8:
            # Sub-byte elements: a multiple of four of them fills whole bytes, whatever their width.
            dims.append(4)
        found.append((dims_text(tuple(dims)), prod(dims) * bits // 8))
    return tuple(found)


SHAPES: dict[str, tuple[Shape, ...]] = {
    name: shapes for bits in sorted(set(DTYPE_BITS.values())) for shapes in (_shapes(bits),)
    for name, width in DTYPE_BITS.items() if width == bits
}  # fmt: skip
"""By dtype: shapes as written, each with the bytes that such a tensor takes (at most about ROOM)."""


def mend(tensors: Sequence[Tensor]) -> bytes | None:
    """Return a valid file of these tensors, of what is wrong with them mended; None where there are none."""
    members: list[bytes] = []
    names: set[str | None] = {None, "__metadata__"}
    begin = 0
    for tensor in tensors:
        name = text(tensor.name)
        dtype = tensor.dtype if tensor.bits else "U8"
        bits = tensor.count * DTYPE_BITS[dtype]
        if name in names or bits % 8 or bits > ROOM * 8:
            continue
        names.add(name)
        members.append(entry(tensor.name, dtype, dims_text(tensor.dims), begin, begin + bits // 8))
        begin += bits // 8
    if not members:
        return None
    header = b"{" + b",".join(members) + b"}"
    return prefix(len(header)) + header + FILL[:begin]
