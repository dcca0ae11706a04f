"""The element types of the format, as release 0.8.0 lists them."""

from __future__ import annotations

DTYPE_BITS: dict[str, int] = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "C64": 64,
    "F64": 64,
    "I64": 64,
    "U64": 64,
}
"""Name of a dtype to the bits of one element. Three of them (F4, F6_*) need not fill whole bytes."""


def byte_size(dtype: str, shape: tuple[int, ...]) -> int | None:
    """Bytes of a tensor in the buffer, or None where its bits do not fill whole bytes.

    Exact for any shape (Python integers). Raises KeyError for an unknown dtype.
    """
    bits = DTYPE_BITS[dtype]
    for dimension in shape:
        bits *= dimension
    return None if bits % 8 else bits // 8
