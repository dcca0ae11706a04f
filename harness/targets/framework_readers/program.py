"""The language of the targets ``*_readers``: a file of small tensors, reads of it, and uses of what the reads gave.

Steps ``tensor`` make the file, wherever they stand. A subscript is written as in target ``slices``: ``index``, then its
items. The values that calls give stay alive: ``write`` overwrites one in place, ``view`` replaces one by a view of it.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple

import numpy

from harness.format.dtypes import DTYPE_BITS
from harness.programs import arrays, subscripts
from harness.programs.arrays import BACKENDS, DTYPES, NAMES, SHAPES, Tensors
from harness.programs.steps import Kind, Step, Vocabulary

#: Tensors of one file.
MOST_TENSORS = 3
#: Numbers of ranks.
WORLDS = (2, 1, 3, 4, 5)
#: Views of a value by number: a word, and the view of an array of numpy.
VIEWS = ("row", "flat", "flipped", "tail")
#: Dtypes that programs use most: those of numpy, and those of learning with a byte or more.
_USUAL = (*range(13), *(DTYPES.index(name) for name in ("BF16", "F8_E4M3", "F8_E5M2", "F8_E8M0")))

VOCABULARY = Vocabulary(
    [
        Kind("tensor", 3, (range(len(DTYPES)), range(len(SHAPES)), (0,)), rare=True,
             default_values=(_USUAL, range(len(SHAPES)), (0,))),
        Kind("index", 6, (range(MOST_TENSORS), (0, 0, 0, 2), (0, 0, 1))),
        *subscripts.ITEMS,
        Kind("get_tensor", 6, (range(MOST_TENSORS),)),
        Kind("get_tensors", 2),
        Kind("load", 2),
        Kind("load_file", 3, (range(2),)),
        Kind("split", 4, (range(MOST_TENSORS), range(len(WORLDS)), range(3))),
        Kind("pread", 2),
        Kind("write", 5, (range(4),)),
        Kind("view", 4, (range(4), range(len(VIEWS)))),
        Kind("close", 2),
        Kind("replace", 1),
    ],
    max_steps=12,
)  # fmt: skip
_TENSOR, _INDEX = range(subscripts.RANGE)
_ITEMS = range(subscripts.RANGE, subscripts.ODD_ITEM + 1)
#: Calls whose values stay alive.
READS = ("get_tensor", "get_tensors", "load", "load_file", "get_slice", "split")
_CALLS_OF_HANDLES = ("get_tensor", "get_tensors", "get_slice", "split")

#: Part of the source of an integer beyond those of torch, or near the largest.
_LARGE = "2**6"

Held = tuple[str, tuple[int, ...], bytes]
"""A tensor: dtype of the format, shape in elements, bytes."""


class Call(NamedTuple):
    """One call. ``tensor`` is the place of its tensor in the file, -1 for all.

    ``backend`` reads the bytes. ``version`` numbers the content of the file that the call must give. ``sources`` and
    ``indices`` are subscripts: one for ``get_slice``, one per rank for ``split``. ``form`` is the most unusual item.
    ``twin``: the other backend is asked the same. ``value`` counts back among the values, the last is 0. ``late``: a
    ``write`` came before.
    """

    kind: str
    tensor: int = -1
    backend: str = "mmap"
    version: int = 0
    sources: tuple[str, ...] = ()
    indices: tuple[Any, ...] = ()
    form: str = ""
    twin: bool = False
    value: int = 0
    view: str = ""
    late: bool = False

    @property
    def framework_form(self) -> bool:
        """Whether frameworks read the subscript in ways of their own: odd items, other integers, lists, tuples in tuples."""
        return self.form in ("odd", "list", "typed") or any(one.startswith(("[", "((")) for one in self.sources)


class Program(NamedTuple):
    """The tensors of the file, the calls, and the word of the framework that makes them."""

    tensors: Tensors
    calls: tuple[Call, ...]
    word: str = ""

    def slices_itself(self, call: Call) -> bool:
        """Whether the framework takes the parts of a call itself: torch and paddle do of mapped files."""
        return bool(call.indices) and call.backend == "mmap" and self.word in ("pt", "paddle")

    def judged(self, call: Call) -> bool:
        """Whether the answer is the parser's.

        Where a framework slices by itself, it has ways of its own for a second ellipsis, and for integers of 64 bits or more.
        """
        asked = call.backend == "mmap" or call.twin
        several = any(isinstance(index, tuple) and sum(item is ... for item in index) > 1 for index in call.indices)
        large = any(_LARGE in source for source in call.sources)
        return not ((several or large) and asked and self.slices_itself(call._replace(backend="mmap")))

    def file(self, version: int) -> bytes:
        """The file in one of its two contents: the same header, other values."""
        return arrays.file(tuple((name, dtype, shape, salt + 8 * version) for name, dtype, shape, salt in self.tensors))

    def whole(self, tensor: int, version: int) -> Held:
        """A tensor of the file."""
        _, dtype, shape, salt = self.tensors[tensor]
        return dtype, shape, arrays.content(dtype, shape, salt + 8 * version)

    def wanted(self, call: Call) -> tuple[Held | None, ...]:
        """The right values of a read, in the order of the file or of the ranks. None where numpy has no such part."""
        if call.tensor < 0:
            return tuple(self.whole(place, call.version) for place in range(len(self.tensors)))
        held = self.whole(call.tensor, call.version)
        if call.kind == "get_tensor":
            return (held,)
        return tuple(part(held, index) for index in call.indices)


def part(held: Held, index: Any) -> Held | None:
    """The part that numpy gives of elements without a type; None where it has none, or where bits do not fill bytes."""
    try:
        cut = numpy.asarray(elements(held)[index])
    except (IndexError, TypeError, ValueError, OverflowError):
        return None
    bits = DTYPE_BITS[held[0]]
    if bits % 8 == 0:
        return held[0], cut.shape, cut.tobytes()
    if cut.size * bits % 8:
        return None
    row = numpy.unpackbits(numpy.frombuffer(cut.tobytes(), "u1"), bitorder="little").reshape(-1, 8)[:, :bits]
    return held[0], cut.shape, numpy.packbits(row.ravel(), bitorder="little").tobytes()


def elements(held: Held) -> Any:
    """The array of numpy of these elements, without a type. Those of less than a byte take one each, from the lowest bit on."""
    dtype, shape, data = held
    bits = DTYPE_BITS[dtype]
    if bits % 8:
        row = numpy.unpackbits(numpy.frombuffer(data, "u1"), bitorder="little", count=bits * prod(shape))
        data = numpy.packbits(row.reshape(-1, bits), axis=1, bitorder="little").tobytes()
    # Numpy makes no array of an empty buffer.
    return numpy.ndarray(shape, f"V{-(-bits // 8)}", data or None)


def viewed(held: Held, view: str) -> Held | None:
    """The view of a value; None where there is none of that kind, or where elements are smaller than a byte."""
    dtype, shape, _ = held
    if DTYPE_BITS[dtype] % 8 or (view in ("row", "tail") and not (shape and shape[0])):
        return None
    array = elements(held)
    seen = {
        "row": lambda: array[0, ...],
        "tail": lambda: array[1:],
        "flat": lambda: array.reshape(-1),
        "flipped": lambda: array.swapaxes(0, -1) if shape else array,
    }[view]()
    return dtype, seen.shape, seen.tobytes()


_DEFAULT: Tensors = (("a", "F32", (2, 3), 0),)


@lru_cache(1 << 12)
def _tensor(step: Step, place: int) -> tuple[str, str, tuple[int, ...], int]:
    name = NAMES[(step.c + place) % len(NAMES)]
    dtype, shape = DTYPES[step.a % len(DTYPES)], SHAPES[step.b % len(SHAPES)]
    # Elements of less than a byte must fill whole bytes.
    return name, dtype, (*shape, 4) if DTYPE_BITS[dtype] % 8 else shape, place


def decode(program: bytes) -> Program:
    """Decode a program. Never raises. A file without tensors gets one; of two equal names the first counts."""
    steps = VOCABULARY.decode(program)
    tensors: dict[str, tuple[str, str, tuple[int, ...], int]] = {}
    for step in steps:
        if step.kind == _TENSOR and len(tensors) < MOST_TENSORS:
            made = _tensor(step, len(tensors))
            tensors.setdefault(made[0], made)
    file = tuple(tensors.values()) or _DEFAULT
    return Program(file, tuple(_calls(file, steps)))


def _calls(file: Tensors, steps: list[Step]) -> list[Call]:
    calls: list[Call] = []
    backend, version, late = BACKENDS[0], 0, False
    #: The content that each open handle gives.
    opened: dict[str, int] = {}
    at = 0
    while at < len(steps):
        step = steps[at]
        at += 1
        kind = VOCABULARY.kinds[step.kind].name
        call: Call | None = Call(kind)
        if step.kind == _INDEX:
            first = at
            while at < len(steps) and steps[at].kind in _ITEMS:
                at += 1
            place = step.a % len(file)
            call = _index(place, file[place][2], step.b, bool(step.c & 1), tuple(steps[first:at]))
        elif kind == "split":
            place = step.a % len(file)
            call = _split(place, file[place][2], WORLDS[step.b % len(WORLDS)], step.c % 3)
        elif kind == "get_tensor":
            call = Call(kind, step.a % len(file))
        elif kind == "load_file":
            call = Call(kind, backend=BACKENDS[step.a & 1])
        elif kind == "pread":
            backend = BACKENDS[backend == "mmap"]
            continue
        elif kind in ("write", "view"):
            call = Call(kind, value=step.a, view=VIEWS[step.b % len(VIEWS)] if kind == "view" else "")
        elif kind == "replace":
            version ^= 1
        elif kind == "close":
            opened.clear()
        elif step.kind in (_TENSOR, *_ITEMS):
            continue
        if call is None:
            continue
        if call.kind in _CALLS_OF_HANDLES:
            version_of = opened.setdefault(backend, version)
            other = BACKENDS[backend == "mmap"]
            # Both backends must have the same content to compare.
            twin = call.twin and opened.setdefault(other, version) == version_of
            call = call._replace(backend=backend, version=version_of, twin=twin, late=late)
        else:
            call = call._replace(version=version, late=late)
        late = late or kind == "write"
        calls.append(call)
    return calls


@lru_cache(1 << 14)
def _index(place: int, shape: tuple[int, ...], container: int, twin: bool, items: tuple[Step, ...]) -> Call | None:
    found = subscripts.subscript(shape, container, items)
    if found is None:
        return None
    return Call("get_slice", place, sources=(found.source,), indices=(found.index,), form=found.form, twin=twin)


@lru_cache(1 << 12)
def _split(place: int, shape: tuple[int, ...], world: int, axis: int) -> Call | None:
    """The parts of all ranks as ``numpy.array_split`` gives them, along the first, the second or the last dimension."""
    axis = len(shape) - 1 if axis == 2 else axis
    if not 0 <= axis < len(shape):
        return None
    block, more = divmod(shape[axis], world)
    ends = [rank * block + min(rank, more) for rank in range(world + 1)]
    before = "slice(None), " * axis
    sources = tuple(f"({before}slice({start}, {stop}),)" for start, stop in pairwise(ends))
    indices = tuple((slice(None),) * axis + (slice(start, stop),) for start, stop in pairwise(ends))
    return Call("split", place, sources=sources, indices=indices, form=("rows", "columns", "last")[min(axis, 2)])
