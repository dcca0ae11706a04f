"""Changes of one part with all that depends on it: later offsets, the buffer, the length prefix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.format.dtypes import DTYPE_BITS
from harness.format.tree import NUMBER, Doc, Span, Tensor, prefix, text
from harness.mutate.parts import FILL, QUOTED, ROOM, dims_text
from harness.mutate.rng import Rng


def entry(name: bytes, dtype: bytes, shape: bytes, begin: int, end: int) -> bytes:
    """Return a tensor as a member of the header; name, dtype and shape are as written."""
    return b'%b:{"dtype":%b,"shape":%b,"data_offsets":[%d,%d]}' % (name, dtype, shape, begin, end)


def retype(doc: Doc, tensor: Tensor, kinds: Iterable[tuple[bytes, bytes, int]]) -> list[bytes]:
    """Give ``tensor`` each of these (dtype, shape, size) in turn.

    Its end, the offsets of later tensors, the buffer and the length prefix are repaired; earlier faults stay.
    """
    pieces = doc.pieces.copy()
    begin, end, old = tensor.begin, tensor.end, tensor.size
    behind = [other for other in doc.order[tensor.rank + 1 :] if other.begin >= end]
    buffer = doc.buffer
    before, after = buffer[:end], buffer[end:]
    render = doc.render
    outs: list[bytes] = []
    for dtype, shape, size in kinds:
        delta = size - old
        pieces[tensor.at_dtype] = dtype
        pieces[tensor.at_shape] = shape
        pieces[tensor.at_offsets] = b"[%d,%d]" % (begin, end + delta)
        for other in behind:
            pieces[other.at_offsets] = b"[%d,%d]" % (other.begin + delta, other.end + delta)
        new = before + FILL[:delta] + after if delta >= 0 else before[: max(0, end + delta)] + after
        outs.append(render(pieces, new))
    return outs


def shift(doc: Doc, pieces: list[bytes], rank: int, start: int, delta: int) -> None:
    """Move the offsets of all tensors from ``rank`` on that begin at ``start`` or later by ``delta`` bytes."""
    for other in doc.order[rank:]:
        if other.begin >= start:
            pieces[other.at_offsets] = b"[%d,%d]" % (max(0, other.begin + delta), max(0, other.end + delta))


def add(doc: Doc, rng: Rng, news: Sequence[bytes]) -> list[bytes]:
    """Return the header with each of the members ``news`` added in turn, all at one place among the others."""
    members = doc.members
    if not members:
        at = doc.data.find(b"{") + 1 or doc.end
        return doc.splice(at, at, *news)
    at = rng.choice(members).key[0]
    return doc.splice(at, at, *[new + b"," for new in news])


def insert(doc: Doc, rng: Rng, news: Iterable[tuple[bytes, bytes, bytes, int]]) -> list[bytes]:
    """Add each tensor (name, dtype, shape, size) in turn, all at one place in the header and one in the buffer.

    The offsets of the tensors behind it and the buffer are repaired.
    """
    pieces = doc.pieces.copy()
    order, members, buffer = doc.order, doc.members, doc.buffer
    rank = rng.below(len(order) + 1)
    at = order[rank].begin if rank < len(order) else (order[-1].end if order else 0)
    behind = order[rank:]
    before, after = buffer[:at], buffer[at:]
    place = rng.below(len(members) + 1)
    # It joins the piece between two members, so that no piece changes its number.
    if place < len(members):
        spot = members[place].first - 1
        head, tail = pieces[spot], b","
    elif members:
        spot = members[-1].last
        head, tail = b",", pieces[spot]
    else:
        spot, head, tail = 0, pieces[0], b""
    outs: list[bytes] = []
    render = doc.render
    for name, dtype, shape, size in news:
        new = entry(name, dtype, shape, at, at + size)
        pieces[spot] = head + new + tail
        if size:
            for other in behind:
                pieces[other.at_offsets] = b"[%d,%d]" % (other.begin + size, other.end + size)
            outs.append(render(pieces, before + FILL[:size] + after))
        else:
            for other in behind:
                pieces[other.at_offsets] = b"[%d,%d]" % (other.begin, other.end)
            outs.append(render(pieces, buffer))
    return outs


def remove(doc: Doc, tensor: Tensor) -> bytes:
    """Return the file without ``tensor``: the ones behind it and the buffer close up."""
    pieces = doc.pieces.copy()
    buffer = doc.buffer
    if tensor.size > 0:
        shift(doc, pieces, tensor.rank + 1, tensor.end, -tensor.size)
        buffer = buffer[: tensor.begin] + buffer[tensor.end :]
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


def mend(tensors: Sequence[Tensor]) -> list[bytes]:
    """Return a valid file of these tensors with their faults repaired; none where no tensor is left."""
    members: list[bytes] = []
    names: set[str | None] = {None, "__metadata__"}
    begin = 0
    for tensor in tensors:
        name = text(tensor.name) if b"\\" in tensor.name else tensor.name.decode(errors="replace")[1:-1]
        dtype = tensor.dtype if tensor.bits else "U8"
        bits = tensor.count * DTYPE_BITS[dtype]
        if name in names or bits % 8 or bits > ROOM * 8:
            continue
        names.add(name)
        members.append(entry(tensor.name, QUOTED[dtype], dims_text(tensor.dims), begin, begin + bits // 8))
        begin += bits // 8
    if not members:
        return []
    header = b"{" + b",".join(members) + b"}"
    return [prefix(len(header)) + header + FILL[:begin]]
