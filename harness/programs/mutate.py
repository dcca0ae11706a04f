"""Mutation of programs by steps: one edit changes one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from harness.mutate.rng import Rng
from harness.mutate.schedule import OperatorStats
from harness.programs.steps import STEP, Vocabulary

_MADE: Final = 1 << 16
_BANK: Final = 512
_STOCK: Final = 1024
# Members of the corpus that stay decomposed. A corpus rarely has more.
_BASES: Final = 1 << 12
#: The number of edits after the first one.
_MORE: Final = (0, 0, 0, 0, 1, 1, 2, 2)


class _Base(NamedTuple):
    """A program to mutate: its steps, and the steps that keep programs valid.

    ``unusual`` lists the arguments that differ from their default values: the place in ``valid``, the place of the
    argument in the step, and the default values.
    """

    steps: list[bytes]
    valid: list[bytes]
    unusual: list[tuple[int, int, Sequence[int]]]


class StepMutator:
    """A mutator for the programs of one vocabulary. libFuzzer calls it as its custom mutator.

    Equal calls in equal order give equal outputs. The first call with a new base proves that the fuzzer kept that base.
    Then the operator gets the credit, and the base joins the bank for crossover.
    """

    #: Whether programs take steps of other programs of the corpus.
    crossover = True

    def __init__(self, vocabulary: Vocabulary) -> None:
        kinds = vocabulary.kinds
        self._kinds = kinds
        self._limit = vocabulary.max_steps
        self._long = vocabulary.max_steps // 2
        self._rng = rng = Rng(1)
        # By the first byte of a step: a kind beyond the last counts modulo the number of kinds.
        self._usual = [kinds[byte % len(kinds)].usual for byte in range(256)]
        self._rare = [kinds[byte % len(kinds)].rare for byte in range(256)]
        numbers = [number for number, kind in enumerate(kinds) for _ in range(kind.weight)]
        #: Edits draw new steps from a stock: making a step takes longer than the rest of an edit.
        self._stock = [self._new(rng.choice(numbers)) for _ in range(_STOCK)]
        self._defaults = [
            tuple((frozenset(values), values) for values in kind.default_values or kind.usual) for kind in kinds
        ]
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
        """Another program of at most ``max_size`` bytes, one to three edits away. ``seed`` decides all random choices."""
        base = self._bases.get(data) or self._decomposed(data)
        rng = self._rng
        rng.reset(seed)
        steps = self._reset(base) if rng.below(4) else base.steps.copy()
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

    def _reset(self, base: _Base) -> list[bytes]:
        """The valid steps with default values in place of unusual ones. Otherwise invalid programs breed invalid ones.

        Long programs lose calls, too: many short programs find more than a few long ones.
        """
        steps = base.valid.copy()
        for at, place, values in base.unusual:
            step = steps[at]
            steps[at] = step[: place + 1] + bytes((self._rng.choice(values),)) + step[place + 2 :]
        while len(steps) > self._long:
            del steps[self._rng.below(len(steps))]
        return steps

    def _at(self, steps: list[bytes]) -> int:
        """The place of a step to change; less often one of a rare kind."""
        at = self._rng.below(len(steps))
        if self._rare[steps[at][0]] and self._rng.below(4):
            at = self._rng.below(len(steps))
        return at

    def _decomposed(self, data: bytes) -> _Base:
        """Decompose a base, and learn from it the first time."""
        key = hash(data)
        if key not in self._seen:
            self._learn(data, key)
        steps = [data[at : at + STEP].ljust(STEP, b"\0") for at in range(0, len(data), STEP)]
        valid: list[bytes] = []
        unusual: list[tuple[int, int, Sequence[int]]] = []
        for step in steps:
            number = step[0] % len(self._kinds)
            if self._kinds[number].always_invalid or self._kinds[number].expensive:
                continue
            unusual += [
                (len(valid), place, values)
                for place, (defaults, values) in enumerate(self._defaults[number])
                if step[place + 1] not in defaults
            ]
            valid.append(step)
        if len(self._bases) >= _BASES:
            self._bases.clear()
        base = self._bases[data] = _Base(steps, valid, unusual)
        return base

    def _learn(self, data: bytes, key: int) -> None:
        self._seen.add(key)
        index = self._made.get(key)
        if index is not None:
            self._kept[index] += 1
        steps = [data[at : at + STEP] for at in range(0, len(data) - STEP + 1, STEP)]
        if not steps:
            return
        if not self.crossover:
            return
        if len(self._bank) < _BANK:
            self._bank.append(steps)
        else:
            self._bank[self._next] = steps
            self._next = (self._next + 1) % _BANK

    def stats(self) -> dict[str, OperatorStats]:
        """The figures of each operator so far, by name."""
        return {
            name: OperatorStats(self._uses[index], self._kept[index], round(1 / len(EDITS), 4), 0)
            for index, (name, _) in enumerate(EDITS)
        }

    # The edits. Each changes ``steps`` in place; most leave an empty program empty.

    def add(self, steps: list[bytes]) -> None:
        """Insert a new step."""
        steps.insert(self._rng.below(len(steps) + 1), self._rng.choice(self._stock))

    def append(self, steps: list[bytes]) -> None:
        """Add up to three new steps at the end."""
        at = self._rng.below(_STOCK - 3)
        steps += self._stock[at : at + 1 + self._rng.below(3)]

    def drop(self, steps: list[bytes]) -> None:
        """Remove one step."""
        if steps:
            del steps[self._at(steps)]

    def repeat(self, steps: list[bytes]) -> None:
        """Insert a copy of a step."""
        if steps:
            steps.insert(self._rng.below(len(steps) + 1), self._rng.choice(steps))

    def swap(self, steps: list[bytes]) -> None:
        """Swap two neighbours."""
        if len(steps) > 1:
            at = self._rng.below(len(steps) - 1)
            steps[at], steps[at + 1] = steps[at + 1], steps[at]

    def replace(self, steps: list[bytes]) -> None:
        """Replace a step by a new one."""
        if steps:
            steps[self._at(steps)] = self._rng.choice(self._stock)

    def argue(self, steps: list[bytes]) -> None:
        """Replace one argument by a usual value, by a small number, or by any number."""
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
            # Tables list the simple values first.
            value = rng.below(32 if draw == 6 else 256)
        steps[at] = step[: place + 1] + bytes((value,)) + step[place + 2 :]

    def cross(self, steps: list[bytes]) -> None:
        """Replace the rest by the rest of another program of the corpus."""
        if self._bank:
            other = self._rng.choice(self._bank)
            del steps[self._rng.below(len(steps) + 1) :]
            steps += other[self._rng.below(len(other)) :]

    def graft(self, steps: list[bytes]) -> None:
        """Insert a few steps of another program of the corpus."""
        if self._bank:
            other = self._rng.choice(self._bank)
            at, place = self._rng.below(len(other)), self._rng.below(len(steps) + 1)
            steps[place:place] = other[at : at + 1 + self._rng.below(4)]


Edit = Callable[[StepMutator, list[bytes]], None]

#: Edits by name. The mutator draws an edit with two entries twice as often.
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
