"""The content of a safetensors file: a header of tensors and metadata."""

from __future__ import annotations

from typing import NamedTuple

METADATA = "__metadata__"
"""The one key of the header that names no tensor."""


class Tensor(NamedTuple):
    """One tensor of the header. ``begin`` and ``end`` are bytes from the start of the buffer, ``end`` is one past."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class Header(NamedTuple):
    """A header as read: ``size`` is N in bytes (padding included), ``tensors`` stand in the order of the text.

    The bytes of a tensor are ``data[8 + size + begin : 8 + size + end]``.
    """

    size: int
    metadata: dict[str, str] | None
    tensors: tuple[Tensor, ...]

    def payload(self, data: bytes, tensor: Tensor) -> bytes:
        """The bytes of ``tensor`` in the file ``data``."""
        start = 8 + self.size
        return data[start + tensor.begin : start + tensor.end]
