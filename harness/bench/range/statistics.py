"""Intervals and survival curves for few attempts, without a library."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

from harness.bench.bootstrap import LEVEL, interval

_RESAMPLES = 4000


def share_interval(successes: int, of: int) -> tuple[float, float]:
    """The exact interval of Clopper and Pearson for a share; (0, 1) of nothing."""
    if not of:
        return 0.0, 1.0
    tail = (1 - LEVEL) / 2
    low = 0.0 if not successes else _solve(lambda p: 1 - _below(successes - 1, of, p) - tail)
    high = 1.0 if successes == of else _solve(lambda p: tail - _below(successes, of, p))
    return low, high


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """The interval of the mean by the bootstrap, always the same for the same values; the value itself of one."""
    if len(values) < 2:
        return (values[0], values[0]) if values else (0.0, 0.0)
    return interval(lambda draw: statistics.fmean(draw.choices(values, k=len(values))), _RESAMPLES)


def survival(times: Sequence[tuple[float, bool]]) -> list[tuple[float, float]]:
    """The curve of Kaplan and Meier: (time, share not detected from then on), first (0, 1).

    Each attempt has a time, and whether a detection or the end of the budget came then.
    """
    curve, share = [(0.0, 1.0)], 1.0
    for time in sorted({at for at, detected in times if detected}):
        at_risk = sum(at >= time for at, _ in times)
        share *= 1 - sum(detected and at == time for at, detected in times) / at_risk
        curve.append((time, share))
    return curve


def median_time(curve: Sequence[tuple[float, float]]) -> float | None:
    """The first time from which on at most half is not detected; None where there is none."""
    return next((time for time, share in curve if share <= 0.5 + 1e-12), None)


def _below(most: int, of: int, p: float) -> float:
    """The chance of at most so many successes."""
    return sum(math.comb(of, k) * p**k * (1 - p) ** (of - k) for k in range(most + 1))


def _solve(rising: Callable[[float], float]) -> float:
    """The zero of a rising function between 0 and 1."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2
