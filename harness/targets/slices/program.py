"""The language of target ``slices``: a file of small tensors, then reads of whole tensors and of their parts.

Steps ``tensor`` make the file, wherever they stand. ``index`` begins a subscript. The steps after it (``range``, ``int``,
``ellipsis``, ``odd``) are its items. Each other step is a call.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from harness.programs import subscripts
from harness.programs.arrays import DTYPES, NAMES, SHAPES, Tensors
from harness.programs.steps import STEP, Kind, Step, Vocabulary

#: Shapes with a zero and with large dimensions. The format allows them ("They are not storing any data in the databuffer,
#: yet retaining size in the header"). A reader that counts rows first takes long.
WIDE: tuple[tuple[int, ...], ...] = (
    (1 << 16, 0), (1 << 20, 2, 0), (0, 1 << 20), (1 << 32, 0), (2, 0, 1 << 31), (1 << 40, 2, 0), (0, 1 << 40, 3), (1 << 62, 0),
)  # fmt: skip
_SHAPES = SHAPES + WIDE
#: Tensors of one file.
MOST_TENSORS = 3

VOCABULARY = Vocabulary(
    [
        Kind("tensor", 2, (range(13), (*range(len(SHAPES)), len(_SHAPES) - 4), (0,)), rare=True),
        Kind("index", 6, (range(MOST_TENSORS), (0, 0, 0, 2))),
        *subscripts.ITEMS,
        Kind("get_tensor", 1, (range(MOST_TENSORS),)),
        Kind("get_shape", 1, (range(MOST_TENSORS),)),
        Kind("get_dtype", 1, (range(MOST_TENSORS),)),
        Kind("pread", 1, rare=True),
        Kind("get_tensors", 1),
        Kind("no_such_tensor", 1, (range(2),), always_invalid=True),
        Kind("all_shapes", 1),
    ],
    max_steps=20,
)
_TENSOR, _INDEX = range(subscripts.RANGE)
_ITEMS = range(subscripts.RANGE, subscripts.ODD_ITEM + 1)


class Call(NamedTuple):
    """One call. ``tensor`` is the place of its tensor in the file, or -1.

    For a subscript, ``source`` is its text, ``index`` its value, and ``form`` its most unusual item. A defect most probably
    depends on that item, so signatures contain it. For ``no_such_tensor``, ``source`` is the method.
    """

    kind: str
    tensor: int
    source: str = ""
    form: str = ""
    index: Any = None


class Program(NamedTuple):
    """A file and the calls on it. ``backend`` is that of ``safe_open``."""

    tensors: Tensors
    backend: str
    calls: tuple[Call, ...]


@lru_cache(1 << 12)
def _tensor(step: Step, place: int) -> tuple[str, str, tuple[int, ...], int]:
    name = NAMES[(step.c + place) % len(NAMES)]
    dtype, shape = DTYPES[step.a % len(DTYPES)], _SHAPES[step.b % len(_SHAPES)]
    # Elements of less than a byte must fill whole bytes.
    return name, dtype, (*shape, 4) if dtype in ("F4", "F6_E2M3", "F6_E3M2") else shape, place


def wide(program: bytes) -> bool:
    """Whether a program makes a tensor of a shape of :data:`WIDE`. Quick: the engine asks it for every input."""
    kinds, first, count = len(VOCABULARY.kinds), len(SHAPES), len(_SHAPES)
    return any(
        program[at] % kinds == _TENSOR and program[at + 2] % count >= first for at in range(0, len(program) - 2, STEP)
    )


_DEFAULT: Tensors = (("a", "F32", (2, 3), 0),)


def decode(program: bytes) -> Program:
    """Decode a program. Never raises. A file without tensors gets one; of two equal names the first counts."""
    steps = VOCABULARY.decode(program)
    tensors: list[tuple[str, str, tuple[int, ...], int]] = []
    names: set[str] = set()
    for step in steps:
        if step[0] == _TENSOR and len(tensors) < MOST_TENSORS:
            tensor = _tensor(step, len(tensors))
            if tensor[0] not in names:
                names.add(tensor[0])
                tensors.append(tensor)
    made = tuple(tensors) or _DEFAULT
    backend = "mmap"
    calls: list[Call] = []
    count = len(steps)
    at = 0
    while at < count:
        step = steps[at]
        at += 1
        kind = step[0]
        if kind == _INDEX:
            first = at
            while at < count and steps[at][0] in _ITEMS:
                at += 1
            place = step[1] % len(made)
            found = subscripts.subscript(made[place][2], step[2], tuple(steps[first:at]))
            if found is not None:
                calls.append(Call("get_slice", place, *found))
        elif kind > subscripts.ODD_ITEM:
            name = VOCABULARY.kinds[kind].name
            if name == "pread":
                backend = "pread"
            elif name in ("get_tensors", "all_shapes"):
                calls.append(Call(name, -1))
            elif name == "no_such_tensor":
                calls.append(Call(name, -1, ("get_tensor", "get_slice")[step[1] & 1]))
            else:
                calls.append(Call(name, step[1] % len(made)))
    return Program(made, backend, tuple(calls))
