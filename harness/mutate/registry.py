"""What an operator is, and the table of all of them.

A new operator is one function in one file of ``harness/mutate/operators``: it takes a parsed input and an
``Rng`` and returns new files, none where the input has nothing that it could change. Several at once are welcome
(up to BATCH): what prepares one of them serves all. Its docstring's first line is what docs and stats show.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from harness.format.tree import Doc
from harness.mutate.rng import Rng

Function = Callable[[Doc, Rng], list[bytes]]
Family = Literal["sound", "deep", "shallow"]
"""What comes out when an operator is given a sound file: another sound one; one that a parser can tell to be
wrong only after it has read every field; or one that dies in framing, encoding, JSON or a field."""


class Operator(NamedTuple):
    """A named mutation.

    ``tensors`` is how many readable tensors an input must have (0, 1 or 2). ``smaller`` operators tend to shrink the
    input: they get more turns when it is large. ``expensive`` operators get fewer turns. Their outputs take several times
    as long to make, or the parser always accepts them, wrongly and as is known, and judging them takes long.
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
