"""An input that is parsed once, so that a mutation costs a few slices and no parsing.

A ``Doc`` reads any bytes as far as it can. *Tokens* are byte spans that exist in every header; they are found on demand.
*Members* and *tensors* exist where the structure is readable. ``splice`` changes one span. ``render`` joins ``pieces``, the
header cut at the places of changes that others depend on. Both repair the length prefix.

This is no judge: ``health`` is a guess at how far a parser would get.
"""

from __future__ import annotations

import json
import re
import struct
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
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
"""Longest header that is parsed, in bytes."""

Span = tuple[int, int]
"""A range of the file: first byte, byte past the last."""

STRING: Final = b'"'
NUMBER: Final = b"0"

_WS = rb"[ \t\r\n]*+"
_STR = rb'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*+"'
_INT = rb"(?:0|[1-9][0-9]{0,19}+)"
_INTS = rb"\[" + _WS + rb"(?:" + _INT + _WS + rb"(?:," + _WS + _INT + _WS + rb")*+)?+\]"
_FIELD = _WS + rb'("dtype"|"shape"|"data_offsets")' + _WS + rb":" + _WS + rb"(" + _STR + rb"|" + _INTS + rb")" + _WS
_PAIR = _WS + _STR + _WS + rb":" + _WS + _STR + _WS
# The usual spelling of a tensor. Seven groups: its name, and key and value of its fields.
_TENSOR = re.compile(_WS + rb"(" + _STR + rb")" + _WS + rb":" + _WS + rb"\{" + rb",".join([_FIELD] * 3) + rb"\}")
_KEY = re.compile(_WS + rb'("(?:[^"\\]|\\.)*+")' + _WS + rb":" + _WS, re.DOTALL)
_FLAT = re.compile(rb'"(?:[^"\\]|\\.)*+"|\[[^][{}"]*+\]|\{[^][{}"]*+\}|[^][{}",: \t\r\n]++', re.DOTALL)
_PAIRS = re.compile(rb"\{(?:" + _PAIR + rb"(?:," + _PAIR + rb")*+|" + _WS + rb")\}|null")
_SEPARATOR = re.compile(_WS + rb"([,}])")
_LISTED = re.compile(_INTS)
_STRUCTURE = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[][{}]', re.DOTALL)
_TILE = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[-+.0-9]++(?:[eE][-+0-9]*+)?|[A-Za-z_]++|[ \t\r\n]++|.', re.DOTALL)
_KINDS = bytes(
    ord("0") if byte in b"-+.0123456789" else ord(" ") if byte in b" \t\r\n" else ord("a") if 64 < byte < 91 else byte
    for byte in range(256)
)
_PREFIXES: Final = [struct.pack("<Q", size) for size in range(4096)]
_COMMA: Final = ord(",")


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


@dataclass(slots=True, eq=False)
class Member:
    """One ``key: value`` of the header: spans of both, and its pieces from ``first`` to ``last`` (exclusive)."""

    key: Span
    value: Span
    first: int
    last: int


@dataclass(slots=True, eq=False)
class Tensor(Member):
    """A tensor that could be read.

    ``name`` has its quotes. ``size`` is ``end - begin`` in bytes, ``bits`` the size of one element (0: unknown dtype),
    ``count`` the product of ``dims``. ``fields`` are spans of key and value in the order of the text, ``spans`` those of the
    values of dtype, shape and offsets. ``at_dtype``, ``at_shape`` and ``at_offsets`` are indices of pieces, ``rank`` is the
    index in ``Doc.order``.
    """

    name: bytes
    dtype: str
    bits: int
    dims: tuple[int, ...]
    count: int
    begin: int
    end: int
    size: int
    fields: list[tuple[Span, Span]]
    spans: tuple[Span, Span, Span]
    at_dtype: int = -1
    at_shape: int = -1
    at_offsets: int = -1
    rank: int = -1


class Doc:
    """The readable parts of any bytes ``data``.

    ``end`` is the end of the header (8 + its size): from the length prefix if it fits the file (``framed``), else from the
    brace that closes the first one. ``order`` has the tensors by offset, ``members`` all members in the order of the text.
    """

    __slots__ = (
        "buffer",
        "data",
        "end",
        "framed",
        "health",
        "kinds",
        "members",
        "metadata",
        "order",
        "pieces",
        "starts",
        "tensors",
    )

    def __init__(self, data: bytes) -> None:
        self.data = data
        declared = int.from_bytes(data[:LENGTH], "little")
        self.framed = len(data) >= LENGTH and declared <= len(data) - LENGTH
        self.end = LENGTH + declared if self.framed else len(data)
        self.members: list[Member] = []
        self.tensors: list[Tensor] = []
        self.metadata: Member | None = None
        self.kinds = b""
        self.starts: Sequence[int] = ()
        self.health = SHALLOW
        start = data.find(b"{", LENGTH, min(self.end, LENGTH + 64)) if self.end <= PARSED_LIMIT else -1
        self.pieces = self._read(start) if start > 0 else [data[LENGTH : self.end]]
        self.buffer = data[self.end :]
        self.order = sorted(self.tensors, key=_by_offsets)
        for rank, tensor in enumerate(self.order):
            tensor.rank = rank
        if self.health:
            self.health = self._measure()

    # -- putting together -------------------------------------------------------------------------------------

    def splice(self, start: int, stop: int, *news: bytes) -> list[bytes]:
        """Return the file with ``data[start:stop]`` (in the header) replaced, once for each of ``news``."""
        data = self.data
        head, tail = data[LENGTH:start], data[stop:]
        size = self.end - LENGTH - stop + start
        if 0 <= size < 2048 and max(map(len, news)) < 2048:
            return [_PREFIXES[size + len(new)] + head + new + tail for new in news]
        return [prefix(size + len(new)) + head + new + tail for new in news]

    def render(self, pieces: list[bytes], buffer: bytes) -> bytes:
        """Return the file of these header pieces and this buffer, with the length prefix repaired."""
        header = b"".join(pieces)
        size = len(header)
        return (_PREFIXES[size] if size < 4096 else prefix(size)) + header + buffer

    # -- tokens -----------------------------------------------------------------------------------------------

    def scan(self) -> bytes:
        """Cut the header into tokens; return ``kinds``, the first byte of each.

        All numbers are of kind NUMBER, white space is a space. Token i is ``data[starts[i]:starts[i + 1]]``.
        """
        if not self.starts:
            tokens = _TILE.findall(self.data, LENGTH, self.end) if self.end <= PARSED_LIMIT else []
            self.starts = array("I", accumulate(map(len, tokens), initial=LENGTH))
            self.kinds = bytes([token[0] for token in tokens]).translate(_KINDS)
        return self.kinds

    def items(self) -> list[tuple[Span, Span]]:
        """Return the spans of keys and values in the metadata; none where they are no object."""
        member = self.metadata
        if member is None or not self.data.startswith(b"{", member.value[0]):
            return []
        return self._fields(*member.value)[0]

    # -- reading ----------------------------------------------------------------------------------------------

    def _read(self, start: int) -> list[bytes]:
        """Read the object that begins at ``start``; return the pieces of the header."""
        data, end = self.data, self.end
        clean = self.framed
        plain = True
        pieces: list[bytes] = []
        # ``gap`` is the end of the last member, ``position`` is past the comma behind it.
        gap, position = LENGTH, start + 1
        closed = False
        while not closed:
            match = _TENSOR.match(data, position, end)
            if match is not None:
                regs = match.regs
                key, value = regs[1], (data.find(b"{", regs[1][1]), regs[0][1])
                pieces.append(data[gap : key[0]])
                clean &= self._tensor(key, value, [(regs[2], regs[3]), (regs[4], regs[5]), (regs[6], regs[7])], pieces)
            else:
                match = _KEY.match(data, position, end)
                if match is None:
                    break
                plain = False
                key, value = match.span(1), (match.end(), self._value_end(match.end()))
                pieces.append(data[gap : key[0]])
                clean &= self._other(key, value, pieces)
            gap = value[1]
            match = _SEPARATOR.match(data, gap, end)
            if match is None:
                break
            position = match.end()
            closed = data[position - 1] != _COMMA
        if not self.members:
            pieces.append(data[LENGTH : start + 1])
            gap = start + 1
            match = _SEPARATOR.match(data, gap, end)
            closed = match is not None and data[match.end() - 1] != _COMMA
            position = match.end() if match is not None else gap
        if closed and not self.framed:
            self.end = position
        pieces.append(data[gap : self.end])
        if clean and closed and not data[position : self.end].strip(b" \t\r\n") and self._parses(plain):
            self.health = DEEP
        return pieces

    def _tensor(self, key: Span, value: Span, fields: list[tuple[Span, Span]], pieces: list[bytes]) -> bool:
        """Add the tensor with these fields, and its pieces; False, and nothing added, where they do not fit."""
        data = self.data
        at: dict[str | None, int] = {}
        for number, (field, _) in enumerate(fields):
            raw = data[field[0] : field[1]]
            field_name = text(raw) if b"\\" in raw else raw[1:-1].decode("latin-1")
            if field_name in at:
                return self._plain(key, value, pieces)
            at[field_name] = number
        try:
            dtype, shape, offsets = at["dtype"], at["shape"], at["data_offsets"]
        except KeyError:
            return self._plain(key, value, pieces)
        raw = data[fields[dtype][1][0] : fields[dtype][1][1]]
        dims = self._integers(fields[shape][1])
        ends = self._integers(fields[offsets][1])
        spelled = text(raw) if b"\\" in raw else raw[1:-1].decode("latin-1") if raw[:1] == STRING else None
        if spelled is None or dims is None or ends is None or len(ends) != 2:
            return self._plain(key, value, pieces)
        begin, end = ends
        name, bits, first = data[key[0] : key[1]], DTYPE_BITS.get(spelled, 0), len(pieces)
        spans = fields[dtype][1], fields[shape][1], fields[offsets][1]
        tensor = Tensor(
            key, value, first, first, name, spelled, bits, dims, prod(dims), begin, end, end - begin, fields, spans
        )
        position = key[1]
        pieces.append(tensor.name)
        for number, (_, (start, stop)) in enumerate(fields):
            if number in (dtype, shape, offsets):
                pieces.append(data[position:start])
                if number == dtype:
                    tensor.at_dtype = len(pieces)
                elif number == shape:
                    tensor.at_shape = len(pieces)
                else:
                    tensor.at_offsets = len(pieces)
                pieces.append(data[start:stop])
                position = stop
        pieces.append(data[position : value[1]])
        tensor.last = len(pieces)
        self.members.append(tensor)
        self.tensors.append(tensor)
        return tensor.bits > 0 and max((*ends, *dims)) < 1 << 64

    def _other(self, key: Span, value: Span, pieces: list[bytes]) -> bool:
        """Add a member in an unusual spelling."""
        data = self.data
        raw = data[key[0] : key[1]]
        if (text(raw) if b"\\" in raw else raw[1:-1].decode("latin-1")) == "__metadata__":
            first = self.metadata is None
            self._plain(key, value, pieces)
            self.metadata = self.members[-1]
            return first and _PAIRS.fullmatch(data, *value) is not None
        fields, whole = self._fields(*value) if data[value[0] : value[0] + 1] == b"{" else ([], False)
        return (self._tensor(key, value, fields, pieces) if fields else self._plain(key, value, pieces)) and whole

    def _plain(self, key: Span, value: Span, pieces: list[bytes]) -> bool:
        self.members.append(Member(key, value, len(pieces), len(pieces) + 2))
        pieces += (self.data[key[0] : key[1]], self.data[key[1] : value[1]])
        return False

    def _fields(self, start: int, stop: int) -> tuple[list[tuple[Span, Span]], bool]:
        """Return spans of keys and values of the object at ``data[start:stop]``, and whether all of it reads."""
        data = self.data
        fields: list[tuple[Span, Span]] = []
        position = start + 1
        while (match := _KEY.match(data, position, stop)) is not None:
            close = self._value_end(match.end())
            fields.append((match.span(1), (match.end(), close)))
            separator = _SEPARATOR.match(data, close, stop)
            if separator is None:
                return fields, False
            position = separator.end()
            if position == stop:
                return fields, True
        return fields, not fields

    def _value_end(self, start: int) -> int:
        """Return where the value that begins at ``start`` ends, by its brackets alone."""
        data, end = self.data, self.end
        match = _FLAT.match(data, start, end)
        if match is not None:
            return match.end()
        depth = 0
        for match in _STRUCTURE.finditer(data, start, end):
            mark = data[match.start()]
            if mark in b"[{":
                depth += 1
            elif mark in b"]}":
                depth -= 1
                if depth <= 0:
                    return match.end() if depth == 0 else match.start()
        return end

    def _integers(self, span: Span) -> tuple[int, ...] | None:
        """Return the plain integers of the array at ``span``; None where it is none."""
        data = self.data
        if _LISTED.fullmatch(data, *span) is None:
            return None
        inside = data[span[0] + 1 : span[1] - 1]
        return tuple(map(int, inside.split(b","))) if inside.strip() else ()

    def _parses(self, plain: bool) -> bool:
        """Return whether the header is JSON; ``plain`` headers were read in full and need only UTF-8."""
        header = self.data[LENGTH : self.end]
        try:
            if plain:
                header.decode()
            else:
                json.loads(header)
        except (ValueError, RecursionError):
            return False
        return True

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
