"""The encoding of programs: a sequence of steps of four bytes, a kind and three arguments.

Any bytes are a program. Missing bytes read as zero, and a kind beyond the last counts modulo the number of kinds. In
every language the argument 0 means the simplest value, so shrinking towards zero gives simple programs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

STEP = 4
# Decoded steps to remember: programs consist of few different ones.
_KNOWN = 1 << 16


class Step(NamedTuple):
    """One step: the number of its kind in the vocabulary, and three arguments of 0 to 255."""

    kind: int
    a: int = 0
    b: int = 0
    c: int = 0


class Kind(NamedTuple):
    """A kind of step: its name, and how often a mutator draws it relative to the others.

    ``usual`` has the values of each argument that edits draw most. ``default_values`` has the values to which the
    mutator resets the arguments before an edit: fewer, where some usual values are valid only after certain steps. It
    defaults to ``usual``. The mutator drops steps of ``always_invalid`` and of ``expensive`` kinds from most programs:
    those make most programs invalid, these take much longer than others. It changes ``rare`` kinds less often, because
    targets reuse what these make from run to run.
    """

    name: str
    weight: int
    usual: tuple[Sequence[int], ...] = ()
    always_invalid: bool = False
    rare: bool = False
    default_values: tuple[Sequence[int], ...] = ()
    expensive: bool = False


class Vocabulary:
    """The kinds of steps of one language. Their order is the encoding: new kinds go to the end."""

    def __init__(self, kinds: Sequence[Kind], *, max_steps: int) -> None:
        self.kinds = tuple(kinds)
        self.max_steps = max_steps
        self.number = {kind.name: index for index, kind in enumerate(kinds)}
        if len(self.number) < len(kinds):
            raise ValueError("two kinds of steps have one name")
        self._known: dict[bytes, Step] = {}

    @property
    def max_len(self) -> int:
        """Bytes of the longest program."""
        return STEP * self.max_steps

    def decode(self, program: bytes) -> list[Step]:
        """The steps of a program. Never raises."""
        known = self._known
        steps = []
        for at in range(0, min(len(program), self.max_len), STEP):
            raw = program[at : at + STEP]
            step = known.get(raw)
            if step is None:
                kind, *arguments = raw.ljust(STEP, b"\0")
                step = Step(kind % len(self.kinds), *arguments)
                if len(known) < _KNOWN:
                    known[raw] = step
            steps.append(step)
        return steps

    def step(self, name: str, a: int = 0, b: int = 0, c: int = 0) -> Step:
        """A step by the name of its kind. Raises KeyError for an unknown name."""
        return Step(self.number[name], a, b, c)

    def encode(self, steps: Iterable[Step]) -> bytes:
        """The program of these steps. Raises ValueError for an argument above 255."""
        return b"".join(bytes(step) for step in steps)
