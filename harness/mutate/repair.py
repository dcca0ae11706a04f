"""Changing one tensor and all that depends on it: later offsets, the buffer, the length prefix."""

from __future__ import annotations

from harness.format.dtypes import DTYPE_BITS
from harness.format.tree import Doc, Tensor, prefix, text
from harness.mutate.rng import Rng

DTYPES: tuple[str, ...] = tuple(DTYPE_BITS)
WHOLE: tuple[str, ...] = tuple(name for name, bits in DTYPE_BITS.items() if bits % 8 == 0)
QUOTED: dict[str, bytes] = {name: b'"' + name.encode() + b'"' for name in DTYPES}
FILL = bytes(range(256)) * 32
"""New bytes of a buffer: each position tells where it came from."""
ROOM = 256
"""Bytes that a tensor made here takes at most: searching is quicker on small inputs."""


def dims_text(dims: tuple[int, ...]) -> bytes:
    """Return a shape as JSON."""
    return b"[" + ",".join(map(str, dims)).encode() + b"]"


def entry(name: bytes, dtype: str, dims: tuple[int, ...], begin: int, end: int) -> bytes:
    """Return a tensor as a member of the header; ``name`` has its quotes."""
    return b'%b:{"dtype":"%b","shape":%b,"data_offsets":[%d,%d]}' % (
        name,
        dtype.encode(),
        dims_text(dims),
        begin,
        end,
    )


def resize(doc: Doc, pieces: list[bytes], tensor: Tensor, size: int) -> bytes:
    """Give ``tensor`` ``size`` bytes, shift the tensors behind it, and return the buffer that goes with that."""
    delta = size - tensor.size
    buffer = doc.buffer
    if delta == 0:
        return buffer
    end = tensor.end
    pieces[tensor.at_end] = b"%d" % (end + delta)
    shift(doc, pieces, tensor.rank + 1, end, delta)
    if delta > 0:
        return buffer[:end] + FILL[:delta] + buffer[end:]
    return buffer[: max(0, end + delta)] + buffer[end:]


def shift(doc: Doc, pieces: list[bytes], rank: int, start: int, delta: int) -> None:
    """Move the offsets of all tensors from ``rank`` on that begin at ``start`` or later by ``delta`` bytes."""
    for other in doc.order[rank:]:
        if other.begin >= start:
            pieces[other.at_begin] = b"%d" % max(0, other.begin + delta)
            pieces[other.at_end] = b"%d" % max(0, other.end + delta)


def insert(doc: Doc, rng: Rng, name: bytes, dtype: str, dims: tuple[int, ...], size: int) -> bytes:
    """Return the file with one more tensor of ``size`` bytes: anywhere in the header, anywhere in the buffer."""
    pieces = doc.pieces.copy()
    order = doc.order
    rank = rng.below(len(order) + 1)
    at = order[rank].begin if rank < len(order) else (order[-1].end if order else 0)
    buffer = doc.buffer
    if size:
        shift(doc, pieces, rank, at, size)
        buffer = buffer[:at] + FILL[:size] + buffer[at:]
    new = entry(name, dtype, dims, at, at + size)
    if doc.members:
        place = rng.below(len(doc.members) + 1)
        if place < len(doc.members):
            pieces.insert(doc.members[place].first, new + b",")
        else:
            pieces.insert(doc.members[-1].last, b"," + new)
    else:
        pieces.insert(1, new)
    return doc.render(pieces, buffer)


def remove(doc: Doc, index: int) -> bytes:
    """Return the file without its tensor number ``index``: the ones behind it and the buffer close up."""
    tensor = doc.tensors[index]
    pieces = doc.pieces.copy()
    buffer = resize(doc, pieces, tensor, 0)
    if tensor.last + 1 < len(pieces):
        del pieces[tensor.first : tensor.last + 1]
    elif tensor.first > 1:
        del pieces[tensor.first - 1 : tensor.last]
    else:
        del pieces[tensor.first : tensor.last]
    return doc.render(pieces, buffer)


def dims_for(rng: Rng, dtype: str) -> tuple[tuple[int, ...], int]:
    """Return a small shape of any rank up to 8 that ``dtype`` can have, and its bytes (at most ROOM)."""
    bits = DTYPE_BITS[dtype]
    rank = rng.choice((0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 8))
    dims: list[int] = []
    room = ROOM * 8 // bits
    for _ in range(rank):
        dim = rng.choice((0, 1, 1, 1, 2, 2, 3, 4, 5, 8))
        room //= max(1, dim)
        dims.append(dim if room else 1)
    count = 1
    for dim in dims:
        count *= dim
    if count * bits % 8:
        # Sub-byte elements: a multiple of four of them fills whole bytes whatever their width.
        dims.append(4)
        count *= 4
    return tuple(dims), count * bits // 8


def mend(doc: Doc) -> bytes | None:
    """Return a valid file of the tensors that could be read in a damaged one; None where there are none."""
    members: list[bytes] = []
    names: set[str | None] = {None, "__metadata__"}
    begin = 0
    for tensor in doc.tensors[:16]:
        name = text(tensor.name)
        dtype = tensor.dtype if tensor.bits else "U8"
        bits = tensor.count * DTYPE_BITS[dtype]
        if name in names or bits % 8 or bits > ROOM * 8:
            continue
        names.add(name)
        members.append(entry(tensor.name, dtype, tensor.dims, begin, begin + bits // 8))
        begin += bits // 8
    if not members:
        return None
    header = b"{" + b",".join(members) + b"}"
    return prefix(len(header)) + header + FILL[:begin]
