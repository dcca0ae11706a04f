"""The language of target ``slices``: a file of small tensors, then reads of whole tensors and of their parts.

Steps ``tensor`` make the file, wherever they stand. ``index`` begins a subscript. The steps after it (``range``, ``int``,
``ellipsis``, ``odd``) are its items. Each other step is a call.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy

from harness.programs import arrays
from harness.programs.arrays import DTYPES, NAMES, SHAPES, Tensors
from harness.programs.scripts import Index
from harness.programs.steps import STEP, Kind, Step, Vocabulary

#: Shapes with a zero and with large dimensions. The format allows them ("They are not storing any data in the databuffer,
#: yet retaining size in the header"). A reader that counts rows first takes long.
WIDE: tuple[tuple[int, ...], ...] = (
    (1 << 16, 0), (1 << 20, 2, 0), (0, 1 << 20), (1 << 32, 0), (2, 0, 1 << 31), (1 << 40, 2, 0), (0, 1 << 40, 3), (1 << 62, 0),
)  # fmt: skip
_SHAPES = SHAPES + WIDE
#: Tensors of one file.
MOST_TENSORS = 3

# Bounds by number, relative to the dimension d: usual ones, then ones just outside, then the limits of integer types.
_BOUNDS: tuple[str, ...] = (
    "None", "0", "1", "d", "d-1", "2", "d//2", "d+1", "-1", "-d", "-2", "-d-1", "3", "d+7", "2**31-1", "2**31", "2**32",
    "2**63-1", "2**63", "2**64-1", "2**64", "-2**31", "-2**63", "-2**64",
)  # fmt: skip
_STEPS: tuple[str, ...] = (
    "None", "1", "2", "3", "d", "d+1", "0", "-1", "-2", "2**31", "2**32", "2**63-1", "2**63", "2**64", "-2**63",
)  # fmt: skip
_INTS: tuple[str, ...] = _BOUNDS[1:]
#: The types of an integer: those that numpy takes as an index, then some that it refuses.
_TYPES: tuple[str, ...] = (
    "{}", "numpy.int64({})", "numpy.int32({})", "numpy.uint8({})", "numpy.uint64({})", "numpy.int8({})", "bool({})",
    "numpy.bool_({})", "Index({})", "numpy.array({})", "float({})", "str({})", "[{}]", "numpy.array([{}])",
)  # fmt: skip
_PLAIN_TYPES = 6
#: Items other than numbers.
_ODD: tuple[str, ...] = (
    "None", "True", "False", "()", "[]", "slice(None)", "slice(None, None, None)", "'a'", "b'a'", "1.5", "[0, 1]",
    "numpy.array([], dtype='int64')", "numpy.array([True])", "object()", "(0,)", "(slice(0, 1),)", "range(2)", "1j",
)  # fmt: skip
#: The container of the items of a subscript.
_FORMS = ("plain", "plain", "tuple", "list", "nested")

VOCABULARY = Vocabulary(
    [
        Kind("tensor", 2, (range(13), (*range(len(SHAPES)), len(_SHAPES) - 4), (0,)), rare=True),
        Kind("index", 6, (range(MOST_TENSORS), (0, 0, 0, 2))),
        Kind("range", 7, (range(8), range(8), (0, 0, 0, 0, 1, 2, 3))),
        Kind("int", 3, ((0, 0, 0, 2, 3, 5, 7), (0, 0, 0, 1, 2, 5))),
        Kind("ellipsis", 1),
        Kind("odd", 1, (range(len(_ODD)),), always_invalid=True),
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
_TENSOR, _INDEX, _RANGE, _INT, _ELLIPSIS, _ODD_ITEM, *_ = range(len(VOCABULARY.kinds))
_ITEMS = (_RANGE, _INT, _ELLIPSIS, _ODD_ITEM)


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
            call = _subscript(place, made[place][2], step[2], tuple(steps[first:at]))
            if call is not None:
                calls.append(call)
        elif kind > _ODD_ITEM:
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


# From the least to the most unusual item.
_UNUSUAL = ("empty", "int", "range", "ellipsis", "list", "step", "typed", "negative", "outside", "huge", "odd")


@lru_cache(1 << 16)
def _subscript(tensor: int, shape: tuple[int, ...], form: int, items: tuple[Step, ...]) -> Call | None:
    """The call of a subscript; None where its value does not exist in Python (``numpy.uint8(-1)``)."""
    words: list[str] = []
    unusual = {"empty"}
    ellipsis_at = next((i for i, item in enumerate(items) if item[0] == _ELLIPSIS), len(items))
    for place, item in enumerate(items):
        axis = place if place < ellipsis_at else len(shape) - (len(items) - place)
        d = shape[axis] if 0 <= axis < len(shape) else 0
        if item[0] == _RANGE:
            start, stop = (_BOUNDS[value % len(_BOUNDS)] for value in item[1:3])
            step = _STEPS[item[3] % len(_STEPS)]
            words.append(_colons(*(_number(text, d) for text in (start, stop, step))))
            unusual.add("range")
            unusual |= {_size_word(arrays.bound(text, d), d) for text in (start, stop) if text != "None"}
            if step != "None":
                unusual |= {"step", _size_word(arrays.bound(step, d), max(d, 1))}
        elif item[0] == _INT:
            text = _INTS[item[1] % len(_INTS)]
            spelling = _TYPES[item[2] % len(_TYPES)]
            words.append(spelling.format(_number(text, d)))
            unusual |= {"int", _size_word(arrays.bound(text, d), d - 1)}
            if spelling != "{}":
                unusual.add("typed" if item[2] % len(_TYPES) < _PLAIN_TYPES else "odd")
        elif item[0] == _ELLIPSIS:
            words.append("...")
            unusual.add("ellipsis")
        else:
            words.append(_ODD[item[1] % len(_ODD)])
            unusual.add("odd")
    handed = _FORMS[form % len(_FORMS)]
    if handed == "list":
        unusual.add("list")
    source = _handed(handed, words)
    try:
        # The text comes from the tables above, never from outside.
        value = eval(source, {"numpy": numpy, "Index": Index})  # noqa: S307
    except (ValueError, OverflowError, TypeError):
        return None
    return Call("get_slice", tensor, source, max(unusual, key=_UNUSUAL.index), value)


def _number(text: str, d: int) -> str:
    return str(arrays.bound(text, d)) if "d" in text else text


def _size_word(value: int, largest: int) -> str:
    if abs(value) >= 1 << 31:
        return "huge"
    return "negative" if value < 0 else "outside" if value > largest else "int"


def _colons(start: str, stop: str, step: str) -> str:
    if (start, stop, step) == ("None", "None", "None"):
        return "slice(None)"
    return f"slice({start}, {stop})" if step == "None" else f"slice({start}, {stop}, {step})"


def _handed(form: str, words: list[str]) -> str:
    row = ", ".join(words)
    if form == "list":
        return f"[{row}]"
    if form == "nested":
        return f"(({row}{',' if len(words) == 1 else ''}),)"
    if form == "tuple" or len(words) != 1:
        return f"({row}{',' if len(words) == 1 else ''})"
    return row
