"""Pieces of requests, as ``ext/rust/wire.rs`` takes them apart: numbers are little-endian u64, bytes and lists begin with their length."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

_NUMBER = struct.Struct("<Q")
_ITEM = struct.Struct("<BQQBBQ")


def number(value: int) -> bytes:
    """A number."""
    return _NUMBER.pack(value)


def raw(data: bytes) -> bytes:
    """Bytes."""
    return _NUMBER.pack(len(data)) + data


def text(words: str) -> bytes:
    """A string."""
    return raw(words.encode())


def numbers(values: Sequence[int]) -> bytes:
    """A list of numbers."""
    return struct.pack(f"<{len(values) + 1}Q", len(values), *values)


def rows(made: Sequence[bytes]) -> bytes:
    """A list of pieces."""
    return _NUMBER.pack(len(made)) + b"".join(made)


def items(index: Sequence[tuple[int, int, int, int, int, int]]) -> bytes:
    """The items of an index."""
    return rows([_ITEM.pack(*item) for item in index])


def entries(metadata: Mapping[str, str] | None, long: int = 0) -> bytes:
    """Metadata; with ``long``, one more entry whose value has that many bytes, which the extension makes."""
    if metadata is None and not long:
        return b"\0"
    row = rows([text(key) + text(value) for key, value in (metadata or {}).items()])
    return bytes((1 + (long > 0),)) + row + (number(long) if long else b"")
