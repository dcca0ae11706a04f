"""Faults of a member of the header, as values of the json module with objects as tuples of pairs.

A fault is a rank, an index in ``ORDER``: less is worse, ``CLEAN`` is none. ValueError for a number that is not an int: its
judgement needs the text.
"""

from __future__ import annotations

from typing import Any

from harness.format.dtypes import DTYPE_BITS
from harness.format.header import METADATA, Tensor
from harness.format.rules import ORDER, U64_MAX

CLEAN = len(ORDER)
FIELDS = ("dtype", "shape", "data_offsets")

Pairs = tuple[tuple[str, Any], ...]


def repeated(pairs: Pairs) -> set[str]:
    """The keys that an object has more than once."""
    seen: set[str] = set()
    return {key for key, _ in pairs if key in seen or seen.add(key)}  # type: ignore[func-returns-value]


def rank_of_pairs(top: Pairs) -> int:
    """The rank of half a surrogate pair in a name or in metadata, in a header without anything worse."""
    rank = CLEAN
    for name, value in top:
        if _lone(name):
            rank = min(rank, ORDER["unspecified.lone-surrogate", "tensor-name"])
        if name == METADATA:
            for key, item in value:
                if _lone(key):
                    rank = min(rank, ORDER["unspecified.lone-surrogate", "metadata-key"])
                if _lone(item):
                    rank = min(rank, ORDER["unspecified.lone-surrogate", "metadata-value"])
    return rank


def _lone(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def rank_of_names(top: Pairs) -> int:
    """The rank of equal keys on the top level, where there are some."""
    return ORDER["header.duplicate-key", "metadata" if repeated(top) == {METADATA} else "tensor-name"]


def rank_of_metadata(value: Any) -> int:
    """The rank of the value of ``__metadata__``."""
    if type(value) is not tuple:
        return ORDER["metadata.strings", "null" if value is None else "not-object"]
    if len(dict(value)) != len(value):
        return ORDER["header.duplicate-key", "metadata-key"]
    for _, item in value:
        if type(item) is not str:
            return ORDER["metadata.strings", "value-not-string"]
    return CLEAN


def rank_of_nested(top: Pairs) -> int:
    """The rank of equal keys in objects that lie in arrays or objects of a member."""
    left: list[Any] = []
    for _, value in top:
        if type(value) is tuple:
            left += [item for _, item in value]
        else:
            left.append(value)
    while left:
        value = left.pop()
        if type(value) is tuple:
            if len(dict(value)) != len(value):
                return ORDER["header.duplicate-key", "nested"]
            left += [item for _, item in value]
        elif type(value) is list:
            left += value
    return CLEAN


def read_tensor(name: str, value: Any) -> tuple[int, Tensor | None]:
    """The worst rank of the tensor ``name``, and the tensor if it breaks no rule by itself."""
    if type(value) is not tuple:
        aspect = "array-form" if type(value) is list else "null" if value is None else "scalar"
        return ORDER["tensor.fields", aspect], None
    fields = dict(value)
    if len(fields) != len(value):
        known = not repeated(value).isdisjoint(FIELDS)
        return ORDER["header.duplicate-key", "tensor-field" if known else "extra-field"], None
    try:
        dtype, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
    except KeyError:
        return ORDER["tensor.fields", "missing"], None
    rank = ORDER["unspecified.extra-field", "tensor"] if len(fields) > len(FIELDS) else CLEAN
    if type(dtype) is not str:
        return ORDER["tensor.dtype", "not-string"], None
    if dtype not in DTYPE_BITS:
        return ORDER["tensor.dtype", "unknown"], None
    wrong = _integers(shape)
    if wrong:
        return ORDER["tensor.shape", wrong], None
    wrong = _integers(offsets) or ("" if len(offsets) == 2 else "not-pair")
    if wrong:
        return ORDER["tensor.offsets", wrong], None
    begin, end = offsets
    if begin > U64_MAX or end > U64_MAX:
        return ORDER["tensor.offsets", "beyond-u64"], None
    if begin > end:
        return ORDER["tensor.offsets", "reversed"], None
    bits = 0 if 0 in shape else DTYPE_BITS[dtype]
    for dimension in shape if bits else ():
        bits *= dimension
        if bits > U64_MAX:
            return ORDER["tensor.size", "overflow"], None
    if bits & 7:
        return ORDER["tensor.sub-byte", "partial"], None
    if bits != (end - begin) << 3:
        return ORDER["tensor.size", "mismatch"], None
    if shape and max(shape) > U64_MAX:
        rank = min(rank, ORDER["unspecified.huge-dimension", "shape"])
    return rank, Tensor(name, dtype, tuple(shape), begin, end)


def _integers(value: Any) -> str:
    """The aspect of a value that is no list of integers, or ""."""
    if type(value) is not list:
        return "not-list"
    wrong = ""
    for item in value:
        if type(item) is float:
            raise ValueError(item)
        if type(item) is not int:
            wrong = "not-integer"
    return wrong or ("negative" if value and min(value) < 0 else "")
