"""Operators, and the table of all of them.

An operator is a function in a file of ``harness/mutate/operators``. It takes a parsed input and an ``Rng`` and returns up to
BATCH new files, or none if it cannot change the input. Docs and stats show the first line of its docstring.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from harness.format.tree import Doc
from harness.mutate.rng import Rng

Function = Callable[[Doc, Rng], list[bytes]]
Family = Literal["sound", "deep", "shallow"]
"""The output of an operator for a sound file. ``sound``: another sound file. ``deep``: a file whose fault shows only after
every field is read. ``shallow``: a file that fails in framing, encoding, JSON or a field."""


class Operator(NamedTuple):
    """A named mutation.

    An input needs ``tensors`` (0, 1 or 2) readable tensors. ``smaller`` operators tend to shrink the input and get more turns
    when it is large. ``expensive`` operators get fewer turns: their output costs several times as much to make or to judge.
    """

    name: str
    family: Family
    apply: Function
    summary: str
    tensors: int
    smaller: bool
    expensive: bool


OPERATORS: dict[str, Operator] = {}
"""All operators by name, in the order in which their modules' names sort."""


def operator(
    name: str, family: Family, *, tensors: int = 0, smaller: bool = False, expensive: bool = False
) -> Callable[[Function], Function]:
    """Enter the decorated function into OPERATORS as ``name``.

    Raises ValueError for a name that is taken.
    """

    def enter(function: Function) -> Function:
        if name in OPERATORS:
            raise ValueError(f"two operators are called {name}")
        summary = (function.__doc__ or "").strip().split("\n")[0]
        OPERATORS[name] = Operator(name, family, function, summary, tensors, smaller, expensive)
        return function

    return enter
