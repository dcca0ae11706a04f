"""The cheap tier: faults that show without reading the JSON."""

from __future__ import annotations

import codecs

from harness.format.judgement import Problem
from harness.format.rules import HEADER_LIMIT

_CHUNK = 1 << 20
_PADDING = {0x0A: "newline", 0x09: "tab", 0x0D: "carriage-return", 0x00: "nul"}


def _problem(rule: str, aspect: str, detail: str, span: tuple[int, int]) -> Problem:
    return Problem(rule, aspect, detail, span=span)


def check_framing(data: bytes, size: int) -> Problem | None:
    """Checks framing, UTF-8, first byte and padding of a file of ``size`` bytes that starts with ``data``.

    Linear in time, with constant memory for large headers. Returns the first broken rule, or None.
    """
    if size < 8:
        aspect = "short" if size else "empty"
        return _problem("framing.length", aspect, f"the file has {size} bytes, the length prefix needs 8", (0, size))
    length = int.from_bytes(data[:8], "little")
    if length > HEADER_LIMIT:
        detail = f"a header of {length} bytes, the limit is {HEADER_LIMIT}"
        return _problem("framing.header-limit", "over", detail, (0, 8))
    end = 8 + length
    if end > size:
        detail = f"a header of {length} bytes is announced, {size - 8} are there"
        return _problem("framing.header-truncated", "short", detail, (0, 8))
    wrong = _bad_utf8(data, 8, end)
    if wrong is not None:
        return wrong
    if not length or data[8] != 0x7B:
        return _bad_first_byte(data, end)
    # Padding is spaces; another control character at the end is wrong padding.
    last = end - 1
    if data[last] == 0x20:
        last = 8 + len(data[8:end].rstrip(b" ")) - 1
    if data[last] < 0x20:
        aspect = _PADDING.get(data[last], "other")
        return _problem("header.padding", aspect, f"the header is padded with 0x{data[last]:02X}", (last, last + 1))
    return None


def _bad_utf8(data: bytes, start: int, end: int) -> Problem | None:
    offset = start
    try:
        if end - start <= _CHUNK:
            data[start:end].decode()
            return None
        decoder = codecs.getincrementaldecoder("utf-8")()
        while offset < end:
            # The decoder keeps a character that the chunk cuts: step back over it to keep positions right.
            carried = len(decoder.getstate()[0])
            chunk = data[offset : min(offset + _CHUNK, end)]
            offset -= carried
            decoder.decode(chunk, offset + carried + len(chunk) >= end)
            offset += carried + len(chunk)
    except UnicodeDecodeError as error:
        at = offset + error.start
        surrogate = data[at] == 0xED and at + 1 < end and 0xA0 <= data[at + 1] <= 0xBF
        aspect = "surrogate" if surrogate else "malformed"
        return _problem("header.utf8", aspect, f"the header is not UTF-8 at byte {at}: {error.reason}", (at, at + 1))
    return None


def _bad_first_byte(data: bytes, end: int) -> Problem:
    if end == 8:
        return _problem("header.first-byte", "empty", "the header is empty, it must begin with {", (0, 8))
    if data[8] in b" \t\n\r":
        aspect = "whitespace"
    elif data[8:11] == b"\xef\xbb\xbf":
        aspect = "bom"
    else:
        aspect = "other"
    return _problem("header.first-byte", aspect, f"the header begins with 0x{data[8]:02X}, not with {{ (0x7B)", (8, 9))
