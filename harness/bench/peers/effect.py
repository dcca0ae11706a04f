"""Effect sizes and intervals of few trials, by the bootstrap; the same values give the same intervals."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.bench.operators import a12, mann_whitney

#: Share of intervals.
LEVEL = 0.95
_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Effect:
    """How likely the first has the larger value, ties half; its interval; and the two-sided p-value of Mann and Whitney."""

    a12: float
    low: float
    high: float
    p: float

    @property
    def none(self) -> bool:
        """Whether the interval includes 0.5: no effect is shown."""
        return self.low <= 0.5 <= self.high

    def as_json(self) -> dict[str, Any]:
        """Its fields, and :attr:`none`."""
        return asdict(self) | {"none": self.none}


def effect(first: Sequence[float], second: Sequence[float]) -> Effect:
    """The effect between two samples, neither empty."""
    p = min(1.0, 2 * min(mann_whitney(first, second), mann_whitney(second, first)))
    low, high = _interval(lambda draw: a12(draw.choices(first, k=len(first)), draw.choices(second, k=len(second))))
    return Effect(round(a12(first, second), 3), round(low, 3), round(high, 3), round(p, 6))


def median_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """The median, and its interval."""
    low, high = _interval(lambda draw: statistics.median(draw.choices(values, k=len(values))))
    return statistics.median(values), low, high


def _interval(value: Callable[[random.Random], float]) -> tuple[float, float]:
    draw = random.Random(0)
    drawn = sorted(value(draw) for _ in range(_RESAMPLES))
    cut = round((1 - LEVEL) / 2 * _RESAMPLES)
    return drawn[cut], drawn[-1 - cut]
