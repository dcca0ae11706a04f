"""Keeps a header's offsets and the buffer in step while the minimiser removes pieces of the header.

Three faults of a layout stay. Each tensor has a gap before it (a hole, or an overlap when negative) and a slack between
its size and its span. The buffer has an error in its length.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from math import prod

from harness.format.dtypes import DTYPE_BITS
from harness.triage.jsontree import Box, Edit, Raw

_PLAIN = re.compile(rb"(?:0|[1-9][0-9]{0,19})")
#: Larger buffers are not rebuilt.
_LARGEST = 1 << 24


def text_of(raw: Raw) -> str | None:
    """The text of a JSON string; None for any other scalar."""
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
    """The span of a tensor and its faults in bytes: ``gap`` to the tensor before, ``slack`` beyond its size."""

    tensor: Tensor
    begin: int
    end: int
    gap: int
    slack: int


class Layout:
    """The tensors of a header by offset, as they are now; call :meth:`repair` after a change.

    ``rest`` is the length of the buffer beyond the last tensor, in bytes.
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

    def repair(self) -> tuple[bytes, list[Edit]] | None:
        """The buffer, and the edits of the offsets, that fit the tensors as they are now.

        None where nothing needs repair, or where no sensible layout remains.
        """
        present = {id(entry.value) for entry in self._root.entries}
        edits: list[Edit] = []
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
            edits += [(tensor.first, "text", b"%d" % first), (tensor.last, "text", b"%d" % past)]
            pieces.append((first, self._buffer[place.begin : place.end][: max(past - first, 0)]))
            end = max(end, past)
        length = max(end + self.rest, 0)
        buffer = bytearray(length)
        for first, kept in pieces:
            fitting = kept[: max(length - first, 0)]
            buffer[first : first + len(fitting)] = fitting
        changed = bytes(buffer) != self._buffer or any(getattr(raw, name) != new for raw, name, new in edits)
        return (bytes(buffer), edits) if changed else None
