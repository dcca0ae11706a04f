"""A strict reader of JSON (RFC 8259) for hostile text: iterative, linear in time, with little memory.

It reads UTF-8 and returns the members of the top-level object, the members of their objects, and the elements of arrays in
those. Deeper values are checked for syntax and duplicate keys, and not returned. Unlike a general reader it reports
duplicate keys, spellings of numbers, and positions.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from enum import Enum

from harness.format.jsontoken import (
    CLOSE,
    CLOSE_ARRAY,
    COMMA,
    OPEN,
    OPEN_ARRAY,
    PLAIN_FIELD,
    PLAIN_TENSOR,
    QUOTE,
    SCALAR,
    JsonError,
    Scalar,
    bad_separator,
    bad_value,
    key_at,
    scalar_at,
    space,
    string_at,
)


class Opaque(Enum):
    """A container that was checked and is not returned."""

    ARRAY = "array"
    OBJECT = "object"


class Object:
    """An object that is the value of a top-level member.

    ``fields`` keeps the first of equal keys, ``duplicates`` says where each repeated key stands again.
    """

    __slots__ = ("duplicates", "fields")

    def __init__(self, fields: dict[str, Value]) -> None:
        self.fields = fields
        self.duplicates: dict[str, int] = {}


Value = Scalar | Opaque | Object | list["Scalar | Opaque"]


class Reader:
    """Reads the object that starts at ``data[start]``; the text ends before ``data[end]``.

    ``nested_duplicate`` is the position of the first repeated key in values that are not returned, or -1.
    """

    def __init__(self, data: bytes, start: int, end: int) -> None:
        self._data = data
        self._start = start
        self._end = end
        self.nested_duplicate = -1

    def members(self) -> Iterator[tuple[str, int, Value]]:
        """Yields (key, position of the key, value) of the top-level object, in the order of the text.

        Raises JsonError where the text is not JSON, or where more than spaces follow.
        """
        data, end = self._data, self._end
        if self._start >= end or data[self._start] != OPEN:
            raise JsonError("bad-value", self._start, min(self._start + 1, end))
        pos = space(data, self._start + 1, end)
        if pos < end and data[pos] == CLOSE:
            pos += 1
        else:
            closed = False
            while not closed:
                match = PLAIN_TENSOR.match(data, pos, end)
                if match is not None:
                    raw, dtype, items, first, last, behind = match.groups()
                    fields: dict[str, Value] = {
                        "dtype": dtype.decode(),
                        "shape": list(map(int, items.split(b","))) if items else [],
                        "data_offsets": [int(first), int(last)],
                    }
                    pos, closed = match.end(), behind == b"}"
                    yield raw.decode(), match.start(1) - 1, Object(fields)
                    continue
                at = pos = space(data, pos, end)
                key, pos = key_at(data, pos, end)
                value, pos = self._member_value(pos)
                yield key, at, value
                pos, closed = _behind(data, pos, end)
        pos = space(data, pos, end)
        if pos < end:
            raise JsonError("trailing-data", pos, end)

    def _member_value(self, pos: int) -> tuple[Value, int]:
        if pos < self._end:
            if self._data[pos] == OPEN:
                return self._object(pos)
            if self._data[pos] == OPEN_ARRAY:
                return Opaque.ARRAY, self.skip(pos)
        return scalar_at(self._data, pos, self._end)

    def _object(self, pos: int) -> tuple[Object, int]:
        data, end = self._data, self._end
        fields: dict[str, Value] = {}
        result = Object(fields)
        pos = space(data, pos + 1, end)
        if pos < end and data[pos] == CLOSE:
            return result, pos + 1
        while True:
            value: Value
            match = PLAIN_FIELD.match(data, pos, end)
            if match is not None:
                # The whole field in one step, up to the comma or brace behind it.
                raw, text, number, items, behind = match.groups()
                key, at, pos = raw.decode(), match.start(1) - 1, match.end()
                if text is not None:
                    value = text.decode()
                elif number is not None:
                    value = int(number)
                else:
                    value = list(map(int, items.split(b","))) if items else []
                closed = behind == b"}"
            else:
                at = pos = space(data, pos, end)
                key, pos = key_at(data, pos, end)
                value, pos = self._field_value(pos)
                pos, closed = _behind(data, pos, end)
            if key in fields:
                result.duplicates.setdefault(key, at)
            else:
                fields[key] = value
            if closed:
                return result, pos

    def _field_value(self, pos: int) -> tuple[Value, int]:
        if pos < self._end:
            if self._data[pos] == OPEN_ARRAY:
                return self._array(pos)
            if self._data[pos] == OPEN:
                return Opaque.OBJECT, self.skip(pos)
        return scalar_at(self._data, pos, self._end)

    def _array(self, pos: int) -> tuple[list[Scalar | Opaque], int]:
        data, end = self._data, self._end
        items: list[Scalar | Opaque] = []
        pos = space(data, pos + 1, end)
        if pos < end and data[pos] == CLOSE_ARRAY:
            return items, pos + 1
        while True:
            if pos < end and data[pos] == OPEN_ARRAY:
                pos = self.skip(pos)
                items.append(Opaque.ARRAY)
            elif pos < end and data[pos] == OPEN:
                pos = self.skip(pos)
                items.append(Opaque.OBJECT)
            else:
                item, pos = scalar_at(data, pos, end)
                items.append(item)
            pos = space(data, pos, end)
            if pos < end and data[pos] == COMMA:
                pos = space(data, pos + 1, end)
            elif pos < end and data[pos] == CLOSE_ARRAY:
                return items, pos + 1
            else:
                bad_separator(data, pos, end)

    def skip(self, pos: int) -> int:
        """Checks the value at ``pos`` to any depth without recursion, and returns its end.

        The keys of all open objects lie in one flat list, to save memory. A closing object checks its part for duplicates.
        """
        data, end = self._data, self._end
        levels = bytearray()
        keys: list[str] = []
        places = array("Q")
        firsts = array("Q")
        while True:
            # A value is due at pos.
            if pos < end and data[pos] == OPEN_ARRAY:
                pos = space(data, pos + 1, end)
                if pos < end and data[pos] == CLOSE_ARRAY:
                    pos += 1
                else:
                    levels.append(CLOSE_ARRAY)
                    continue
            elif pos < end and data[pos] == OPEN:
                pos = space(data, pos + 1, end)
                if pos < end and data[pos] == CLOSE:
                    pos += 1
                else:
                    levels.append(CLOSE)
                    firsts.append(len(keys))
                    places.append(pos)
                    key, pos = key_at(data, pos, end)
                    keys.append(key)
                    continue
            else:
                match = SCALAR.match(data, pos, end)
                if match is None:
                    bad_value(data, pos, end)
                pos = match.end()
            # A value is complete: close what ends here, then go on to the next one.
            while levels:
                pos = space(data, pos, end)
                byte = data[pos] if pos < end else -1
                if byte == COMMA:
                    pos = space(data, pos + 1, end)
                    if levels[-1] == CLOSE:
                        places.append(pos)
                        key, pos = key_at(data, pos, end)
                        keys.append(key)
                    break
                if byte != levels[-1]:
                    bad_separator(data, pos, end)
                if byte == CLOSE:
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


def _behind(data: bytes, pos: int, end: int) -> tuple[int, bool]:
    """The end of the comma or closing brace after a member, and whether it is the brace. Raises JsonError."""
    pos = space(data, pos, end)
    if pos >= end or data[pos] not in b",}":
        bad_separator(data, pos, end)
    return pos + 1, data[pos] == CLOSE


def key_span(data: bytes, pos: int, end: int) -> tuple[int, int]:
    """The byte range of the key (with its quotes) at ``pos``, in text known to be JSON."""
    return pos, string_at(data, pos, end)[1]


def value_span(data: bytes, pos: int, end: int) -> tuple[int, int]:
    """The byte range of the value of the member whose key is at ``pos``, in text known to be JSON."""
    start = key_at(data, pos, end)[1]
    return start, Reader(data, start, end).skip(start)


def field_span(data: bytes, pos: int, end: int, name: str) -> tuple[int, int]:
    """The byte range of the value of the first member ``name`` of the object at ``pos``, in text known to be JSON.

    Raises KeyError when it has no such member.
    """
    pos = space(data, pos + 1, end)
    while data[pos] == QUOTE:
        key = key_at(data, pos, end)[0]
        start, after = value_span(data, pos, end)
        if key == name:
            return start, after
        pos = space(data, after, end)
        if data[pos] == COMMA:
            pos = space(data, pos + 1, end)
    raise KeyError(name)
