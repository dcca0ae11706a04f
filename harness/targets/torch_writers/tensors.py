"""The tensors of target ``torch_writers``: dtypes, views and layouts by number, with the expected entry of each in a file.

Each tensor is Python source, for reproducers and for the target. Beside it are its expected bytes. Numpy computes them with
the same slices of the same memory, on elements without a type. This module does not import torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy

from harness.programs.arrays import WRITER_DTYPES

_CODES = {word: code for code, word in WRITER_DTYPES.items()}
_SIZES = {
    "float32": 4, "uint8": 1, "int64": 8, "float16": 2, "bfloat16": 2, "int32": 4, "float64": 8, "bool": 1, "int8": 1,
    "int16": 2, "uint16": 2, "uint32": 4, "uint64": 8, "complex64": 8, "float8_e4m3fn": 1, "float8_e4m3fnuz": 1,
    "float8_e5m2": 1, "float8_e5m2fnuz": 1, "float8_e8m0fnu": 1, "float4_e2m1fn_x2": 1,
    "complex128": 16, "complex32": 4, "bits8": 1, "bits16": 2,
}  # fmt: skip
#: dtypes of torch by number; from :data:`ODD_DTYPES` on the format lacks them.
DTYPES: tuple[str, ...] = tuple(_SIZES)
ODD_DTYPES = DTYPES.index("complex128")
_COMPLEX = {"complex64": "float32", "complex32": "float16", "complex128": "float64"}
_HALVES = {half: whole for whole, half in _COMPLEX.items()}
_PACKED = "float4_e2m1fn_x2"
_SPARSE = ("float32", "float64", "int64")

Shape = tuple[int, ...]


class Layout(NamedTuple):
    """The place of a tensor in its memory: the shape of the memory, the view in torch, and the view in numpy.

    ``dtypes`` are its possible dtypes, () for all; ``ranks`` are the smallest and the largest rank.
    """

    word: str
    memory: Callable[[Shape], Shape]
    source: str
    numpy: Callable[[Any, Shape], Any]
    dtypes: tuple[str, ...] = ()
    ranks: tuple[int, int] = (0, 9)
    odd: str = ""


def _opposite(elements: Any) -> Any:
    """The negated numbers."""
    size = elements.dtype.itemsize
    octets = numpy.array(bytearray(elements.tobytes()), "uint8")
    octets[size - 1 :: size] ^= 0x80
    return numpy.ndarray(elements.shape, elements.dtype, octets.data)


def _conjugated(elements: Any, shape: Shape) -> Any:
    """The conjugated numbers. Imaginary parts follow the real ones."""
    return _opposite(elements)


def _imaginary(elements: Any, shape: Shape) -> Any:
    """The imaginary parts of conjugated numbers in their memory, with the old sign."""
    half = elements.dtype.itemsize // 2
    if not elements.size:
        return numpy.empty(shape, f"V{half}")
    return numpy.ndarray(shape, f"V{half}", elements, half, elements.strides)


LAYOUTS: tuple[Layout, ...] = (
    Layout("plain", lambda shape: shape, "{}", lambda x, shape: x),
    Layout("flipped", lambda shape: shape[::-1], "flipped({})", lambda x, shape: x.transpose(), ranks=(2, 9)),
    Layout("strided", lambda shape: (2 * shape[0], *shape[1:]), "{}[::2]", lambda x, shape: x[::2], ranks=(1, 9)),
    Layout("tail", lambda shape: (shape[0] + 1, *shape[1:]), "{}[1:]", lambda x, shape: x[1:], ranks=(1, 9)),
    Layout("head", lambda shape: (shape[0] + 1, *shape[1:]), "{}[:-1]", lambda x, shape: x[:-1], ranks=(1, 9)),
    Layout("cropped", lambda shape: (*shape[:-1], shape[-1] + 1), "{}[..., 1:]", lambda x, shape: x[..., 1:], ranks=(1, 9)),
    Layout("expanded", lambda shape: (1, *shape[1:]), "{}.expand({shape})", numpy.broadcast_to, ranks=(1, 9)),
    Layout("element", lambda shape: (2, *shape), "{}[1]", lambda x, shape: x[1, ...]),
    Layout("conj", lambda shape: shape, "{}.conj()", _conjugated, tuple(_COMPLEX)),
    Layout("neg", lambda shape: shape, "{}.conj().imag", _imaginary, tuple(_HALVES)),
    Layout("sparse", lambda shape: shape, "{}.to_sparse()", lambda x, shape: x, _SPARSE, (1, 9), "sparse"),
    Layout("sparse-csr", lambda shape: shape, "{}.to_sparse_csr()", lambda x, shape: x, _SPARSE, (2, 2), "sparse"),
    Layout("meta", lambda shape: shape, "{}.to('meta')", lambda x, shape: x, odd="meta"),
    # As torch.channels_last lays pictures out.
    Layout("channels-last", lambda shape: (shape[0], *shape[2:], shape[1]), "{}.permute(0, 3, 1, 2)",
           lambda x, shape: x.transpose(0, 3, 1, 2), ranks=(4, 4)),
)  # fmt: skip
# Stored programs have these as their byte modulo 13. Later layouts have the last bytes, so that programs keep their meaning.
_FIRST, _LATER = 13, 247
#: The number of each layout in programs, by its word.
LAYOUT_NUMBERS = {laid.word: at if at < _FIRST else _LATER + at - _FIRST for at, laid in enumerate(LAYOUTS)}
_FLAT = "{}.view(-1)"
#: Other tensors in the memory of an earlier one, by number: a word, the source of the view, and the view in numpy.
VIEWS: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
    ("same", "", lambda x: x),
    ("alias", "{}.detach()", lambda x: x),
    ("flat", _FLAT, lambda x: x.reshape(-1)),
    ("first-half", "halves({})[0]", lambda x: x.reshape(-1)[: (x.size + 1) // 2]),
    ("second-half", "halves({})[1]", lambda x: x.reshape(-1)[(x.size + 1) // 2 :]),
    ("most", f"{_FLAT}[1:]", lambda x: x.reshape(-1)[1:]),
    ("none", f"{_FLAT}[:0]", lambda x: x.reshape(-1)[:0]),
    ("flipped", "flipped({})", lambda x: x.transpose()),
    ("bytes", f"{_FLAT}.view(torch.uint8)", lambda x: numpy.ndarray(x.nbytes, "V1", x.data if x.size else None)),
    ("column", "{}[..., :1]", lambda x: x[..., :1]),
)  # fmt: skip
#: Forms of a tensor by number.
FORMS = ("{}", "parameter({})", "{}.as_subclass(Own)")
#: Values that are no tensors of torch, by number, as source.
NO_TENSORS = ("numpy.zeros(2, 'float32')", "None", "[1.0, 2.0]", "1", "'text'")


@dataclass(frozen=True, eq=False)
class Memory:
    """The memory of tensors, itself a contiguous tensor. Each has its own ``number``."""

    number: int
    dtype: str
    shape: Shape
    elements: Any

    @property
    def source(self) -> str:
        """Python source of the memory."""
        return f"memory({self.dtype!r}, {self.shape}, {1 + 16 * self.number})"


@dataclass(frozen=True, eq=False)
class TensorValue:
    """A tensor: its memory, its source as an expression over the memory, and its expected entry in a file.

    ``span`` is its first byte in the memory, and the byte after its last. ``word`` is its layout in signatures. ``odd`` says
    why no file can hold it, or is "".
    """

    memory: Memory
    source: str
    dtype: str
    shape: Shape
    data: bytes
    word: str
    contiguous: bool
    span: tuple[int, int]
    odd: str = ""

    @property
    def code(self) -> str:
        """The name of its dtype in the format; "" where the format lacks it."""
        return _CODES.get(self.dtype, "")

    @property
    def entry(self) -> tuple[str, Shape, bytes]:
        """Dtype, shape and bytes in a file. A file counts a last dimension of pairs twice."""
        if self.dtype == _PACKED and self.shape:
            return self.code, (*self.shape[:-1], 2 * self.shape[-1]), self.data
        return self.code, self.shape, self.data

    @property
    def complete(self) -> bool:
        """Whether it covers its memory."""
        return self.span[0] == 0 and len(self.data) == self.memory.elements.nbytes

    def meets(self, other: TensorValue) -> bool:
        """Whether both have bytes in common."""
        here, there = self.span, other.span
        return self.memory is other.memory and max(here[0], there[0]) < min(here[1], there[1])

    def holds(self, other: TensorValue) -> bool:
        """Whether it has all bytes of the other."""
        return self.memory is other.memory and self.span[0] <= other.span[0] and other.span[1] <= self.span[1]


@lru_cache(1 << 13)
def pattern(dtype: str, shape: Shape, first: int) -> bytes:
    """The bytes of a new memory: neighbours differ, and no dtype has infinities, because these lose their sign."""
    size = prod(shape) * _SIZES[dtype]
    return bytes(at % 2 if dtype == "bool" else (first + 7 * at) % 120 for at in range(size))


def _layout(number: int) -> Layout:
    return (
        LAYOUTS[number % _FIRST] if number < _LATER else LAYOUTS[_FIRST + (number - _LATER) % (len(LAYOUTS) - _FIRST)]
    )


@lru_cache(1 << 13)
def make(dtype: int, shape: Shape, layout: int, number: int) -> TensorValue:
    """The tensor of these numbers in its own memory.

    Where the layout needs other dtypes, the tensor has one of these. Where the layout cannot have the shape, it is plain. A
    later layout gets a shape of more dimensions instead.
    """
    word, laid = DTYPES[dtype % len(DTYPES)], _layout(layout)
    if layout >= _LATER:
        # One picture, with what the shape gives as channels, rows and columns.
        shape = (1, *shape, 1, 1)[: laid.ranks[0]] if len(shape) < laid.ranks[0] else shape
    if not laid.ranks[0] <= len(shape) <= laid.ranks[1]:
        laid = LAYOUTS[0]
    if laid.dtypes and word not in laid.dtypes:
        word = laid.dtypes[dtype % len(laid.dtypes)]
    below = _HALVES[word] if laid.word == "neg" else word
    memory = new(below, laid.memory(shape), number)
    view = laid.numpy(memory.elements, shape)
    lies = memory.elements if laid.word == "conj" else view
    data = _opposite(view).tobytes() if laid.word == "neg" else view.tobytes()
    odd = laid.odd or _odd(word, shape)
    source = laid.source.replace("{shape}", str(shape))
    return TensorValue(
        memory, source, word, shape, data, laid.word, bool(lies.flags.c_contiguous), _span(lies, memory), odd
    )


def new(dtype: str, shape: Shape, number: int) -> Memory:
    """A new memory."""
    # Numpy makes no array of an empty buffer.
    raw = pattern(dtype, shape, 1 + 16 * number)
    elements = numpy.ndarray(shape, f"V{_SIZES[dtype]}", raw or None)
    return Memory(number, dtype, shape, elements)


@lru_cache(1 << 13)
def view(of: TensorValue, kind: int) -> TensorValue:
    """Another tensor in the memory of ``of``; its source is "" for the same object. An alias replaces an impossible view."""
    word, source, cut = VIEWS[kind % len(VIEWS)]
    if word == "same" or of.odd in ("sparse", "meta"):
        return TensorValue(of.memory, "", of.dtype, of.shape, of.data, of.word, of.contiguous, of.span, of.odd)
    memory = of.memory
    if word == "column" and not memory.shape:
        word, source, cut = VIEWS[1]
    elements = cut(memory.elements)
    dtype, shape = "uint8" if word == "bytes" else memory.dtype, elements.shape
    return TensorValue(memory, source, dtype, shape, elements.tobytes(), word,
                bool(elements.flags.c_contiguous), _span(elements, memory), _odd(dtype, shape))  # fmt: skip


def _odd(dtype: str, shape: Shape) -> str:
    if dtype not in _CODES:
        return "dtype"
    # Two numbers without a dimension for their count.
    return "pair" if dtype == _PACKED and not shape else ""


def _span(elements: Any, memory: Memory) -> tuple[int, int]:
    if not elements.size:
        return 0, 0
    first = elements.ctypes.data - memory.elements.ctypes.data
    far = sum((count - 1) * stride for count, stride in zip(elements.shape, elements.strides, strict=True))
    return first, first + far + elements.dtype.itemsize
