"""Chooses the next operator: fixed shares for families, and learned weights within them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from harness.format.tree import DEEP, SHALLOW, SOUND
from harness.mutate.registry import Function, Operator

SLOTS: Final = 1024
"""Length of a table: a power of two, so that a few bits of the seed pick an entry."""
ERROR_LIMIT: Final = 100
"""An operator that raised this often is dropped."""
_LEVELS: Final = 18


def level(health: int, tensors: int, large: bool) -> int:
    """Return the index of the table for bases of this health, with so many tensors, large or not."""
    return health + 3 * min(tensors, 2) + 9 * large


# Share of the calls by family and health of the base. Learned weights alone would favour JSON syntax, which pays early and
# hardly ever gets deep.
_SHARES: Final = {
    SOUND: {"sound": 0.12, "deep": 0.62, "shallow": 0.26},
    DEEP: {"sound": 0.22, "deep": 0.54, "shallow": 0.24},
    SHALLOW: {"sound": 0.40, "deep": 0.20, "shallow": 0.40},
}
_EVEN: Final = 0.4
"""Part of a family's share that is spread evenly."""
_EXPENSIVE: Final = 8
"""Divisor of the weight of an expensive operator."""
_MEMORY: Final = 0.995
"""Factor on the past at each rebuild."""


class OperatorStats(NamedTuple):
    """One operator: outputs, outputs that the fuzzer kept, present share of all calls (0 to 1), exceptions."""

    uses: int
    kept: int
    weight: float
    errors: int


class Schedule:
    """Tables of operators, one per level of base, rebuilt from the outputs that were kept."""

    def __init__(self, operators: Sequence[Operator], *, learn: bool = True) -> None:
        self._learn = learn
        self.operators = list(operators)
        size = len(self.operators)
        self.sound = frozenset(i for i, op in enumerate(self.operators) if op.family == "sound")
        self.uses = [0] * size
        self.calls = [0] * size
        self.kept = [0] * size
        self.errors = [0] * size
        self._calls = [0.0] * size
        self._kept = [0.0] * size
        self._seen = [(0, 0)] * size
        self.tables: list[list[tuple[Function, int]]] = []
        self.rebuild()

    def rebuild(self) -> None:
        """Rebuild the tables from the counts so far."""
        for i, (calls, kept) in enumerate(self._seen):
            self._calls[i] = self._calls[i] * _MEMORY + self.calls[i] - calls
            self._kept[i] = self._kept[i] * _MEMORY + self.kept[i] - kept
            self._seen[i] = (self.calls[i], self.kept[i])
        self.tables = [self._table(self._weights(level)) for level in range(_LEVELS)]

    def stats(self) -> dict[str, OperatorStats]:
        """Return the counts by operator; ``weight`` is that for a small sound base."""
        weights = self._weights(level(SOUND, 2, large=False))
        return {
            op.name: OperatorStats(self.uses[i], self.kept[i], round(weights[i], 4), self.errors[i])
            for i, op in enumerate(self.operators)
        }

    def _weights(self, index: int) -> list[float]:
        weights = [0.0] * len(self.operators)
        tensors, large = index // 3 % 3, index >= 9
        if not self._learn:
            fits = [op.tensors <= tensors and self.errors[i] < ERROR_LIMIT for i, op in enumerate(self.operators)]
            return [one / max(sum(fits), 1) for one in fits]
        for family, share in _SHARES[index % 3].items():
            rates: dict[int, float] = {}
            for i, op in enumerate(self.operators):
                if op.family == family and op.tensors <= tensors and self.errors[i] < ERROR_LIMIT:
                    # By call, not by output: several outputs of one call are cheap.
                    rates[i] = (self._kept[i] + 1) / (self._calls[i] + 100)
                    if large and op.smaller:
                        rates[i] *= 12
            total = sum(rates.values())
            for i, rate in rates.items():
                weights[i] = _EVEN / len(rates) + (1 - _EVEN) * rate / total
                if self.operators[i].expensive:
                    weights[i] /= _EXPENSIVE
            total = sum(weights[i] for i in rates)
            for i in rates:
                weights[i] *= share / total
        total = sum(weights)
        return [weight / total for weight in weights] if total else weights

    def _table(self, weights: list[float]) -> list[tuple[Function, int]]:
        table: list[tuple[Function, int]] = []
        due = 0.0
        for i, weight in enumerate(weights):
            due += weight * SLOTS
            table.extend([(self.operators[i].apply, i)] * (round(due) - len(table)))
        return table
