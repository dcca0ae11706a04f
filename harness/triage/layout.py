"""Keeping a header's offsets and the buffer in step while the minimiser takes pieces out of it.

What is *wrong* with a layout is kept: the gap before each tensor (a hole, or an overlap when negative), the slack
between its size and its span, and how far the buffer is too long or too short.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from harness.format.dtypes import DTYPE_BITS
from harness.triage.jsontree import Box, Raw

_PLAIN = re.compile(rb"(?:0|[1-9][0-9]{0,19})")
#: Larger buffers are not rebuilt.
_LARGEST = 1 << 24

Undo = Callable[[], None]


def text_of(raw: Raw) -> str | None:
    """What a JSON string says; None where the scalar is none that can be read."""
    try:
        value = json.loads(raw.text)
    except ValueError:
        return None
    return value if isinstance(value, str) else None


@dataclass(slots=True)
class Tensor:
    """A tensor whose fields could be read; offsets and size in bytes."""

    box: Box
    dtype: Raw
    shape: Box
    first: Raw
    last: Raw

    def size(self) -> int | None:
        """Bytes that dtype and shape ask for; None where they cannot be read any more."""
        bits = DTYPE_BITS.get(text_of(self.dtype) or "")
        dims = _numbers(self.shape)
        return None if bits is None or dims is None else (bits * prod(dims) + 7) // 8


def _numbers(box: Box) -> list[int] | None:
    texts = [entry.value.text for entry in box.entries if isinstance(entry.value, Raw)]
    if len(texts) != len(box.entries) or not all(_PLAIN.fullmatch(text) for text in texts):
        return None
    return [int(text) for text in texts]


def read(box: Box) -> Tensor | None:
    """The tensor that an object stands for; None where it is none."""
    fields = {text_of(entry.key): entry.value for entry in box.entries if entry.key is not None}
    dtype, shape, span = fields.get("dtype"), fields.get("shape"), fields.get("data_offsets")
    if not isinstance(dtype, Raw) or not isinstance(shape, Box) or not isinstance(span, Box):
        return None
    ends = [entry.value for entry in span.entries if isinstance(entry.value, Raw)]
    if len(ends) != 2 or len(_numbers(span) or ()) != 2:
        return None
    tensor = Tensor(box, dtype, shape, *ends)
    return None if tensor.size() is None else tensor


@dataclass(slots=True)
class Place:
    """Where a tensor lies, and what is wrong with that: the bytes between it and what is before, and beyond its size."""

    tensor: Tensor
    begin: int
    end: int
    gap: int
    slack: int


class Layout:
    """The tensors of a header by offset, as they are now; :meth:`repair` after something was changed.

    ``rest`` is by how many bytes the buffer is longer than the tensors.
    """

    def __init__(self, root: Box, buffer: bytes) -> None:
        found = [read(entry.value) for entry in root.entries if isinstance(entry.value, Box)]
        tensors = [tensor for tensor in found if tensor is not None]
        tensors.sort(key=lambda tensor: (int(tensor.first.text), int(tensor.last.text)))
        self._root = root
        self._buffer = buffer
        self.places: list[Place] = []
        end = 0
        for tensor in tensors:
            begin, last = int(tensor.first.text), int(tensor.last.text)
            self.places.append(Place(tensor, begin, last, begin - end, last - begin - (tensor.size() or 0)))
            end = max(end, last)
        self.rest = len(buffer) - end

    def repair(self) -> tuple[bytes, Undo] | None:
        """Write offsets that fit what the tensors are now; the buffer to go with them, and how to take it back.

        None where nothing is to be repaired or no sensible layout remains (the tree is then as before).
        """
        present = {id(entry.value) for entry in self._root.entries}
        changes: list[tuple[Raw, bytes]] = []
        pieces: list[tuple[int, bytes]] = []
        end = 0
        for place in self.places:
            tensor = place.tensor
            if id(tensor.box) not in present:
                continue
            size = tensor.size()
            if size is None:
                return None
            first = end + place.gap
            past = first + size + place.slack
            if first < 0 or past < 0 or past > _LARGEST:
                return None
            changes += [(tensor.first, b"%d" % first), (tensor.last, b"%d" % past)]
            kept = self._buffer[place.begin : place.end][: max(past - first, 0)]
            pieces.append((first, kept))
            end = max(end, past)
        length = max(end + self.rest, 0)
        buffer = bytearray(length)
        for first, kept in pieces:
            fitting = kept[: max(length - first, 0)]
            buffer[first : first + len(fitting)] = fitting
        before = [(raw, raw.text) for raw, _ in changes]
        if bytes(buffer) == self._buffer and all(raw.text == new for raw, new in changes):
            return None
        _write(changes)
        return bytes(buffer), lambda: _write(before)


def _write(changes: list[tuple[Raw, bytes]]) -> None:
    for raw, text in changes:
        raw.text = text
