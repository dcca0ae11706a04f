"""Families of files that grow in one property, for measurements of cost.

A family makes a member for a number ``n``. All members are valid, except those of :data:`REFUSED`. A member states the sizes
of its parts, as calls differ in the parts they need.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.format.encode import ALIGNMENT, encode
from harness.format.header import Tensor


@dataclass(frozen=True, slots=True)
class Grown:
    """One member: the file, and ``name``, the tensor for calls that read one ("" without tensors).

    ``parts`` are sizes in bytes: ``header`` (with its length prefix), JSON of ``names``, ``metadata`` and ``entry`` (the named
    tensor), data of ``tensor`` (the named one) and of ``buffer`` (all).
    """

    data: bytes
    name: str
    parts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Family:
    """The property that grows, in words, and the numbers to measure at: each twice the one before."""

    words: str
    sizes: tuple[int, ...]
    make: Callable[[int], Grown]


def _doubled(first: int) -> tuple[int, ...]:
    return tuple(first << step for step in range(5))


#: Counts of things: few enough for a run under valgrind.
_COUNTS = _doubled(32)
#: Lengths of text, in characters.
_LENGTHS = _doubled(4096)
#: Lengths of data. Below 16 KiB the C library copies with one instruction.
_DATA = _doubled(1 << 14)
_ROWS = _doubled(1 << 13)


def _grown(
    tensors: Sequence[Tensor], metadata: Mapping[str, str] | None = None, *, asked: int = 0, pad: int = ALIGNMENT
) -> Grown:
    data = encode(tensors, metadata, pad=pad)
    header = 8 + int.from_bytes(data[:8], "little")
    chosen = tensors[asked] if tensors else None
    parts = {
        "header": header,
        "names": len(json.dumps([tensor.name for tensor in tensors])),
        "metadata": 0 if metadata is None else len(json.dumps(metadata)),
        "entry": 0 if chosen is None else len(json.dumps([chosen.name, list(chosen.shape)])),
        "tensor": 0 if chosen is None else chosen.end - chosen.begin,
        "buffer": len(data) - header,
    }
    return Grown(data, "" if chosen is None else chosen.name, parts)


def _row(count: int, size: int = 4) -> list[Tensor]:
    """``count`` tensors of ``size`` bytes, one after the other."""
    return [Tensor(f"t{index}", "U8", (size,), index * size, (index + 1) * size) for index in range(count)]


def _one(shape: tuple[int, ...], size: int, name: str = "t") -> list[Tensor]:
    return [Tensor(name, "U8", shape, 0, size)]


def _other_tensor_data(n: int) -> Grown:
    """A small tensor behind a large one."""
    return _grown([*_one((n,), n, "large"), Tensor("t", "U8", (4,), n, n + 4)], asked=1)


def _refused(text: bytes) -> Grown:
    """A header as it stands, with no tensor to ask for."""
    data = len(text).to_bytes(8, "little") + text
    return Grown(data, "", dict.fromkeys(("names", "metadata", "entry", "tensor", "buffer"), 0) | {"header": len(data)})


FAMILIES: dict[str, Family] = {
    "tensors": Family("tensors of four bytes", _COUNTS, lambda n: _grown(_row(n), asked=n // 2)),
    "reversed": Family(
        "tensors, listed from the last to the first", _COUNTS, lambda n: _grown(_row(n)[::-1], asked=n // 2)
    ),
    "empties": Family("tensors of no bytes", _COUNTS, lambda n: _grown(_row(n, 0), asked=n // 2)),
    "name": Family("characters in a name", _DATA, lambda n: _grown(_one((4,), 4, "t" * n))),
    "escapes": Family(
        "characters in a name, each written as an escape", _LENGTHS, lambda n: _grown(_one((4,), 4, "\u00e9" * n))
    ),
    "rank": Family("dimensions of one tensor, each of size 1", _COUNTS, lambda n: _grown(_one((1,) * n, 1))),
    "metadata": Family(
        "entries in the metadata", _COUNTS, lambda n: _grown(_row(1), {f"k{index}": "value" for index in range(n)})
    ),
    "value": Family("characters in one metadata value", _DATA, lambda n: _grown(_row(1), {"k": "v" * n})),
    "padding": Family("spaces after the header", _LENGTHS, lambda n: _grown(_row(1), pad=n)),
    "buffer": Family("bytes in the one tensor", _DATA, lambda n: _grown(_one((n,), n))),
    "rows": Family("rows of two bytes in the one tensor", _ROWS, lambda n: _grown(_one((n, 2), 2 * n))),
    "other-data": Family("bytes in a tensor that is not asked for", _DATA, _other_tensor_data),
    "empty-rows": Family("rows of two times nothing in a tensor of no bytes", _LENGTHS, lambda n: _grown(_one((n, 2, 0), 0))),
    "depth": Family(
        "lists inside one another, where a metadata value belongs",
        _LENGTHS,
        lambda n: _refused(b'{"__metadata__":{"k":%b%b}}' % (b"[" * n, b"]" * n)),
    ),
    "digits": Family(
        "digits of one dimension",
        _LENGTHS,
        lambda n: _refused(b'{"t":{"dtype":"U8","shape":[%b],"data_offsets":[0,0]}}' % (b"9" * n)),
    ),
}  # fmt: skip
#: Families of invalid files: a refusal must not cost more than reading.
REFUSED = frozenset({"depth", "digits"})
