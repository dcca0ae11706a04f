"""Effect sizes and intervals of few trials, by the bootstrap; the same values give the same intervals."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.bench.bootstrap import interval
from harness.bench.operators import a12, mann_whitney

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
    low, high = interval(
        lambda draw: a12(draw.choices(first, k=len(first)), draw.choices(second, k=len(second))), _RESAMPLES
    )
    return Effect(round(a12(first, second), 3), round(low, 3), round(high, 3), round(p, 6))


def median_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """The median, and its interval."""
    low, high = interval(lambda draw: statistics.median(draw.choices(values, k=len(values))), _RESAMPLES)
    return statistics.median(values), low, high
