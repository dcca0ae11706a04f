"""Comparison of values that calls gave with the values they should give."""

from __future__ import annotations

from typing import Any

import numpy


def differs(value: Any, wanted: Any) -> list[tuple[str, str]]:
    """The first of type, shape, dtype and bytes that differs, and how, in words; a numpy scalar is an array of rank 0."""
    wanted = numpy.asarray(wanted)
    if not isinstance(value, numpy.ndarray):
        return [("type", f"is a {type(value).__name__}, numpy's is an array")]
    if value.shape != wanted.shape:
        return [("shape", f"has shape {list(value.shape)}, numpy's {list(wanted.shape)}")]
    if value.dtype != wanted.dtype:
        return [("dtype", f"has dtype {value.dtype}, numpy's {wanted.dtype}")]
    if value.tobytes() != wanted.tobytes():
        return [("bytes", "holds other values than numpy's")]
    return []
