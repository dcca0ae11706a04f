"""The small arrays of programs: dtypes, shapes and contents by number. Functions cache them."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy

from harness.format.dtypes import DTYPE_BITS
from harness.format.encode import pack

#: The ways in which ``safe_open`` reads.
BACKENDS = ("mmap", "pread")
#: dtypes by number: the dtypes of numpy, usual ones first; then the dtypes that numpy lacks.
NUMPY_NAMES: dict[str, str] = {
    "F32": "float32", "U8": "uint8", "I64": "int64", "F16": "float16", "I32": "int32", "F64": "float64", "BOOL": "bool",
    "I8": "int8", "I16": "int16", "U16": "uint16", "U32": "uint32", "U64": "uint64", "C64": "complex64",
}  # fmt: skip
DTYPES: tuple[str, ...] = (*NUMPY_NAMES, *(name for name in DTYPE_BITS if name not in NUMPY_NAMES))

#: The dtypes of the format by the names that ``serialize`` takes. It has none for F6, nor for F4 of odd length.
WRITER_DTYPES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "U16": "uint16", "I16": "int16", "U32": "uint32", "I32": "int32",
    "U64": "uint64", "I64": "int64", "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
    "F8_E4M3": "float8_e4m3fn", "F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2": "float8_e5m2",
    "F8_E5M2FNUZ": "float8_e5m2fnuz", "F8_E8M0": "float8_e8m0fnu", "C64": "complex64", "F4": "float4_e2m1fn_x2",
}  # fmt: skip

#: Shapes by number, of rank 0 to 8, some without elements. They are small, because defects depend on structure.
SHAPES: tuple[tuple[int, ...], ...] = (
    (4,), (), (1,), (2, 3), (3, 4), (0,), (2, 2, 2), (5,), (8,), (16,), (1, 1), (1, 4), (4, 1), (2, 0), (0, 2), (0, 0),
    (3, 1, 2), (2, 3, 4), (1, 1, 1), (2, 0, 3), (7, 5), (8, 8), (2, 2, 2, 2), (1, 2, 1, 3), (3, 3, 3), (0, 4, 0), (64,),
    (2, 1, 1, 1, 2), (1, 2, 1, 2, 1, 2), (2, 1, 2, 1, 2, 1, 1), (1, 1, 1, 1, 1, 1, 1, 2), (17, 3), (33,), (128,), (2, 64),
)  # fmt: skip

#: Names by number.
NAMES = ("a", "b", "c", "d", "weight", "", "model.layers.0.q", "é", "a b", "__metadata", "\U0001f917", "x" * 64)


@lru_cache(1 << 12)
def content(dtype: str, shape: tuple[int, ...], salt: int = 0) -> bytes:
    """The bytes of a tensor. They depend on their place, so that parts of a file differ from each other.

    BOOL holds 0 and 1 only. The size is rounded up to whole bytes.
    """
    bits = DTYPE_BITS[dtype] * prod(shape)
    size = (bits + 7) // 8
    raw = bytes((at * 7 + (at >> 8) + salt * 61 + 1) & 0xFF for at in range(size))
    return bytes(byte & 1 for byte in raw) if dtype == "BOOL" else raw


@lru_cache(1 << 12)
def array(dtype: str, shape: tuple[int, ...], salt: int = 0) -> Any:
    """The read-only numpy array of this content; None where numpy lacks the dtype or cannot have the shape."""
    name = NUMPY_NAMES.get(dtype)
    if name is None:
        return None
    try:
        return numpy.frombuffer(content(dtype, shape, salt), dtype=name).reshape(shape)
    except ValueError:
        return None


Tensors = tuple[tuple[str, str, tuple[int, ...], int], ...]
"""Tensors of a file, each as (name, dtype, shape, salt of its content)."""


@lru_cache(1 << 10)
def file(tensors: Tensors, metadata: tuple[tuple[str, str], ...] | None = None) -> bytes:
    """A valid file of these tensors, in this order and without gaps."""
    parts = [(name, dtype, shape, content(dtype, shape, salt)) for name, dtype, shape, salt in tensors]
    return pack(parts, None if metadata is None else dict(metadata))


class _Take:
    def __getitem__(self, index: Any) -> Any:
        return index


@lru_cache(1 << 14)
def index(source: str) -> Any:
    """The value of the subscript ``source``. Programs write it: numbers, colons and ellipses."""
    return eval(f"take[{source}]", {"take": _Take()})  # noqa: S307


@lru_cache(1 << 12)
def bound(text: str, d: int) -> int:
    """The value of an expression over the dimension ``d``, from the table of a language."""
    return int(eval(text, {"__builtins__": {}}, {"d": d}))  # noqa: S307
