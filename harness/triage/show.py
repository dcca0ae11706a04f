"""A file as lines of text: length prefix, the header cut at its commas, the buffer, and a mark under a span."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from harness.format.dtypes import DTYPE_BITS
from harness.format.header import Header
from harness.format.rules import HEADER_LIMIT

Span = tuple[int, int]

#: Most pieces of a header that are shown. A longer header shows those around the mark.
MOST_PIECES = 60
MOST_TENSORS = 60
_HEX_ROWS = 8
_MARK = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[{}\[\],]', re.DOTALL)
_RED, _PLAIN = "\033[1;31m", "\033[0m"


def lines(data: bytes, size: int, span: Span | None, *, width: int, colour: bool) -> Iterator[str]:
    """The file of ``size`` bytes, of which ``data`` holds at least the header, with the bytes ``span`` marked."""
    if len(data) < 8:
        yield f"the whole file, {len(data)} of the 8 bytes of the length prefix:"
        yield from hexdump(data, (0, len(data)), span, colour)
        return
    length = int.from_bytes(data[:8], "little")
    end = min(8 + length, len(data))
    missing = f", past the end of the file by {8 + length - size:,} bytes" if 8 + length > size else ""
    yield f"length prefix: {length:,} bytes of header{missing}"
    if span is not None and span[0] < 8:
        yield from hexdump(data, (0, 8), span, colour)
    header = data[8:end]
    if not header:
        yield "no header"
    elif length > HEADER_LIMIT or header[:1] != b"{" or not _is_text(header):
        first = max(8, (span[0] if span else 8) // 16 * 16 - 32)
        yield f"the header is no text that starts with '{{'; its bytes from {first:,}:"
        yield from hexdump(data, (first, min(end, first + 16 * _HEX_ROWS)), span, colour)
    else:
        yield "header:"
        yield from _pieces(data, end, span, width, colour)
    rest = size - 8 - length
    if rest > 0:
        yield f"buffer: {rest:,} bytes from {8 + length:,}"
        if span is not None and span[1] > end:
            first = max(end, span[0] // 16 * 16)
            yield from hexdump(data, (first, min(len(data), first + 16 * _HEX_ROWS)), span, colour)


def _is_text(header: bytes) -> bool:
    try:
        header.decode()
    except UnicodeDecodeError:
        return False
    return True


def hexdump(data: bytes, part: Span, span: Span | None, colour: bool) -> Iterator[str]:
    """Rows of sixteen bytes of ``part``, those of ``span`` marked."""
    for at in range(part[0] // 16 * 16, part[1], 16):
        cells, text, marks = [], "", []
        for position in range(at, at + 16):
            inside = part[0] <= position < min(part[1], len(data))
            marked = inside and span is not None and span[0] <= position < max(span[1], span[0] + 1)
            cell = f"{data[position]:02x}" if inside else "  "
            letter = (chr(data[position]) if 32 <= data[position] < 127 else ".") if inside else " "
            cells.append(_red(cell, colour and marked))
            text += _red(letter, colour and marked)
            marks.append("^^" if marked else "  ")
        yield f"  {at:>10,}  {' '.join(cells)}  {text}"
        if any(mark == "^^" for mark in marks):
            yield f"  {'':>10}  {' '.join(marks)}".rstrip()


def _red(text: str, marked: bool) -> str:
    return f"{_RED}{text}{_PLAIN}" if marked else text


class _Piece(NamedTuple):
    start: int
    end: int
    depth: int


def _cut(data: bytes, end: int) -> list[_Piece]:
    """The header, cut at the commas and braces of its two outer levels, outside of strings."""
    pieces: list[_Piece] = []
    start, depth = 8, 0
    for match in _MARK.finditer(data, 8, end):
        mark, before = match[0], depth
        depth += (mark in b"{[") - (mark in b"}]")
        if (before, depth) == (0, 1) or (mark == b"," and depth == 1):
            stop = match.end()
        elif (before, depth) == (1, 0):
            stop = match.start()
        else:
            continue
        pieces.append(_Piece(start, stop, before))
        start = stop
    pieces.append(_Piece(start, end, int(depth > 0)))
    return [piece for piece in pieces if piece.end > piece.start]


def _pieces(data: bytes, end: int, span: Span | None, width: int, colour: bool) -> Iterator[str]:
    pieces = _cut(data, end)
    marked = [
        n for n, p in enumerate(pieces) if span is not None and p.start < max(span[1], span[0] + 1) and span[0] < p.end
    ]
    middle = marked[0] if marked else 0
    first = max(0, min(middle - MOST_PIECES // 2, len(pieces) - MOST_PIECES))
    if first:
        yield f"  ... {first:,} pieces before"
    for piece in pieces[first : first + MOST_PIECES]:
        yield from _piece(data, piece, span, width, colour)
    after = len(pieces) - first - MOST_PIECES
    if after > 0:
        yield f"  ... {after:,} pieces after"
    if span is not None and not marked and 8 <= span[0] == end:
        yield "  ^ here it ends"


def _piece(data: bytes, piece: _Piece, span: Span | None, width: int, colour: bool) -> Iterator[str]:
    """One piece in rows of ``width``. A long piece shows the rows around the mark."""
    indent = "  " + "  " * piece.depth
    room = max(width - len(indent), 20)
    low, high = (span[0], max(span[1], span[0] + 1)) if span else (-1, -1)
    start, stop = piece.start, piece.end
    limit = room * 4
    if stop - start > limit:
        near = low if start <= low < stop else start
        start = max(start, min(near - limit // 4, stop - limit))
        stop = min(stop, start + limit)
    cells = _cells(data, start, stop)
    if start > piece.start:
        yield f"{indent}... {start - piece.start:,} bytes"
    row: list[tuple[str, bool]] = []
    used = 0
    for cell, at, after in cells:
        if used + len(cell) > room:
            yield from _row(indent, row, colour)
            row, used = [], 0
        row.append((cell, at < high and low < after))
        used += len(cell)
    yield from _row(indent, row, colour)
    if stop < piece.end:
        yield f"{indent}... {piece.end - stop:,} bytes"


def _row(indent: str, row: list[tuple[str, bool]], colour: bool) -> Iterator[str]:
    text = "".join(_red(cell, colour and marked) for cell, marked in row)
    if text.strip() or any(marked for _, marked in row):
        yield f"{indent}{text}"
    if any(marked for _, marked in row):
        yield indent + "".join(("^" if marked else " ") * len(cell) for cell, marked in row).rstrip()


def _cells(data: bytes, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    """Printable characters, each with its bytes; all others as escapes."""
    at = start
    while at < end:
        lead = data[at]
        size = 1 if lead < 0xC0 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
        raw = data[at : min(at + size, end)]
        text = raw.decode(errors="replace")
        if len(text) != 1 or not text.isprintable() or text == "\ufffd":
            text = "".join(f"\\x{byte:02x}" for byte in raw)
        yield text, at, at + len(raw)
        at += len(raw)


def table(header: Header, *, width: int) -> Iterator[str]:
    """The metadata and the tensors of a header, one per line."""
    if header.metadata is not None:
        yield f"metadata ({len(header.metadata):,}):"
        for key, value in list(header.metadata.items())[:MOST_TENSORS]:
            yield f"  {key!r}: {value!r}"[:width]
    yield f"tensors ({len(header.tensors):,}):"
    if header.tensors:
        yield f"  {'begin':>14} {'end':>14} {'bytes':>14}  {'dtype':<12} shape  name"
    for tensor in header.tensors[:MOST_TENSORS]:
        size = tensor.end - tensor.begin
        bits = DTYPE_BITS.get(tensor.dtype)
        dtype = f"{tensor.dtype} ({bits} bit)" if bits is not None and bits % 8 else tensor.dtype
        shape = "[" + ", ".join(map(str, tensor.shape)) + "]"
        name = tensor.name.encode("utf-8", "backslashreplace").decode()
        yield f"  {tensor.begin:>14,} {tensor.end:>14,} {size:>14,}  {dtype:<12} {shape}  {name!r}"[: max(width, 80)]
    if len(header.tensors) > MOST_TENSORS:
        yield f"  ... and {len(header.tensors) - MOST_TENSORS:,} more"
