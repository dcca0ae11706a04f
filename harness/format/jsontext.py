"""A strict reader of JSON (RFC 8259) for hostile text: iterative, linear in time, frugal with memory.

It works on bytes that are known to be UTF-8 and reads what a header can mean: the members of the top-level object, the
members of an object that is a member's value, and the elements of an array that is a field of such an object.
Whatever lies deeper can only be an error or an extra field: it is checked to the last byte (syntax and duplicate keys)
but not kept. Duplicate keys, spellings of numbers and positions survive, unlike with a general JSON reader.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple, NoReturn

HUGE = 10**20
"""Stands for every integer of more than 20 digits (and -HUGE for the negative ones): all are beyond 64 bits."""


class JsonError(ValueError):
    """The text is not JSON. ``aspect`` is a word of ``ASPECTS["header.json"]``, ``start`` and ``end`` a byte range."""

    def __init__(self, aspect: str, start: int, end: int) -> None:
        super().__init__(f"{aspect} at byte {start}")
        self.aspect = aspect
        self.start = start
        self.end = end


class Odd(NamedTuple):
    """A number not spelled as plain digits (``1.0``, ``1e2``, ``-0``). ``value`` is None when it is no whole number."""

    value: int | None


class Opaque(Enum):
    """A container that was checked and not kept."""

    ARRAY = "array"
    OBJECT = "object"


class Object:
    """An object that is the value of a top-level member.

    ``fields`` keeps the first of equal keys, ``duplicates`` says where each repeated key stands again. ``start`` is the
    position of its ``{``.
    """

    __slots__ = ("duplicates", "fields", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        self.fields: dict[str, Value] = {}
        self.duplicates: dict[str, int] = {}


Scalar = str | int | bool | Odd | None
Value = Scalar | Opaque | Object | list["Scalar | Opaque"]

_SPACE = re.compile(rb"[ \t\n\r]*+")
_SIMPLE_KEY = re.compile(rb'[ \t\n\r]*+"([^"\\\x00-\x1f]*+)"[ \t\n\r]*+:[ \t\n\r]*+')
_SIMPLE_STRING = re.compile(rb'"([^"\\\x00-\x1f]*+)"')
# Possessive, or the matcher would remember every escape of a long string.
_STRING = re.compile(rb'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"')
_STRING_START = re.compile(rb'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+')
_PLAIN_INTEGER = re.compile(rb"(?:0|[1-9][0-9]*+)(?![0-9.eE])")
_NUMBER = re.compile(rb"(-?)(0|[1-9][0-9]*+)(?:\.([0-9]++))?(?:[eE]([+-]?)([0-9]++))?")
_LITERAL = re.compile(rb"true|false|null")
_SKIPPED = re.compile(
    rb'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"'
    rb"|-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?|true|false|null"
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_SHORT = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_LITERALS: dict[bytes, bool | None] = {b"true": True, b"false": False, b"null": None}
_MAX_DIGITS = 20

_QUOTE, _COMMA, _OPEN_ARRAY, _CLOSE_ARRAY, _OPEN, _CLOSE = b'",[]{}'
_DIGITS = frozenset(b"0123456789")
_NUMBER_BYTES = frozenset(b"0123456789+-.eE")
_WORD = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


class Reader:
    """Reads the object that starts at ``data[start]``; the text ends before ``data[end]``.

    ``nested_duplicate`` is the position of the first repeated key found in what is not kept, or -1.
    """

    def __init__(self, data: bytes, start: int, end: int) -> None:
        self._data = data
        self._start = start
        self._end = end
        self.nested_duplicate = -1

    def members(self) -> Iterator[tuple[str, int, Value]]:
        """Yields (key, position of the key, value) of the top-level object, in the order of the text.

        After the last one only spaces are left. Raises JsonError where the text stops being JSON.
        """
        data, end = self._data, self._end
        if self._start >= end or data[self._start] != _OPEN:
            raise JsonError("bad-value", self._start, min(self._start + 1, end))
        pos = _space(data, self._start + 1, end)
        if pos < end and data[pos] == _CLOSE:
            pos += 1
        else:
            while True:
                at = pos
                key, pos = _key(data, pos, end)
                value, pos = self._member_value(pos)
                yield key, at, value
                pos = _space(data, pos, end)
                if pos < end and data[pos] == _COMMA:
                    pos = _space(data, pos + 1, end)
                elif pos < end and data[pos] == _CLOSE:
                    pos += 1
                    break
                else:
                    _bad_separator(data, pos, end)
        pos = _space(data, pos, end)
        if pos < end:
            raise JsonError("trailing-data", pos, end)

    def _member_value(self, pos: int) -> tuple[Value, int]:
        if pos < self._end:
            if self._data[pos] == _OPEN:
                return self._object(pos)
            if self._data[pos] == _OPEN_ARRAY:
                return Opaque.ARRAY, self.skip(pos)
        return _scalar(self._data, pos, self._end)

    def _object(self, pos: int) -> tuple[Object, int]:
        data, end = self._data, self._end
        result = Object(pos)
        fields = result.fields
        pos = _space(data, pos + 1, end)
        if pos < end and data[pos] == _CLOSE:
            return result, pos + 1
        while True:
            at = pos
            key, pos = _key(data, pos, end)
            value: Value
            if pos < end and data[pos] == _OPEN_ARRAY:
                value, pos = self._array(pos)
            elif pos < end and data[pos] == _OPEN:
                value, pos = Opaque.OBJECT, self.skip(pos)
            else:
                value, pos = _scalar(data, pos, end)
            if key in fields:
                result.duplicates.setdefault(key, at)
            else:
                fields[key] = value
            pos = _space(data, pos, end)
            if pos < end and data[pos] == _COMMA:
                pos = _space(data, pos + 1, end)
            elif pos < end and data[pos] == _CLOSE:
                return result, pos + 1
            else:
                _bad_separator(data, pos, end)

    def _array(self, pos: int) -> tuple[list[Scalar | Opaque], int]:
        data, end = self._data, self._end
        items: list[Scalar | Opaque] = []
        pos = _space(data, pos + 1, end)
        if pos < end and data[pos] == _CLOSE_ARRAY:
            return items, pos + 1
        while True:
            if pos < end and data[pos] == _OPEN_ARRAY:
                pos = self.skip(pos)
                items.append(Opaque.ARRAY)
            elif pos < end and data[pos] == _OPEN:
                pos = self.skip(pos)
                items.append(Opaque.OBJECT)
            else:
                item, pos = _scalar(data, pos, end)
                items.append(item)
            pos = _space(data, pos, end)
            if pos < end and data[pos] == _COMMA:
                pos = _space(data, pos + 1, end)
            elif pos < end and data[pos] == _CLOSE_ARRAY:
                return items, pos + 1
            else:
                _bad_separator(data, pos, end)

    def skip(self, pos: int) -> int:
        """Checks the value at ``pos`` to any depth without recursion, and returns where it ends.

        The keys of all open objects lie in one flat list, so that a level costs bytes and not a set of its own;
        an object's stretch of it is looked at for duplicates when the object closes.
        """
        data, end = self._data, self._end
        levels = bytearray()
        keys: list[str] = []
        places = array("Q")
        firsts = array("Q")
        while True:
            # A value is due at pos.
            if pos < end and data[pos] == _OPEN_ARRAY:
                pos = _space(data, pos + 1, end)
                if pos < end and data[pos] == _CLOSE_ARRAY:
                    pos += 1
                else:
                    levels.append(_CLOSE_ARRAY)
                    continue
            elif pos < end and data[pos] == _OPEN:
                pos = _space(data, pos + 1, end)
                if pos < end and data[pos] == _CLOSE:
                    pos += 1
                else:
                    levels.append(_CLOSE)
                    firsts.append(len(keys))
                    places.append(pos)
                    key, pos = _key(data, pos, end)
                    keys.append(key)
                    continue
            else:
                match = _SKIPPED.match(data, pos, end)
                if match is None:
                    _bad_value(data, pos, end)
                pos = match.end()
            # A value is complete: close what ends here, then go on to the next one.
            while levels:
                pos = _space(data, pos, end)
                byte = data[pos] if pos < end else -1
                if byte == _COMMA:
                    pos = _space(data, pos + 1, end)
                    if levels[-1] == _CLOSE:
                        places.append(pos)
                        key, pos = _key(data, pos, end)
                        keys.append(key)
                    break
                if byte != levels[-1]:
                    _bad_separator(data, pos, end)
                if byte == _CLOSE:
                    first = firsts.pop()
                    self._close(keys, places, first)
                    del keys[first:], places[first:]
                levels.pop()
                pos += 1
            else:
                return pos

    def _close(self, keys: list[str], places: array[int], first: int) -> None:
        if len(keys) - first < 2 or len(set(keys[first:])) == len(keys) - first:
            return
        seen: set[str] = set()
        for index in range(first, len(keys)):
            if keys[index] in seen:
                if self.nested_duplicate < 0 or places[index] < self.nested_duplicate:
                    self.nested_duplicate = places[index]
                return
            seen.add(keys[index])


def key_span(data: bytes, pos: int, end: int) -> tuple[int, int]:
    """The byte range of the key (with its quotes) at ``pos``, in text known to be JSON."""
    return pos, _string(data, pos, end)[1]


def value_span(data: bytes, pos: int, end: int) -> tuple[int, int]:
    """The byte range of the value of the member whose key is at ``pos``, in text known to be JSON."""
    start = _key(data, pos, end)[1]
    return start, Reader(data, start, end).skip(start)


def field_span(data: bytes, pos: int, end: int, name: str) -> tuple[int, int]:
    """The byte range of the value of the first member ``name`` of the object at ``pos``, in text known to be JSON.

    Raises KeyError when it has no such member.
    """
    pos = _space(data, pos + 1, end)
    while data[pos] == _QUOTE:
        key = _key(data, pos, end)[0]
        start, after = value_span(data, pos, end)
        if key == name:
            return start, after
        pos = _space(data, after, end)
        if data[pos] == _COMMA:
            pos = _space(data, pos + 1, end)
    raise KeyError(name)


def _space(data: bytes, pos: int, end: int) -> int:
    # Compact text is the rule: look before paying for a match.
    if pos < end and data[pos] <= 0x20:
        match = _SPACE.match(data, pos, end)
        return match.end() if match else pos
    return pos


def _key(data: bytes, pos: int, end: int) -> tuple[str, int]:
    """Reads ``"key" :`` at ``pos`` and returns the key and where its value starts."""
    match = _SIMPLE_KEY.match(data, pos, end)
    if match is not None:
        return match[1].decode(), match.end()
    pos = _space(data, pos, end)
    if pos >= end:
        raise JsonError("unexpected-end", end, end)
    if data[pos] != _QUOTE:
        if data[pos] == _CLOSE and _before(data, pos) == _COMMA:
            raise JsonError("trailing-comma", pos, pos + 1)
        raise JsonError("bad-key", pos, pos + 1)
    key, pos = _string(data, pos, end)
    pos = _space(data, pos, end)
    if pos >= end:
        raise JsonError("unexpected-end", end, end)
    if data[pos : pos + 1] != b":":
        raise JsonError("separator", pos, pos + 1)
    return key, _space(data, pos + 1, end)


def _string(data: bytes, pos: int, end: int) -> tuple[str, int]:
    match = _SIMPLE_STRING.match(data, pos, end)
    if match is not None:
        return match[1].decode(), match.end()
    match = _STRING.match(data, pos, end)
    if match is None:
        _bad_string(data, pos, end)
    return _unescape(data[pos + 1 : match.end() - 1].decode()), match.end()


def _unescape(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        code = match[1]
        return chr(int(code, 16)) if code is not None else _SHORT[match[2]]

    plain = _ESCAPE.sub(one, text)
    # Two escapes of a pair are one character; a surrogate that found no partner stays as it is.
    return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _scalar(data: bytes, pos: int, end: int) -> tuple[Scalar, int]:
    match = _PLAIN_INTEGER.match(data, pos, end)
    if match is not None:
        after = match.end()
        return (int(match[0]) if after - pos <= _MAX_DIGITS else HUGE), after
    byte = data[pos] if pos < end else -1
    if byte == _QUOTE:
        return _string(data, pos, end)
    match = _NUMBER.match(data, pos, end)
    if match is not None:
        return _number(match), match.end()
    match = _LITERAL.match(data, pos, end)
    if match is None:
        _bad_value(data, pos, end)
    return _LITERALS[match[0]], match.end()


def _number(match: re.Match[bytes]) -> Scalar:
    """The exact value of a number that is not plain digits, without ever building a long integer."""
    sign = -1 if match[1] else 1
    whole, fraction, exponent = match[2], match[3] or b"", (match[5] or b"").lstrip(b"0")
    if match[3] is None and match[5] is None and whole != b"0":
        return sign * (int(whole) if len(whole) <= _MAX_DIGITS else HUGE)
    digits = (whole + fraction).lstrip(b"0")
    if not digits:
        return Odd(0)
    significant = digits.rstrip(b"0")
    shift = len(digits) - len(significant) - len(fraction)
    if len(exponent) > _MAX_DIGITS:
        return Odd(None) if match[4] == b"-" else Odd(sign * HUGE)
    scale = shift + (-1 if match[4] == b"-" else 1) * int(exponent or b"0")
    if scale < 0:
        return Odd(None)
    if len(significant) + scale > _MAX_DIGITS:
        return Odd(sign * HUGE)
    return Odd(sign * int(significant) * 10**scale)


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


def _bad_value(data: bytes, pos: int, end: int) -> NoReturn:
    if pos >= end:
        raise JsonError("unexpected-end", end, end)
    byte = data[pos]
    if byte == _QUOTE:
        _bad_string(data, pos, end)
    if byte in _NUMBER_BYTES and byte not in b"eE":
        raise JsonError("bad-number", pos, pos + 1)
    if byte in _WORD:
        raise JsonError("bad-literal", pos, pos + 1)
    if byte == _CLOSE_ARRAY and _before(data, pos) == _COMMA:
        raise JsonError("trailing-comma", pos, pos + 1)
    raise JsonError("bad-value", pos, pos + 1)


def _bad_separator(data: bytes, pos: int, end: int) -> NoReturn:
    if pos >= end:
        raise JsonError("unexpected-end", end, end)
    if data[pos - 1] in _DIGITS and data[pos] in _NUMBER_BYTES:
        raise JsonError("bad-number", pos, pos + 1)
    raise JsonError("separator", pos, pos + 1)
