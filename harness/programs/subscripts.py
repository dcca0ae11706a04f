"""Subscripts in programs: what stands between the brackets of ``get_slice(name)[...]``, as steps and as Python.

A subscript is a container and its items, one step each: a range, an integer, an ellipsis, or something odd.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy

from harness.programs import arrays
from harness.programs.scripts import Index
from harness.programs.steps import Kind, Step

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
ODD: tuple[str, ...] = (
    "None", "True", "False", "()", "[]", "slice(None)", "slice(None, None, None)", "'a'", "b'a'", "1.5", "[0, 1]",
    "numpy.array([], dtype='int64')", "numpy.array([True])", "object()", "(0,)", "(slice(0, 1),)", "range(2)", "1j",
)  # fmt: skip
#: The container of the items of a subscript.
_CONTAINERS = ("plain", "plain", "tuple", "list", "nested")

#: The kinds of items. A language has them in this order, from the number :data:`RANGE` on.
ITEMS = (
    Kind("range", 7, (range(8), range(8), (0, 0, 0, 0, 1, 2, 3))),
    Kind("int", 3, ((0, 0, 0, 2, 3, 5, 7), (0, 0, 0, 1, 2, 5))),
    Kind("ellipsis", 1),
    Kind("odd", 1, (range(len(ODD)),), always_invalid=True),
)
RANGE = 2
INT, ELLIPSIS, ODD_ITEM = range(RANGE + 1, RANGE + len(ITEMS))


class Subscript(NamedTuple):
    """The source and the value of a subscript, and its most unusual item."""

    source: str
    form: str
    index: Any


# From the least to the most unusual item.
_UNUSUAL = ("empty", "int", "range", "ellipsis", "list", "step", "typed", "negative", "outside", "huge", "odd")


@lru_cache(1 << 16)
def subscript(shape: tuple[int, ...], container: int, items: tuple[Step, ...]) -> Subscript | None:
    """The subscript of these steps; None where its value does not exist in Python (``numpy.uint8(-1)``).

    ``shape`` is that of the tensor: bounds are relative to it. The kind of each step is its number in :data:`ITEMS`.
    """
    words: list[str] = []
    unusual = {"empty"}
    ellipsis_at = next((i for i, item in enumerate(items) if item[0] == ELLIPSIS), len(items))
    for place, item in enumerate(items):
        axis = place if place < ellipsis_at else len(shape) - (len(items) - place)
        d = shape[axis] if 0 <= axis < len(shape) else 0
        if item[0] == RANGE:
            start, stop = (_BOUNDS[value % len(_BOUNDS)] for value in item[1:3])
            step = _STEPS[item[3] % len(_STEPS)]
            words.append(_colons(*(_number(text, d) for text in (start, stop, step))))
            unusual.add("range")
            unusual |= {_size_word(arrays.bound(text, d), d) for text in (start, stop) if text != "None"}
            if step != "None":
                unusual |= {"step", _size_word(arrays.bound(step, d), max(d, 1))}
        elif item[0] == INT:
            text = _INTS[item[1] % len(_INTS)]
            spelling = _TYPES[item[2] % len(_TYPES)]
            words.append(spelling.format(_number(text, d)))
            unusual |= {"int", _size_word(arrays.bound(text, d), d - 1)}
            if spelling != "{}":
                unusual.add("typed" if item[2] % len(_TYPES) < _PLAIN_TYPES else "odd")
        elif item[0] == ELLIPSIS:
            words.append("...")
            unusual.add("ellipsis")
        else:
            words.append(ODD[item[1] % len(ODD)])
            unusual.add("odd")
    handed = _CONTAINERS[container % len(_CONTAINERS)]
    if handed == "list":
        unusual.add("list")
    source = _handed(handed, words)
    try:
        # The text comes from the tables above, never from outside.
        value = eval(source, {"numpy": numpy, "Index": Index})  # noqa: S307
    except (ValueError, OverflowError, TypeError):
        return None
    return Subscript(source, max(unusual, key=_UNUSUAL.index), value)


def within(index: Any, array: Any) -> bool:
    """Whether a subscript of plain integers, forward ranges and an ellipsis lies within ``array`` and gives elements.

    A range may end at the end of its dimension, and not after it. Only an integer may count from the end.
    """
    items = index if isinstance(index, tuple) else (index,)
    if not all(type(item) in (int, slice) or item is Ellipsis for item in items):
        return False
    try:
        if not array[index].size:
            return False
    except (IndexError, TypeError, ValueError, OverflowError):
        return False
    ellipsis_at = next((at for at, item in enumerate(items) if item is Ellipsis), len(items))
    return all(
        _within(item, array.shape[at if at < ellipsis_at else at - len(items)])
        for at, item in enumerate(items)
        if item is not Ellipsis
    )


def _within(item: Any, d: int) -> bool:
    if isinstance(item, slice):
        # numpy took its bounds as integers, or it would have raised an error.
        start, stop, step = (
            item.start or 0,
            d if item.stop is None else item.stop,
            1 if item.step is None else item.step,
        )
        return {type(start), type(stop), type(step)} == {int} and 0 <= start < stop <= d and 1 <= step <= d
    return bool(-d <= item < d)


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
