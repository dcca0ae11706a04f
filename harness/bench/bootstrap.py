"""Intervals by the bootstrap: the same values give the same interval."""

from __future__ import annotations

import random
from collections.abc import Callable

#: Share of intervals.
LEVEL = 0.95


def interval(value: Callable[[random.Random], float], resamples: int) -> tuple[float, float]:
    """The ends of the middle :data:`LEVEL` of so many values, each from a resample that the generator draws."""
    draw = random.Random(0)
    drawn = sorted(value(draw) for _ in range(resamples))
    cut = round((1 - LEVEL) / 2 * resamples)
    return drawn[cut], drawn[-1 - cut]
