"""The arrays of programs that write, with their source and their expected entry in a file."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy

from harness.programs import guarded
from harness.programs.arrays import NUMPY_NAMES, SHAPES
from harness.programs.saving import CONVENTION
from harness.targets.writers.array_layouts import LAYOUTS, NAMES, TYPES

_LITTLE = {name: word for word, name in NUMPY_NAMES.items()}
_BIG = ("'>f4'", "'>i8'", "'>f2'", "'>i4'", "'>f8'", "'>i2'", "'>u2'", "'>u4'", "'>u8'", "'>c8'")
_ML = {
    "bfloat16": "BF16", "float8_e4m3fn": "F8_E4M3", "float8_e4m3fnuz": "F8_E4M3FNUZ", "float8_e5m2": "F8_E5M2",
    "float8_e5m2fnuz": "F8_E5M2FNUZ", "float8_e8m0fnu": "F8_E8M0",
}  # fmt: skip
# Dtypes that no file can have, with their words in signatures.
_ODD = {
    "'complex128'": "complex", "'longdouble'": "extended", "'clongdouble'": "extended", "'M8[s]'": "time",
    "'m8[ns]'": "time", "'S3'": "text", "'U3'": "text", "numpy.dtypes.StringDType()": "text", "'V8'": "raw",
    "[('a', '<f4'), ('b', '>i2')]": "structured", "object": "object", "'>c16'": "complex", "'>M8[s]'": "time",
    "'>U3'": "text", "'>g'": "extended",
}  # fmt: skip
_ML_ODD = ("float8_e4m3", "float8_e3m4", "float4_e2m1fn", "int4", "uint4")
#: dtypes by number, as source; from :data:`ODD_DTYPES` on, the format lacks them or they need ml_dtypes.
DTYPES: tuple[str, ...] = (
    *(f"'{name}'" for name in NUMPY_NAMES.values()), *_BIG, "'longlong'", "'ulonglong'",
    *_ODD, *(f"ml_dtypes.{name}" for name in (*_ML, *_ML_ODD)),
)  # fmt: skip
ODD_DTYPES = len(NUMPY_NAMES) + len(_BIG) + 2


class ArrayValue(NamedTuple):
    """A value to save: its numbers, the value, and its ``entry`` in the file (format dtype, shape, bytes, word).

    The word is for signatures: the layout of an array that is not in C order, else "plain". ``odd``, ``sound`` and ``fair``
    are as in :class:`harness.targets.writers.program.Content`.
    """

    numbers: tuple[int, int, int, int, int]
    value: Any
    entry: tuple[str, tuple[int, ...], bytes, str]
    odd: str = ""
    sound: bool = True
    fair: tuple[type[BaseException], ...] = ()

    @property
    def source(self) -> str:
        """Python source of the value."""
        return _source(*self.numbers)


@lru_cache(1 << 15)
def make(dtype: int, shape: int, layout: int, kind: int, place: int) -> ArrayValue:
    """The value of these numbers; the content depends on ``place``.

    Where numpy cannot make it (a matrix of rank 3, an object without alignment), the value has a plain type, then a plain
    layout. float32 replaces a dtype that is not installed.
    """
    dtype, shape, layout, kind = dtype % len(DTYPES), shape % len(SHAPES), layout % len(LAYOUTS), kind % len(TYPES)
    cast = _dtype(DTYPES[dtype])
    if cast is None:
        return make(0, shape, layout, kind, place)
    for laid, held in ((layout, kind), (layout, 0), (0, 0)):
        try:
            # The same as :func:`_source`. Compiling that for each array would take most of the time.
            value = _function(TYPES[held])(_function(_call(laid))(_values(cast, SHAPES[shape], place)))
        except (TypeError, ValueError, AttributeError, IndexError):
            continue
        if isinstance(value, numpy.ndarray) and not value.flags.c_contiguous:
            value = guarded.apart(value)
        return _made(value, dtype, shape, laid, held, place)
    raise AssertionError("numpy has plain arrays of every dtype that it has")


@lru_cache(1 << 8)
def _dtype(source: str) -> Any:
    """The dtype of that source; None where it needs ml_dtypes, which is not installed."""
    names = dict(NAMES)
    if source.startswith("ml_dtypes."):
        if importlib.util.find_spec("ml_dtypes") is None:
            return None
        # Only on demand: ml_dtypes adds names to numpy.
        names["ml_dtypes"] = importlib.import_module("ml_dtypes")
    return numpy.dtype(eval(source, names))  # noqa: S307 - text of the tables


@lru_cache(1 << 8)
def _function(expression: str) -> Callable[[Any], Any]:
    made: Callable[[Any], Any] = eval(f"lambda x: {expression.format('x')}", dict(NAMES))  # noqa: S307 - text of the tables
    return made


def _call(layout: int) -> str:
    return f"{LAYOUTS[layout]}({{}})" if layout else "{}"


def _values(dtype: Any, shape: tuple[int, ...], place: int) -> Any:
    """A new array of this dtype and shape, with values that differ as far as the dtype allows."""
    first = 1 + 16 * place
    row = numpy.arange(first, first + prod(shape))
    return (row % 2 == 1 if dtype.kind == "b" else row.astype(dtype)).reshape(shape)


def _source(dtype: int, shape: int, layout: int, kind: int, place: int) -> str:
    """Python source of the value of these numbers."""
    first, last = 1 + 16 * place, 1 + 16 * place + prod(SHAPES[shape])
    row = f"numpy.arange({first}, {last})"
    cast = f"({row} % 2 == 1)" if DTYPES[dtype] == "'bool'" else f"{row}.astype({DTYPES[dtype]})"
    plain = f"{cast}.reshape({', '.join(map(str, SHAPES[shape])) or '()'})"
    return TYPES[kind].format(_call(layout).format(plain))


def _made(value: Any, dtype: int, shape: int, layout: int, kind: int, place: int) -> ArrayValue:
    numbers = (dtype, shape, layout, kind, place)
    if not isinstance(value, numpy.ndarray):
        # The library documents arrays. Other values fail with AttributeError, by the convention of Python.
        # 0.7.0 saves a numpy scalar as an array without dimensions.
        name = format_dtype(value.dtype) if isinstance(value, numpy.generic) else ""
        wanted = (name, (), little(value) if name else b"", "value")
        return ArrayValue(numbers, value, wanted, "" if name else "value", False, (*CONVENTION, AttributeError))
    word = "plain" if value.flags.c_contiguous else LAYOUTS[layout]
    name = format_dtype(value.dtype)
    if not name:
        odd = f"dtype/{_ODD.get(DTYPES[dtype], 'ml_dtypes')}"
        return ArrayValue(numbers, value, ("", value.shape, b"", word), odd, False)
    # "Tensors need to be contiguous and dense": the library may refuse others, with torch.py's kind of error too.
    sound = word == "plain"
    return ArrayValue(
        numbers, value, (name, value.shape, little(value), word), "", sound, () if sound else (ValueError,)
    )


@lru_cache(1 << 8)
def format_dtype(dtype: Any) -> str:
    """The name of a numpy dtype, of either byte order, in the format; "" where the format lacks it."""
    return _LITTLE.get(dtype.name) or _ML.get(dtype.name, "")


def little(array: Any) -> bytes:
    """The elements of an array in C order and little-endian: its bytes in the format."""
    array = numpy.asarray(array)  # a masked array would fill masked elements
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    made: bytes = array.tobytes()
    return made
