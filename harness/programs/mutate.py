"""Mutation of programs, on steps: so that one edit is one change of what is called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from harness.mutate.rng import Rng
from harness.mutate.schedule import OperatorStats
from harness.programs.steps import STEP, Vocabulary

_MADE: Final = 1 << 16
_BANK: Final = 512
_STOCK: Final = 1024
# Members of the corpus that are kept taken apart. There are rarely more; they are few bytes each.
_BASES: Final = 1 << 12
#: How many edits follow the first one.
_MORE: Final = (0, 0, 0, 0, 1, 1, 2, 2)


class _Base(NamedTuple):
    """A program to be changed, taken apart: its steps, and those that are not wild.

    ``odd`` are the arguments that are not calm, in order: a place in ``calm``, that of the argument in the step, and the
    values of which it becomes one.
    """

    steps: list[bytes]
    calm: list[bytes]
    odd: list[tuple[int, int, Sequence[int]]]


class StepMutator:
    """A mutator for the programs of one vocabulary; call it as libFuzzer calls its hook.

    Equal calls in equal order give equal outputs. A base that is seen for the first time proves that it was kept: its
    operator gets the credit, and the base joins the bank that crossover draws from.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        kinds = vocabulary.kinds
        self._kinds = kinds
        self._limit = vocabulary.max_steps
        self._long = vocabulary.max_steps // 2
        self._rng = rng = Rng(1)
        # By a step's first byte, since a kind past the last counts round.
        self._usual = [kinds[byte % len(kinds)].usual for byte in range(256)]
        self._rare = [kinds[byte % len(kinds)].rare for byte in range(256)]
        numbers = [number for number, kind in enumerate(kinds) for _ in range(kind.weight)]
        #: New steps are drawn from a stock: making one costs more than the rest of an edit.
        self._stock = [self._new(rng.choice(numbers)) for _ in range(_STOCK)]
        self._calm = [tuple((frozenset(values), values) for values in kind.calm or kind.usual) for kind in kinds]
        self._bases: dict[bytes, _Base] = {}
        self._bank: list[list[bytes]] = []
        self._next = 0
        self._seen: set[int] = set()
        self._made: dict[int, int] = {}
        self._uses = [0] * len(EDITS)
        self._kept = [0] * len(EDITS)

    def _new(self, number: int) -> bytes:
        rng = self._rng
        arguments = [rng.choice(values) if rng.below(10) else rng.below(256) for values in self._kinds[number].usual]
        return bytes((number, *arguments)).ljust(STEP, b"\0")

    def __call__(self, data: bytes, max_size: int, seed: int) -> bytes:
        """Another program of at most ``max_size`` bytes, one to three edits away. All that is random comes from ``seed``."""
        base = self._bases.get(data) or self._met(data)
        rng = self._rng
        rng.reset(seed)
        steps = self._calmed(base) if rng.below(4) else base.steps.copy()
        first = rng.below(len(EDITS))
        EDITS[first][1](self, steps)
        for _ in range(_MORE[rng.below(8)]):
            rng.choice(EDITS)[1](self, steps)
        made = b"".join(steps[: min(self._limit, max_size // STEP)])
        self._uses[first] += 1
        if len(self._made) >= _MADE:
            self._made.clear()
        self._made[hash(made)] = first
        return made

    def _calmed(self, base: _Base) -> list[bytes]:
        """The program with what is wild in it left out and odd arguments made usual: else what is refused breeds refusals.

        Long programs lose calls, too: many short ones find more than a few long ones.
        """
        calm = base.calm.copy()
        for at, place, values in base.odd:
            step = calm[at]
            calm[at] = step[: place + 1] + bytes((self._rng.choice(values),)) + step[place + 2 :]
        while len(calm) > self._long:
            del calm[self._rng.below(len(calm))]
        return calm

    def _at(self, steps: list[bytes]) -> int:
        """The place of a step to change: of a rare kind less often."""
        at = self._rng.below(len(steps))
        if self._rare[steps[at][0]] and self._rng.below(4):
            at = self._rng.below(len(steps))
        return at

    def _met(self, data: bytes) -> _Base:
        """A base that is not at hand: learn from it the first time, and take it apart."""
        key = hash(data)
        if key not in self._seen:
            self._learn(data, key)
        steps = [data[at : at + STEP].ljust(STEP, b"\0") for at in range(0, len(data), STEP)]
        calm: list[bytes] = []
        odd: list[tuple[int, int, Sequence[int]]] = []
        for step in steps:
            number = step[0] % len(self._kinds)
            if self._kinds[number].wild:
                continue
            odd += [
                (len(calm), place, values)
                for place, (calm_ones, values) in enumerate(self._calm[number])
                if step[place + 1] not in calm_ones
            ]
            calm.append(step)
        if len(self._bases) >= _BASES:
            self._bases.clear()
        base = self._bases[data] = _Base(steps, calm, odd)
        return base

    def _learn(self, data: bytes, key: int) -> None:
        self._seen.add(key)
        index = self._made.get(key)
        if index is not None:
            self._kept[index] += 1
        steps = [data[at : at + STEP] for at in range(0, len(data) - STEP + 1, STEP)]
        if not steps:
            return
        if len(self._bank) < _BANK:
            self._bank.append(steps)
        else:
            self._bank[self._next] = steps
            self._next = (self._next + 1) % _BANK

    def stats(self) -> dict[str, OperatorStats]:
        """What each operator did so far, by name."""
        return {
            name: OperatorStats(self._uses[index], self._kept[index], round(1 / len(EDITS), 4), 0)
            for index, (name, _) in enumerate(EDITS)
        }

    # The edits. Each changes ``steps`` in place, and does nothing where there is nothing to change.

    def add(self, steps: list[bytes]) -> None:
        """A new step, anywhere."""
        steps.insert(self._rng.below(len(steps) + 1), self._rng.choice(self._stock))

    def append(self, steps: list[bytes]) -> None:
        """Up to three new steps at the end."""
        at = self._rng.below(_STOCK - 3)
        steps += self._stock[at : at + 1 + self._rng.below(3)]

    def drop(self, steps: list[bytes]) -> None:
        """One step less."""
        if steps:
            del steps[self._at(steps)]

    def repeat(self, steps: list[bytes]) -> None:
        """One step once more, anywhere."""
        if steps:
            steps.insert(self._rng.below(len(steps) + 1), self._rng.choice(steps))

    def swap(self, steps: list[bytes]) -> None:
        """Two neighbours change places."""
        if len(steps) > 1:
            at = self._rng.below(len(steps) - 1)
            steps[at], steps[at + 1] = steps[at + 1], steps[at]

    def replace(self, steps: list[bytes]) -> None:
        """A new step in the place of another."""
        if steps:
            steps[self._at(steps)] = self._rng.choice(self._stock)

    def argue(self, steps: list[bytes]) -> None:
        """One argument becomes one of its usual values, one more or less, or any number."""
        if not steps:
            return
        rng = self._rng
        at = self._at(steps)
        step = steps[at]
        usual = self._usual[step[0]]
        place = rng.below(len(usual)) if usual else 0
        draw = rng.below(8)
        if draw < 6 and usual:
            value = rng.choice(usual[place])
        else:
            # Tables have the simple values first and the odd ones behind them.
            value = rng.below(32 if draw == 6 else 256)
        steps[at] = step[: place + 1] + bytes((value,)) + step[place + 2 :]

    def cross(self, steps: list[bytes]) -> None:
        """The rest comes from another program of the corpus."""
        if self._bank:
            other = self._rng.choice(self._bank)
            del steps[self._rng.below(len(steps) + 1) :]
            steps += other[self._rng.below(len(other)) :]

    def graft(self, steps: list[bytes]) -> None:
        """A few steps of another program of the corpus, put in between."""
        if self._bank:
            other = self._rng.choice(self._bank)
            at, place = self._rng.below(len(other)), self._rng.below(len(steps) + 1)
            steps[place:place] = other[at : at + 1 + self._rng.below(4)]


Edit = Callable[[StepMutator, list[bytes]], None]

#: By name; an edit that stands twice is drawn twice as often.
EDITS: tuple[tuple[str, Edit], ...] = (
    ("step.add", StepMutator.add),
    ("step.append", StepMutator.append),
    ("step.drop", StepMutator.drop),
    ("step.repeat", StepMutator.repeat),
    ("step.swap", StepMutator.swap),
    ("step.replace", StepMutator.replace),
    ("step.argue", StepMutator.argue),
    ("step.argue-more", StepMutator.argue),
    ("step.cross", StepMutator.cross),
    ("step.graft", StepMutator.graft),
)
