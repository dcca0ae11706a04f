"""The tokens of strict JSON (RFC 8259) in bytes: strings, numbers, literals, and their faults.

Every function takes the text, a position and the end, never a slice. The expressions are possessive: a match takes linear
time and constant memory.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple, NoReturn

HUGE = 10**20
"""Value of every integer of more than 20 digits (-HUGE for negative ones): all are beyond 64 bits."""


class JsonError(ValueError):
    """The text is not JSON. ``aspect`` is a word of ``ASPECTS["header.json"]``, ``start`` and ``end`` a byte range."""

    def __init__(self, aspect: str, start: int, end: int) -> None:
        super().__init__(f"{aspect} at byte {start}")
        self.aspect = aspect
        self.start = start
        self.end = end


class Odd(NamedTuple):
    """A number in another spelling than plain digits (``1.0``, ``1e2``, ``-0``); ``value`` is None for a fraction."""

    value: int | None


Scalar = str | int | bool | Odd | None

_SPACE = re.compile(rb"[ \t\n\r]*+")
_SIMPLE_KEY = re.compile(rb'[ \t\n\r]*+"([^"\\\x00-\x1f]*+)"[ \t\n\r]*+:[ \t\n\r]*+')
_SIMPLE_STRING = re.compile(rb'"([^"\\\x00-\x1f]*+)"')
# Possessive, or the matcher would remember every escape of a long string.
STRING = re.compile(rb'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"')
_STRING_START = re.compile(rb'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+')
_PLAIN_INTEGER = re.compile(rb"(?:0|[1-9][0-9]*+)(?![0-9.eE])")
_NUMBER = re.compile(rb"(-?)(0|[1-9][0-9]*+)(?:\.([0-9]++))?(?:[eE]([+-]?)([0-9]++))?")
# Usual members and fields with the comma or brace behind them: no escapes, at most 32 integers of at most 19 digits.
_WS = r"[ \t\n\r]*+"
_COLON = f"{_WS}:{_WS}"
_TEXT = r'"([^"\\\x00-\x1f]*+)"'
_DIGITS_19 = r"(?:0|[1-9][0-9]{0,18}+)"
_LIST_32 = rf"\[((?:(?:{_DIGITS_19}, ?+){{0,31}}+{_DIGITS_19})?+)\]"
_BEHIND = f"{_WS}([,}}])"
PLAIN_FIELD = re.compile(f"{_WS}{_TEXT}{_COLON}(?:{_TEXT}|({_DIGITS_19})|{_LIST_32}){_BEHIND}".encode())
PLAIN_TENSOR = re.compile(
    (
        rf'{_WS}{_TEXT}{_COLON}\{{{_WS}"dtype"{_COLON}{_TEXT}{_WS},{_WS}"shape"{_COLON}{_LIST_32}{_WS},'
        rf'{_WS}"data_offsets"{_COLON}\[({_DIGITS_19}), ?+({_DIGITS_19})\]{_WS}\}}{_BEHIND}'
    ).encode()
)
_LITERAL = re.compile(rb"true|false|null")
SCALAR = re.compile(
    rb'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"'
    rb"|-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?|true|false|null"
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_PIECE = re.compile(r"(?:[^\\]++|\\u[0-9a-fA-F]{4}|\\.){1,4096}+", re.DOTALL)
_SHORT = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_LITERALS: dict[bytes, bool | None] = {b"true": True, b"false": False, b"null": None}
_MAX_DIGITS = 20
_CACHED = 32

QUOTE, COMMA, OPEN_ARRAY, CLOSE_ARRAY, OPEN, CLOSE = b'",[]{}'
_DIGITS = frozenset(b"0123456789")
_NUMBER_BYTES = frozenset(b"0123456789+-.eE")
_WORD = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def space(data: bytes, pos: int, end: int) -> int:
    """The end of the white space at ``pos``, if any."""
    # Most text is compact: a look is cheaper than a match.
    if pos < end and data[pos] <= 0x20:
        match = _SPACE.match(data, pos, end)
        return match.end() if match else pos
    return pos


def key_at(data: bytes, pos: int, end: int) -> tuple[str, int]:
    """Reads ``"key" :`` at ``pos`` and returns the key and where its value starts. Raises JsonError."""
    match = _SIMPLE_KEY.match(data, pos, end)
    if match is not None:
        return match[1].decode(), match.end()
    pos = space(data, pos, end)
    if pos >= end:
        raise JsonError("unexpected-end", end, end)
    if data[pos] != QUOTE:
        if data[pos] == CLOSE and _before(data, pos) == COMMA:
            raise JsonError("trailing-comma", pos, pos + 1)
        raise JsonError("bad-key", pos, pos + 1)
    key, pos = string_at(data, pos, end)
    pos = space(data, pos, end)
    if pos >= end:
        raise JsonError("unexpected-end", end, end)
    if data[pos : pos + 1] != b":":
        raise JsonError("separator", pos, pos + 1)
    return key, space(data, pos + 1, end)


def string_at(data: bytes, pos: int, end: int) -> tuple[str, int]:
    """The decoded string at ``pos``, and its end; half a surrogate pair stays. Raises JsonError."""
    match = _SIMPLE_STRING.match(data, pos, end)
    if match is not None:
        return match[1].decode(), match.end()
    match = STRING.match(data, pos, end)
    if match is None:
        _bad_string(data, pos, end)
    return _unescape(data[pos + 1 : match.end() - 1].decode()), match.end()


def _unescape(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        code = match[1]
        return chr(int(code, 16)) if code is not None else _SHORT[match[2]]

    # In pieces, to save memory: each escape is an object.
    plain = "".join(_ESCAPE.sub(one, piece) for piece in _PIECE.findall(text))
    # Two escapes of a pair become one character; a lone surrogate stays.
    return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def scalar_at(data: bytes, pos: int, end: int) -> tuple[Scalar, int]:
    """The string, number or literal at ``pos``, and its end. Raises JsonError."""
    match = _PLAIN_INTEGER.match(data, pos, end)
    if match is not None:
        after = match.end()
        return (int(match[0]) if after - pos <= _MAX_DIGITS else HUGE), after
    byte = data[pos] if pos < end else -1
    if byte == QUOTE:
        return string_at(data, pos, end)
    match = _NUMBER.match(data, pos, end)
    if match is not None:
        return (_short_number if match.end() - pos <= _CACHED else _number)(match[0]), match.end()
    match = _LITERAL.match(data, pos, end)
    if match is None:
        bad_value(data, pos, end)
    return _LITERALS[match[0]], match.end()


def _number(text: bytes) -> Scalar:
    """The exact value of a number in another spelling, without long integers."""
    match = _NUMBER.fullmatch(text)
    assert match is not None
    sign = -1 if match[1] else 1
    whole, fraction, exponent = match[2], match[3] or b"", (match[5] or b"").lstrip(b"0")
    if match[3] is None and match[5] is None and whole != b"0":
        return sign * (int(whole) if len(whole) <= _MAX_DIGITS else HUGE)
    digits = (whole + fraction).lstrip(b"0")
    if not digits:
        return Odd(0)
    significant = digits.rstrip(b"0")
    down = match[4] == b"-"
    if len(exponent) > _MAX_DIGITS:
        return Odd(None) if down else Odd(sign * HUGE)
    scale = len(digits) - len(significant) - len(fraction) + (-1 if down else 1) * int(exponent or b"0")
    if scale < 0:
        return Odd(None)
    if len(significant) + scale > _MAX_DIGITS:
        return Odd(sign * HUGE)
    return Odd(sign * int(significant) * 10**scale)


# A long list of one number in an odd spelling costs one parse and one object.
_short_number = lru_cache(maxsize=256)(_number)


def _before(data: bytes, pos: int) -> int:
    """The last byte before ``pos`` that is not white space."""
    pos -= 1
    while data[pos] in b" \t\n\r":
        pos -= 1
    return data[pos]


def _bad_string(data: bytes, pos: int, end: int) -> NoReturn:
    match = _STRING_START.match(data, pos, end)
    stop = match.end() if match else pos
    if stop >= end:
        raise JsonError("unexpected-end", end, end)
    raise JsonError("bad-escape" if data[stop] == 0x5C else "control-character", stop, min(stop + 2, end))


def bad_value(data: bytes, pos: int, end: int) -> NoReturn:
    """Raises the JsonError for the text at ``pos``, where a value is due."""
    if pos >= end:
        raise JsonError("unexpected-end", end, end)
    byte = data[pos]
    if byte == QUOTE:
        _bad_string(data, pos, end)
    if byte in _NUMBER_BYTES and byte not in b"eE":
        raise JsonError("bad-number", pos, pos + 1)
    if byte in _WORD:
        raise JsonError("bad-literal", pos, pos + 1)
    if byte == CLOSE_ARRAY and _before(data, pos) == COMMA:
        raise JsonError("trailing-comma", pos, pos + 1)
    raise JsonError("bad-value", pos, pos + 1)


def bad_separator(data: bytes, pos: int, end: int) -> NoReturn:
    """Raises the JsonError for the text at ``pos``, where a comma or a closing bracket is due."""
    if pos >= end:
        raise JsonError("unexpected-end", end, end)
    if data[pos - 1] in _DIGITS and data[pos] in _NUMBER_BYTES:
        raise JsonError("bad-number", pos, pos + 1)
    raise JsonError("separator", pos, pos + 1)
