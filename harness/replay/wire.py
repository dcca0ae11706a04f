"""How a parent and its replay child talk: frames with a length in front, over two pipes.

A request is ``<Q size><d seconds>`` and ``size`` bytes of input. A reply is ``<Q size>`` and that much JSON. The first
frame a child sends, ``{"ready": true}``, says that the parser is loaded.
"""

from __future__ import annotations

import json
import os
import struct
from typing import Any

REQUEST = struct.Struct("<Qd")
LENGTH = struct.Struct("<Q")


def read_exactly(descriptor: int, size: int) -> bytes | None:
    """``size`` bytes from ``descriptor``; None when it ends before."""
    parts: list[bytes] = []
    missing = size
    while missing:
        part = os.read(descriptor, min(missing, 1 << 20))
        if not part:
            return None
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def write_all(descriptor: int, data: bytes) -> None:
    """All of ``data`` to ``descriptor``. Raises BrokenPipeError when the reader is gone."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def send(descriptor: int, message: dict[str, Any]) -> None:
    """One JSON frame."""
    body = json.dumps(message).encode()
    write_all(descriptor, LENGTH.pack(len(body)) + body)


def receive(descriptor: int) -> dict[str, Any] | None:
    """One JSON frame; None when the other side is gone."""
    head = read_exactly(descriptor, LENGTH.size)
    if head is None:
        return None
    body = read_exactly(descriptor, LENGTH.unpack(head)[0])
    if body is None:
        return None
    message: dict[str, Any] = json.loads(body)
    return message
