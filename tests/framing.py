"""A file of the format from its parts."""

from __future__ import annotations


def framed(header: str | bytes, data: bytes = b"") -> bytes:
    """The length of the header, the header, the data: whether or not they fit."""
    text = header.encode() if isinstance(header, str) else header
    return len(text).to_bytes(8, "little") + text + data
