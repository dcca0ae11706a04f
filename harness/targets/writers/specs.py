"""Tensor specs: a dtype, a shape and a piece of memory, which agree or disagree.

The caller of the library guarantees ``data_len`` bytes at ``data_ptr``. Programs keep that guarantee. Where the length
disagrees with shape and dtype, the writer must refuse the spec before it reads the memory.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy

from harness.format.dtypes import DTYPE_BITS
from harness.programs import guarded
from harness.programs.arrays import NUMPY_NAMES, SHAPES, WRITER_DTYPES
from harness.programs.saving import CONVENTION

#: dtypes by number: the dtypes of numpy first.
DTYPES = (*NUMPY_NAMES, *(code for code in WRITER_DTYPES if code not in NUMPY_NAMES))
_SPARE = 64
#: Replaced arguments by number; before :data:`SOUND_FAULTS` they still agree.
FAULTS: dict[str, dict[str, str]] = {
    "": {},
    "tuple": {"shape": "tuple({shape})"},
    "numpy-ints": {"shape": "numpy.array({shape}, 'int64')"},
    "null": {"data_ptr": "0", "data_len": "0", "shape": "[0]"},
    "short": {"data_len": "max({size} - 1, 0)"},
    "long": {"data_len": "{size} + 1"},
    "no-data": {"data_len": "0"},
    "most-data": {"data_len": "2**64 - 1"},
    "overflow": {"shape": "[2**32, 2**32, 2]", "data_len": "0"},
    "huge": {"shape": "[2**63]"},
    "huge-empty": {"shape": "[0, 2**63, 2]", "data_len": "0"},
    "empty-huge": {"shape": "[2**63, 2, 0]", "data_len": "0"},
    "one-more": {"shape": "[*{shape}, 2]"},
    "negative": {"shape": "[*{shape}, -1]"},
    "past-usize": {"shape": "[*{shape}, 2**64]"},
    "float": {"shape": "[*{shape}, 1.5]"},
    "shape-text": {"shape": "'4'"},
    "shape-none": {"shape": "None"},
    "negative-length": {"data_len": "-1"},
    "negative-pointer": {"data_ptr": "-1", "data_len": "0", "shape": "[0]"},
    "unknown": {"dtype": "'float128'"},
    "code": {"dtype": "'F32'"},
    "empty-dtype": {"dtype": "''"},
    "no-text": {"dtype": "1"},
    "surrogate": {"dtype": r"'\ud800'"},
}
SOUND_FAULTS = 3
# Faults within the types and their ranges.
_IN_RANGE = ("short", "long", "no-data", "most-data", "overflow", "huge", "huge-empty", "empty-huge", "one-more")


class Spec(NamedTuple):
    """A spec: the source of its arguments, their values, its memory, and its ``entry`` in a file.

    ``entry``, ``odd``, ``sound`` and ``fair`` are as in :class:`harness.targets.writers.array_values.ArrayValue`. ``data`` is
    the memory. ``source`` lacks ``data_ptr`` where that is the address of ``memory``.
    """

    source: dict[str, str]
    arguments: dict[str, Any]
    memory: Any
    data: bytes
    entry: tuple[str, tuple[int, ...], bytes, str]
    odd: str = ""
    sound: bool = True
    fair: tuple[type[BaseException], ...] = ()

    @property
    def in_memory(self) -> bool:
        """Whether pointer and length name bytes that can be handed over instead, as older releases ask for."""
        return bool(self.arguments["data_ptr"] >= 0 and 0 <= self.arguments["data_len"] <= len(self.data))

    @property
    def promised(self) -> bytes:
        """The bytes that lie at the pointer: as many as the length says, where the memory has them."""
        return self.data[: self.arguments["data_len"] if self.in_memory else len(self.data) - _SPARE]

    def handed_over(self) -> dict[str, Any]:
        """The arguments; in guarded memory the pointer is to the bytes that the caller promises, and to no more."""
        if guarded.current() is None or self.arguments["data_ptr"] != self.memory.ctypes.data:
            return self.arguments
        return {**self.arguments, "data_ptr": guarded.block(self.promised).ctypes.data}


@lru_cache(1 << 13)
def spec(dtype: int, shape: int, fault: int, place: int) -> Spec:
    """The spec of these numbers; the content depends on ``place``."""
    code, logical = DTYPES[dtype % len(DTYPES)], SHAPES[shape % len(SHAPES)]
    wrong = tuple(FAULTS)[fault % len(FAULTS)]
    # The writer doubles the last dimension of F4: a byte holds two elements.
    written = (*logical[:-1], 2 * logical[-1]) if code == "F4" and logical else logical
    size = (prod(written) * DTYPE_BITS[code] + 7) // 8
    data = bytes((at * 7 + place * 61 + 1) & 0xFF for at in range(size + _SPARE))
    if code == "BOOL":
        data = bytes(byte & 1 for byte in data)
    memory = numpy.frombuffer(bytearray(data), "uint8")
    source = {"dtype": repr(WRITER_DTYPES[code]), "shape": repr(list(logical)), "data_len": str(size)}
    for word, text in FAULTS[wrong].items():
        source[word] = text.format(shape=list(logical), size=size)
    arguments = {word: eval(text, {"numpy": numpy}) for word, text in source.items()}  # noqa: S307 - text of the tables
    arguments.setdefault("data_ptr", memory.ctypes.data)
    if wrong == "null":
        return Spec(source, arguments, memory, b"", (code, (0,), b"", "plain"))
    entry = (code, written, data[:size], "plain")
    if wrong in tuple(FAULTS)[:SOUND_FAULTS]:
        # A scalar of half a byte is invalid.
        whole = prod(written) * DTYPE_BITS[code] % 8 == 0
        return Spec(source, arguments, memory, data, entry, "" if whole else "spec/half-byte", whole)
    fits = _fits(code, arguments) if wrong in _IN_RANGE else None
    fair = () if wrong in _IN_RANGE or wrong in ("unknown", "code", "empty-dtype") else CONVENTION
    if fits is None:
        return Spec(source, arguments, memory, data, entry, f"spec/{wrong}", False, fair)
    return Spec(source, arguments, memory, data, (code, fits, data[: arguments["data_len"]], "plain"), sound=False)


def _fits(code: str, arguments: dict[str, Any]) -> tuple[int, ...] | None:
    """The shape in the file where length and shape agree by chance (an empty tensor has no data), or None."""
    shape = list(arguments["shape"])
    if code == "F4" and shape:
        shape[-1] *= 2
    bits = prod(shape) * DTYPE_BITS[code]
    return tuple(shape) if bits % 8 == 0 and bits // 8 == arguments["data_len"] else None
