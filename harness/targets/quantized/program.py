"""The language of target ``quantized``: groups of tensors as in quantised checkpoints, and reads of them.

``fp8``, ``blocks``, ``gptq`` and ``awq`` add a group by a convention, ``single`` adds one tensor. ``awry`` makes a tensor
disagree: with its group, which the parser need not see, or with its own bytes, which the parser must refuse.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy

from harness.format.dtypes import DTYPE_BITS, byte_size
from harness.format.encode import pack
from harness.programs import arrays
from harness.programs.arrays import NUMPY_NAMES, SHAPES
from harness.programs.steps import Kind, Step, Vocabulary

#: Tensors of one file.
MOST_TENSORS = 8
_FLOATS8 = ("F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ")
#: dtypes of single tensors by number.
DTYPES = (*_FLOATS8, "F4", "F6_E2M3", "F6_E3M2", "BF16", "I32", "F16", "U8")
#: The binding asks numpy for these dtypes, which numpy lacks. The target lends numpy stand-ins by these names, unless a
#: program has a step ``plain-numpy``.
LENT: dict[str, str] = {
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F8_E8M0": "float8_e8m0fnu", "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz", "F4": "float4_e2m1fn_x2",
}  # fmt: skip
#: Rows and columns of weights, by number.
_SIZES = ((8, 8), (4, 16), (16, 4), (2, 8), (8, 32), (3, 8), (5, 6), (1, 8), (8, 1), (32, 2))
_BITS = (4, 8, 2, 3)
_GROUPS = (4, 2, 8, 1, 3)
_ELEMENTS = ("F4", "F8_E4M3", "F6_E2M3", "F8_E5M2", "F6_E3M2")
#: The faults of a tensor by number.
AWRY = (
    "longer-shape",
    "other-dtype",
    "transposed",
    "flattened",
    "wider-dtype",
    "one-byte-less",
    "one-byte-more",
    "odd",
)
# Bounds of a part by number, relative to the dimension d: mostly whole bytes, then between bytes.
_BOUNDS: tuple[tuple[str, str], ...] = (
    ("0", "d"), ("0", "d//2"), ("d//2", "d"), ("0", "2"), ("2", "4"), ("4", "d"), ("0", "1"), ("1", "2"), ("1", "d"),
    ("0", "3"), ("3", "5"), ("1", "3"), ("0", "d-1"), ("d-1", "d"), ("0", "0"), ("d//4", "d//2"),
)  # fmt: skip
_STRIDES = (1, 1, 1, 2, 4, 3)
#: The place of the bounds in a subscript, by number: the source before and after them, and their dimension.
_WHERE = (("", "", 0), (":, ", "", 1), ("..., ", "", -1), ("0, ", "", 1), ("1:, ", "", 1), ("", ", 0:2", 0))

_TENSOR = range(MOST_TENSORS)
# Default values: dtypes that numpy has or is lent, shapes with elements and dimensions, halves, which every shape has, and
# places that every rank has, with each stride.
_READABLE = tuple(number for number, dtype in enumerate(DTYPES) if dtype in LENT or dtype in NUMPY_NAMES)
_READABLE_ELEMENTS = tuple(number for number, dtype in enumerate(_ELEMENTS) if dtype in LENT)
_DEFAULT_SHAPES = (3, 4, 8, 9, 16, 17, 21, 7)
_HALVES = range(3)
_ANYWHERE = (0, 2)
_DEFAULT_STRIDES = tuple(len(_WHERE) * stride + where for stride in range(len(_STRIDES)) for where in _ANYWHERE)
VOCABULARY = Vocabulary(
    [
        Kind("single", 3, (range(len(DTYPES)), (3, 4, 8, 9, 16, 17, 21, 1, 5, 7), range(3)), rare=True,
             default_values=(_READABLE, _DEFAULT_SHAPES, range(3))),
        Kind("fp8", 2, (range(5), range(len(_SIZES)), range(4)), rare=True),
        Kind("blocks", 2, (range(5), range(len(_SIZES)), range(3)), rare=True,
             default_values=(_READABLE_ELEMENTS, range(len(_SIZES)), range(3))),
        Kind("gptq", 1, (range(4), range(5), range(4)), rare=True),
        Kind("awq", 1, (range(4), range(5), range(4)), rare=True),
        Kind("awry", 1, (_TENSOR, range(4)), rare=True),
        Kind("pread", 1, rare=True),
        Kind("plain-numpy", 1, always_invalid=True, rare=True),
        Kind("deserialize", 2),
        Kind("get_tensor", 2, (_TENSOR,)),
        Kind("get_tensors", 1),
        Kind("about", 1, (_TENSOR,)),
        Kind("part", 6, (_TENSOR, range(len(_BOUNDS)), range(len(_WHERE))), default_values=(_TENSOR, _HALVES, _ANYWHERE)),
        Kind("strided", 2, (_TENSOR, range(len(_BOUNDS)), range(len(_WHERE) * len(_STRIDES))),
             default_values=(_TENSOR, _HALVES, _DEFAULT_STRIDES)),
        Kind("item", 1, (_TENSOR, range(4)), default_values=(_TENSOR, (0, 0, 0, 1))),
    ],
    max_steps=14,
)  # fmt: skip
_AWRY, _PREAD, _PLAIN = (VOCABULARY.number[name] for name in ("awry", "pread", "plain-numpy"))


class Held(NamedTuple):
    """One tensor of the file: its entry in the header, and its size in bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size: int
    salt: int

    @property
    def content(self) -> bytes:
        """Its bytes."""
        return arrays.content("U8", (self.size,), self.salt)


class Call(NamedTuple):
    """One call. ``tensor`` is the place of its tensor, or -1; ``source`` and ``index`` are the subscript of a part."""

    kind: str
    tensor: int
    source: str = ""
    index: Any = None


class Program(NamedTuple):
    """A file, its backend, whether numpy is lent the dtypes that it lacks, and the calls.

    ``valid`` says whether the bytes of every tensor fit its dtype and shape: else the parser must refuse the file. ``awry``
    lists the faults.
    """

    tensors: tuple[Held, ...]
    valid: bool
    awry: tuple[str, ...]
    backend: str
    lend: bool
    calls: tuple[Call, ...]


Spec = tuple[str, str, tuple[int, ...]]


def decode(program: bytes) -> Program:
    """Decode a program. Never raises. A file without tensors gets one; of two equal names the first counts."""
    making: list[Step] = []
    actions: list[Step] = []
    backend, lend = "mmap", True
    for step in VOCABULARY.decode(program):
        if step[0] <= _AWRY:
            making.append(step)
        elif step[0] == _PREAD:
            backend = "pread"
        elif step[0] == _PLAIN:
            lend = False
        else:
            actions.append(step)
    tensors, valid, awry, lacking = _made(tuple(making))
    count = len(tensors)
    calls = tuple([_call(step, step[1] % count, tensors[step[1] % count].shape) for step in actions])
    return Program(tensors, valid, awry, backend, lend and lacking, calls)


@lru_cache(1 << 13)
def _made(steps: tuple[Step, ...]) -> tuple[tuple[Held, ...], bool, tuple[str, ...], bool]:
    """The tensors of a file, whether it is valid, its faults, and whether it has a dtype that numpy can be lent."""
    made: dict[str, Spec] = {}
    for step in steps:
        if step.kind != _AWRY:
            for spec in _group(step, len(made)):
                if len(made) < MOST_TENSORS:
                    made.setdefault(spec[0], spec)
    made = made or {"weight": ("weight", "F8_E4M3", (2, 4))}
    tensors = [_held(spec, salt) for salt, spec in enumerate(made.values())]
    awry = []
    for step in steps:
        if step.kind == _AWRY:
            place, how = step.a % len(tensors), AWRY[step.b % len(AWRY)]
            tensors[place] = _awry(tensors[place], how)
            awry.append(how)
    valid = all(byte_size(one.dtype, one.shape) == one.size for one in tensors)
    return tuple(tensors), valid, tuple(awry), any(one.dtype in LENT for one in tensors)


@lru_cache(1 << 12)
def _group(step: Step, place: int) -> tuple[Spec, ...]:
    """The tensors of a group, each as (name, dtype, shape); ``place`` makes the names unique."""
    kind = VOCABULARY.kinds[step.kind].name
    layer = f"layers.{place}."
    if kind == "single":
        dtype, shape = DTYPES[step.a % len(DTYPES)], SHAPES[step.b % len(SHAPES)]
        # Elements of less than a byte must fill whole bytes.
        whole = shape if byte_size(dtype, shape) is not None else (*shape, 4)
        return ((f"{layer}{('weight', 'bias', '')[step.c % 3]}", dtype, whole),)
    rows, columns = _SIZES[step.b % len(_SIZES)]
    group = _GROUPS[step.c % len(_GROUPS)]
    if kind == "fp8":
        # One float for each square block of the weight.
        blocks = -(-rows // group), -(-columns // group)
        return (f"{layer}weight", _FLOATS8[step.a % 5], (rows, columns)), (f"{layer}weight_scale_inv", "F32", blocks)
    if kind == "blocks":
        dtype = _ELEMENTS[step.a % len(_ELEMENTS)]
        # A multiple of four columns: then elements of four and of six bits fill whole bytes.
        columns = -(-columns // 4) * 4
        scales = rows, -(-columns // group)
        return (f"{layer}weight", dtype, (rows, columns)), (f"{layer}weight_scale", "F8_E8M0", scales)
    bits = _BITS[step.a % len(_BITS)]
    # A multiple of 32 features: then any number of bits fills whole integers.
    inputs, outputs = 32 * rows, 32 * max(columns // 8, 1)
    groups = -(-inputs // (32 * group))
    packed = (inputs * bits // 32, outputs) if kind == "gptq" else (inputs, outputs * bits // 32)
    row: tuple[Spec, ...] = (
        (f"{layer}qweight", "I32", packed),
        (f"{layer}qzeros", "I32", (groups, outputs * bits // 32)),
        (f"{layer}scales", "F16", (groups, outputs)),
    )
    return (*row, (f"{layer}g_idx", "I32", (inputs,))) if kind == "gptq" else row


@lru_cache(1 << 12)
def _held(spec: Spec, salt: int) -> Held:
    name, dtype, shape = spec
    return Held(name, dtype, shape, -(-DTYPE_BITS[dtype] * prod(shape) // 8), salt)


def _awry(held: Held, how: str) -> Held:
    shape = held.shape
    if how == "longer-shape":
        # The bytes follow: the shapes of the group disagree, and the file is valid.
        return _held((held.name, held.dtype, (*shape[:-1], shape[-1] + 4) if shape else (4,)), held.salt)
    if how == "other-dtype":
        same = [dtype for dtype in DTYPE_BITS if DTYPE_BITS[dtype] == DTYPE_BITS[held.dtype] and dtype != "BOOL"]
        return held._replace(dtype=same[(same.index(held.dtype) + 1) % len(same)])
    if how == "transposed":
        return held._replace(shape=shape[::-1])
    if how == "flattened":
        return held._replace(shape=(prod(shape),))
    if how == "wider-dtype":
        wider = {4: "F6_E2M3", 6: "F8_E4M3", 8: "F16", 16: "F32", 32: "I64"}
        return held._replace(dtype=wider.get(DTYPE_BITS[held.dtype], "U8"))
    if how == "odd":
        # One more element without bytes.
        return held._replace(shape=(*shape[:-1], shape[-1] + 1) if shape else (3,))
    return held._replace(size=max(held.size + (1 if how == "one-byte-more" else -1), 0))


@lru_cache(1 << 15)
def _call(step: Step, tensor: int, shape: tuple[int, ...]) -> Call:
    kind = VOCABULARY.kinds[step.kind].name
    if kind in ("deserialize", "get_tensors"):
        return Call(kind, -1)
    if kind in ("get_tensor", "about"):
        return Call(kind, tensor)
    if kind == "item":
        source = str(step.b % 4)
    else:
        before, after, axis = _WHERE[step.c % len(_WHERE)]
        d = shape[axis] if -len(shape) <= axis < len(shape) else 0
        start, stop = (max(arrays.bound(text, d), 0) for text in _BOUNDS[step.b % len(_BOUNDS)])
        stride = _STRIDES[step.c // len(_WHERE) % len(_STRIDES)] if kind == "strided" else 1
        source = f"{before}{start}:{stop}{f':{stride}' if stride > 1 else ''}{after}"
    return Call("part", tensor, source, arrays.index(source))


@lru_cache(1 << 10)
def file(tensors: tuple[Held, ...]) -> bytes:
    """The file of these tensors, in this order and without gaps."""
    return pack([(one.name, one.dtype, one.shape, one.content) for one in tensors])


@lru_cache(1 << 14)
def cut(held: Held, source: str) -> tuple[tuple[int, ...], bytes] | None:
    """Shape and bytes of the part ``held[source]`` ("" for the whole).

    None where numpy has no such part of an array of this shape, or where its bits do not fill whole bytes. Elements of less
    than a byte begin at the lowest bit. That order does not matter, because nothing moves within a byte.
    """
    bits = DTYPE_BITS[held.dtype]
    if bits % 8 == 0:
        array = numpy.frombuffer(held.content, f"V{bits // 8}").reshape(held.shape)
    else:
        raw = numpy.unpackbits(numpy.frombuffer(held.content, "u1"), bitorder="little")
        array = raw[: bits * prod(held.shape)].reshape((*held.shape, bits))
    if source:
        try:
            array = _element_wise(array, arrays.index(source), len(held.shape))
        except IndexError:
            return None
    if bits % 8 == 0:
        return array.shape, array.tobytes()
    if array.size % 8:
        return None
    return array.shape[:-1], numpy.packbits(array.ravel(), bitorder="little").tobytes()


def _element_wise(array: Any, index: Any, rank: int) -> Any:
    """``array[index]``, where dimensions past ``rank`` are the bits of an element."""
    items = index if isinstance(index, tuple) else (index,)
    if sum(item is not ... for item in items) > rank:
        raise IndexError("too many indices")
    if array.ndim > rank and ... not in items:
        items = (*items, ...)
    elif array.ndim > rank:
        items = (*items, slice(None))
    return numpy.asarray(array[items])


def stored_shape(dtype: str, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape in memory, where a byte holds two elements of F4 ("the last dim be divisible by 2"); None if impossible."""
    if dtype != "F4":
        return shape
    if not shape or shape[-1] % 2:
        return None
    return (*shape[:-1], shape[-1] // 2)
