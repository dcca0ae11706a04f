"""Writes files that the judge accepts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from harness.format.header import Tensor

ALIGNMENT = 8
"""The header is padded so that the buffer starts at a multiple of this many bytes, as upstream's writer does."""


def encode_header(
    tensors: Iterable[Tensor], metadata: Mapping[str, str] | None = None, *, pad: int = ALIGNMENT
) -> bytes:
    """Length prefix and header in compact ASCII JSON, padded with spaces to a multiple of ``pad`` bytes (1: none).

    Metadata comes first, tensors in the order given. Nothing is checked. The last of equal names stays.
    """
    members: dict[str, object] = {} if metadata is None else {"__metadata__": dict(metadata)}
    for tensor in tensors:
        offsets = [tensor.begin, tensor.end]
        members[tensor.name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": offsets}
    text = json.dumps(members, separators=(",", ":")).encode()
    text += b" " * (-len(text) % pad)
    return len(text).to_bytes(8, "little") + text


def encode(
    tensors: Iterable[Tensor],
    metadata: Mapping[str, str] | None = None,
    payload: bytes | None = None,
    *,
    pad: int = ALIGNMENT,
) -> bytes:
    """A file of these tensors, in this order. Without ``payload`` the buffer is zeros up to the last tensor's end."""
    tensors = list(tensors)
    if payload is None:
        payload = bytes(max((tensor.end for tensor in tensors), default=0))
    return encode_header(tensors, metadata, pad=pad) + payload


def pack(
    parts: Iterable[tuple[str, str, tuple[int, ...], bytes]],
    metadata: Mapping[str, str] | None = None,
    *,
    pad: int = ALIGNMENT,
) -> bytes:
    """A file of (name, dtype, shape, bytes), one after the other; accepted when the sizes fit the shapes."""
    tensors: list[Tensor] = []
    buffers: list[bytes] = []
    begin = 0
    for name, dtype, shape, content in parts:
        tensors.append(Tensor(name, dtype, shape, begin, begin + len(content)))
        buffers.append(content)
        begin += len(content)
    return encode(tensors, metadata, b"".join(buffers), pad=pad)
