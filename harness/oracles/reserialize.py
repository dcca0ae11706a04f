"""The parser's own writer, from what its reader read."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from typing import Any

from harness.observation import REJECT, Observation, classify
from harness.programs.arrays import WRITER_DTYPES

Part = tuple[str, str, tuple[int, ...], bytes]


def serialize(parts: Sequence[Part], metadata: dict[str, str] | None) -> bytes | Observation | None:
    """The file that the loaded parser's ``serialize`` makes of (name, dtype, shape, bytes).

    None where no parser is loaded, or its writer takes no such dtype or shape; an observation when it fails.
    """
    module = sys.modules.get("safetensors")
    if module is None or not hasattr(module, "serialize"):
        return None
    shapes = [_writer_shape(dtype, shape) for _, dtype, shape, _ in parts]
    if None in shapes:
        return None
    # The writer takes addresses: these buffers live until it is done, and none of them is at address zero.
    buffers = [ctypes.create_string_buffer(data, max(1, len(data))) for _, _, _, data in parts]
    try:
        described: dict[str, Any] = {}
        for (name, dtype, _, data), shape, buffer in zip(parts, shapes, buffers, strict=True):
            described[name] = _describe(module, WRITER_DTYPES[dtype], shape, data, buffer)
        return bytes(module.serialize(described, metadata))
    except module.SafetensorError as error:
        return REJECT, str(error), error
    except BaseException as error:
        return classify(error, ())


def _writer_shape(dtype: str, shape: tuple[int, ...]) -> list[int] | None:
    """The shape as the writer wants it (it doubles the last dimension of F4), or None where it cannot be said."""
    if dtype not in WRITER_DTYPES:
        return None
    if dtype != "F4":
        return list(shape)
    return None if not shape or shape[-1] % 2 else [*shape[:-1], shape[-1] // 2]


def _describe(module: Any, dtype: str, shape: list[int] | None, data: bytes, buffer: Any) -> Any:
    if hasattr(module, "TensorSpec"):
        address = ctypes.addressof(buffer)
        return module.TensorSpec(dtype=dtype, shape=shape, data_ptr=address, data_len=len(data))
    return {"dtype": dtype, "shape": shape, "data": data}  # releases up to 0.7.0
