"""An input parsed once and kept, so that mutating it costs a few slices and no parsing.

A ``Doc`` reads what it can of any bytes at all. Two layers: *tokens*, byte spans that exist in every header
however damaged, and *tensors*, which exist where the structure is readable as the format has it. A change to
a token is a ``splice``; a change that others depend on replaces entries of ``pieces`` (the header cut up at
the places that such changes touch) and is put together by ``render``. Both repair the length prefix.

This is no judge: ``health`` is a guess at how far a parser would get, good enough to steer a search.
"""

from __future__ import annotations

import itertools
import json
import re
import struct
from math import prod
from typing import Final

from harness.format.dtypes import DTYPE_BITS

SHALLOW: Final = 0
"""Health: framing, JSON or the fields of a tensor are broken."""
DEEP: Final = 1
"""Health: every field of every tensor reads; shapes, sizes and layout do not add up."""
SOUND: Final = 2
"""Health: everything adds up."""

LENGTH: Final = 8
"""Bytes of the length prefix."""
PARSED_LIMIT: Final = 1 << 16
"""Bytes of header that are looked at; what is longer is known by its framing only."""

Span = tuple[int, int]
"""Where something lies in the file: first byte, byte past the last."""

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[-+.0-9][-+.0-9eE]*|[A-Za-z_]+|[^ \t\r\n]', re.DOTALL)
_PLAIN = re.compile(rb"0|[1-9][0-9]{0,19}")
_QUOTE, _COLON, _COMMA, _OPEN, _CLOSE, _LIST, _END = b'":,{}[]'
_PREFIXES: Final = [struct.pack("<Q", size) for size in range(4096)]
_METADATA: Final = "__metadata__"


def prefix(size: int) -> bytes:
    """Return the 8 bytes that announce a header of ``size`` bytes (modulo 2**64)."""
    if 0 <= size < 4096:
        return _PREFIXES[size]
    return struct.pack("<Q", size & 0xFFFFFFFFFFFFFFFF)


def text(raw: bytes) -> str | None:
    """Return what the JSON string ``raw`` (with its quotes) says; None where it is not one."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, str) else None


class Tensor:
    """A tensor that could be read, and where its parts are in ``Doc.pieces``.

    ``size`` is ``end - begin`` in bytes, ``bits`` those of one element (0: unknown dtype), ``count`` the
    product of ``dims``. ``first`` to ``last`` (exclusive) are the pieces of the whole member, ``value`` is the
    first one after the colon; the ``at_*`` are single pieces. ``rank`` is the place in ``Doc.order``.
    """

    __slots__ = (
        "at_begin",
        "at_dtype",
        "at_end",
        "at_shape",
        "begin",
        "bits",
        "count",
        "dims",
        "dtype",
        "end",
        "first",
        "last",
        "name",
        "rank",
        "size",
        "value",
    )

    def __init__(self, name: bytes, dtype: str, dims: tuple[int, ...], begin: int, end: int) -> None:
        self.name = name
        self.dtype = dtype
        self.bits = DTYPE_BITS.get(dtype, 0)
        self.dims = dims
        self.count = prod(dims)
        self.begin = begin
        self.end = end
        self.size = end - begin
        self.first = self.last = self.value = self.rank = 0
        self.at_dtype = self.at_shape = self.at_begin = self.at_end = 0


class Member:
    """One ``key: value`` of an object: ``span`` of all, ``key`` and ``value``, ``cut`` with one comma."""

    __slots__ = ("cut", "first", "key", "last", "span", "value")

    def __init__(self, key: Span, value: Span) -> None:
        self.key = key
        self.value = value
        self.span = self.cut = (key[0], value[1])
        self.first = self.last = 0


class Doc:
    """What could be read of the bytes ``data``; any bytes will do.

    ``end`` is where the header ends (8 + its size) and the buffer begins, taken from the length prefix if that
    fits the file (``framed``), else from the brace that closes the first one. Spans are positions in ``data``.
    """

    __slots__ = (
        "buffer",
        "data",
        "end",
        "entries",
        "fields",
        "framed",
        "health",
        "items",
        "members",
        "metadata",
        "numbers",
        "order",
        "pieces",
        "strings",
        "tensors",
        "tokens",
        "values",
    )

    data: bytes
    end: int
    framed: bool
    health: int
    buffer: bytes
    tokens: list[Span]
    strings: list[Span]
    numbers: list[Span]
    values: list[Span]
    members: list[Member]
    fields: list[list[Member]]
    metadata: Member | None
    items: list[Member]
    entries: list[Member]
    tensors: list[Tensor]
    order: list[Tensor]
    pieces: list[bytes]

    def __init__(self, data: bytes) -> None:
        self.data = data
        declared = int.from_bytes(data[:LENGTH], "little")
        self.framed = len(data) >= LENGTH and declared <= len(data) - LENGTH
        self.end = LENGTH + declared if self.framed else len(data)
        self.members = []
        self.fields = []
        self.items = []
        self.entries = []
        self.tensors = []
        self.metadata = None
        self.health = SHALLOW
        if self.end > PARSED_LIMIT:
            self.tokens = []
            self.pieces = []
        else:
            self._read()
        self.strings = [s for s in self.tokens if data[s[0]] == _QUOTE]
        self.numbers = [s for s in self.tokens if data[s[0]] in b"-+.0123456789"]
        self.buffer = data[self.end :]
        self.order = sorted(self.tensors, key=_by_offsets)
        for rank, tensor in enumerate(self.order):
            tensor.rank = rank
        if self.health:
            self.health = self._measure()

    # -- putting together -------------------------------------------------------------------------------------

    def splice(self, start: int, stop: int, new: bytes) -> bytes:
        """Return the file with ``data[start:stop]`` (in the header) replaced, and the length prefix repaired."""
        data = self.data
        return prefix(self.end - LENGTH + len(new) - stop + start) + data[LENGTH:start] + new + data[stop:]

    def render(self, pieces: list[bytes], buffer: bytes) -> bytes:
        """Return the file of these header pieces and this buffer, with the length prefix repaired."""
        header = b"".join(pieces)
        return prefix(len(header)) + header + buffer

    # -- reading ----------------------------------------------------------------------------------------------

    def _read(self) -> None:
        data = self.data
        self.tokens = tokens = [m.span() for m in _TOKEN.finditer(data, LENGTH, self.end)]
        self.values = []
        reader = _Reader(data, tokens)
        if not tokens or data[tokens[0][0]] != _OPEN or 0 not in reader.closing:
            self.pieces = [data[LENGTH : self.end]]
            return
        close = reader.closing[0]
        if not self.framed:
            self.end = tokens[close][1]
            del tokens[close + 1 :]
        self.members = reader.members(0, close)
        whole = reader.whole and close == len(tokens) - 1
        known: set[bytes] = set()
        cuts: list[Span] = []
        for member in self.members:
            raw = data[member.key[0] : member.key[1]]
            member.first = len(cuts)
            self.values.append(member.value)
            if (text(raw) if b"\\" in raw else raw[1:-1].decode("latin-1")) == _METADATA:
                whole &= self.metadata is None and self._read_metadata(reader, member, cuts)
            else:
                whole &= self._read_tensor(reader, member, raw, cuts)
                known.add(raw)
            member.last = len(cuts)
        self._cut(cuts, tokens[0][1])
        if whole and self.framed and _parses(data[LENGTH : self.end]):
            self.health = DEEP

    def _read_metadata(self, reader: _Reader, member: Member, cuts: list[Span]) -> bool:
        self.metadata = member
        cuts.append(member.span)
        first = reader.at(member.value)
        if self.data[member.value[0]] != _OPEN or first not in reader.closing:
            return self.data[member.value[0] : member.value[1]] == b"null"
        self.items = reader.members(first, reader.closing[first])
        self.values.extend(item.value for item in self.items)
        return all(self.data[item.value[0]] == _QUOTE for item in self.items)

    def _read_tensor(self, reader: _Reader, member: Member, raw: bytes, cuts: list[Span]) -> bool:
        """Add the tensor of this member, and the spans that cut it up; False where it is no proper tensor."""
        data = self.data
        at: dict[str | None, Span] = {}
        first = reader.at(member.value)
        if data[member.value[0]] == _OPEN and first in reader.closing:
            fields = reader.members(first, reader.closing[first])
            self.fields.append(fields)
            for field in fields:
                key = data[field.key[0] : field.key[1]]
                name = text(key) if b"\\" in key else key[1:-1].decode("latin-1")
                if name in at:
                    at.clear()
                    break
                at[name] = field.value
                self.values.append(field.value)
        if not at.keys() >= {"dtype", "shape", "data_offsets"}:
            cuts.append(member.span)
            return False
        dtype = text(data[at["dtype"][0] : at["dtype"][1]])
        dims = reader.integers(at["shape"])
        offsets = reader.integers(at["data_offsets"])
        if dtype is None or dims is None or offsets is None or len(offsets) != 2:
            cuts.append(member.span)
            return False
        (begin, begin_span), (end, end_span) = offsets
        tensor = Tensor(raw, dtype, tuple(dim for dim, _ in dims), begin, end)
        start = len(cuts)
        spots = sorted(((at["dtype"], 0), (at["shape"], 1), (begin_span, 2), (end_span, 3)))
        where = [0, 0, 0, 0]
        position = member.key[1]
        cuts.append(member.key)
        # The colon is a piece of its own, so that the value as a whole can be replaced.
        cuts.append((position, member.value[0]))
        position = member.value[0]
        for span, part in spots:
            cuts.append((position, span[0]))
            where[part] = len(cuts)
            cuts.append(span)
            position = span[1]
        cuts.append((position, member.value[1]))
        tensor.at_dtype, tensor.at_shape, tensor.at_begin, tensor.at_end = where
        tensor.first, tensor.value, tensor.last = start, start + 2, len(cuts)
        self.tensors.append(tensor)
        self.entries.append(member)
        return tensor.bits > 0 and max((begin, end, *tensor.dims)) < 1 << 64

    def _cut(self, cuts: list[Span], start: int) -> None:
        """Turn spans into pieces, with what lies between members as pieces too; shift all indices to match."""
        data = self.data
        pieces = [data[LENGTH:start]]
        tensors = iter(self.tensors)
        tensor = next(tensors, None)
        position = start
        for member in self.members:
            if member is not self.members[0]:
                pieces.append(data[position : member.span[0]])
            shift = len(pieces) - member.first
            if tensor is not None and tensor.first == member.first:
                for slot in ("first", "value", "last", "at_dtype", "at_shape", "at_begin", "at_end"):
                    setattr(tensor, slot, getattr(tensor, slot) + shift)
                tensor = next(tensors, None)
            pieces.extend(data[a:b] for a, b in cuts[member.first : member.last])
            member.first += shift
            member.last += shift
            position = member.span[1]
        pieces.append(data[position : self.end])
        self.pieces = pieces

    def _measure(self) -> int:
        """Return SOUND where the layout adds up, else DEEP."""
        position = 0
        for tensor in self.order:
            if tensor.begin != position or tensor.bits * tensor.count != tensor.size * 8:
                return DEEP
            position = tensor.end
        return SOUND if position == len(self.buffer) else DEEP


def _by_offsets(tensor: Tensor) -> Span:
    return tensor.begin, tensor.end


def _parses(header: bytes) -> bool:
    try:
        json.loads(header)
    except (ValueError, RecursionError):
        return False
    return True


class _Reader:
    """Finds brackets, members and integers among tokens; ``whole`` turns False at the first damage."""

    def __init__(self, data: bytes, tokens: list[Span]) -> None:
        self.data = data
        self.tokens = tokens
        self.kinds = [data[a] for a, _ in tokens]
        self.starts = {a: i for i, (a, _) in enumerate(tokens)}
        self.closing: dict[int, int] = {}
        self.whole = True
        stack: list[int] = []
        for i, kind in enumerate(self.kinds):
            if kind in b"{[":
                stack.append(i)
            elif kind in b"}]" and stack:
                self.closing[stack.pop()] = i

    def at(self, span: Span) -> int:
        """Return the index of the token that ``span`` begins with."""
        return self.starts[span[0]]

    def members(self, first: int, close: int) -> list[Member]:
        """Return what reads as members between the tokens ``first`` and ``close``."""
        tokens, kinds, closing = self.tokens, self.kinds, self.closing
        found: list[Member] = []
        i = first + 1
        while i < close:
            last = closing.get(i + 2, i + 2)
            if kinds[i] == _QUOTE and last < close and kinds[i + 1] == _COLON:
                found.append(Member(tokens[i], (tokens[i + 2][0], tokens[last][1])))
                i = last + 1
                if i < close:
                    self.whole &= kinds[i] == _COMMA and i + 1 < close
                    i += kinds[i] == _COMMA
            else:
                self.whole = False
                i = closing.get(i, i) + 1
        for member, after in itertools.pairwise(found):
            member.cut = (member.span[0], after.span[0])
        if len(found) > 1:
            found[-1].cut = (found[-2].span[1], found[-1].span[1])
        return found

    def integers(self, span: Span) -> list[tuple[int, Span]] | None:
        """Return the plain integers of the array at ``span``, each with its span; None where it is none."""
        first = self.starts[span[0]]
        if self.kinds[first] != _LIST or first not in self.closing:
            return None
        inside = self.tokens[first + 1 : self.closing[first]]
        found: list[tuple[int, Span]] = []
        for i, (a, b) in enumerate(inside):
            raw = self.data[a:b]
            if i % 2 == 0 and _PLAIN.fullmatch(raw):
                found.append((int(raw), (a, b)))
            elif i % 2 == 0 or raw != b",":
                return None
        return found if len(inside) == max(0, 2 * len(found) - 1) else None
