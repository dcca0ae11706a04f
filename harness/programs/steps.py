"""What all program languages share: a program is a row of steps of four bytes, a kind and three arguments.

Any bytes are a program: what is missing reads as zero, a kind past the last counts round. In every language the
argument 0 means the simplest thing, so that shrinking towards zero is shrinking towards what people would write.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

STEP = 4
# Steps decoded once and kept: programs are made of few different ones.
_KNOWN = 1 << 16


class Step(NamedTuple):
    """One step: the number of its kind in the vocabulary, and three arguments of 0 to 255."""

    kind: int
    a: int = 0
    b: int = 0
    c: int = 0


class Kind(NamedTuple):
    """A kind of step: its name, how often a mutator picks it beside the others, and the values it tries most.

    ``usual`` has for each argument the values that keep a program valid as a rule; others are tried now and then. ``calm``
    has those that a program is brought back to before it is changed: fewer, where some of the usual ones fit some steps
    before them alone; as a rule the same. A ``wild`` kind makes most programs invalid, a ``rare`` one is dear to change:
    what it makes is kept from run to run.
    """

    name: str
    weight: int
    usual: tuple[Sequence[int], ...] = ()
    wild: bool = False
    rare: bool = False
    calm: tuple[Sequence[int], ...] = ()


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
        """The steps of a program; never fails."""
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
        """A step by the name of its kind. Raises KeyError for a name that is none."""
        return Step(self.number[name], a, b, c)

    def encode(self, steps: Iterable[Step]) -> bytes:
        """The program of these steps. Raises ValueError for an argument past 255."""
        return b"".join(bytes(step) for step in steps)
