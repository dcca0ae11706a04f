"""Classical estimators of species-discovery statistics, each with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from harness.ledger.growth_curve import LEVEL, Interval
from harness.ledger.records import Frequencies

_Z = NormalDist().inv_cdf(0.5 + LEVEL / 2)


def good_turing(counts: Frequencies) -> Interval:
    """New species per further sampled execution: f1 / n (Good 1953; Boehme, STADS, 2018).

    f1 is taken for a Poisson count; the ends are Garwood's exact limits.
    """
    low, high = garwood(counts.singletons)
    return Interval(low / counts.sampled, counts.singletons / counts.sampled, high / counts.sampled)


def garwood(count: int) -> tuple[float, float]:
    """Limits of the mean of a Poisson count, 5 % on either side (Garwood 1936), by bisection."""

    def limit(tail: float, up_to: int) -> float:
        low, high = 0.0, count + 10 * math.sqrt(count + 1) + 10
        for _ in range(80):
            middle = (low + high) / 2
            low, high = (middle, high) if _poisson(up_to, middle) > tail else (low, middle)
        return low

    edge = (1 - LEVEL) / 2
    return (limit(1 - edge, count - 1) if count else 0.0), limit(edge, count)


def _poisson(up_to: int, mean: float) -> float:
    """Probability of at most ``up_to``."""
    if mean <= 0:
        return 1.0
    return math.fsum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(up_to + 1))


def chao1(counts: Frequencies) -> Interval:
    """Lower bound of unseen species: f1**2 / (2 * f2), or f1 * (f1 - 1) / 2 where f2 is 0 (Chao 1984, 1987).

    The interval is log-normal (Chao 1987, equation 12).
    """
    n = max(counts.sampled, 1)
    once, twice = counts.singletons, counts.doubletons
    factor = (n - 1) / n
    if twice:
        left = factor * once**2 / (2 * twice)
        ratio = once / twice
        variance = twice * (factor / 2 * ratio**2 + factor**2 * ratio**3 + factor**2 / 4 * ratio**4)
    else:
        left = factor * once * (once - 1) / 2
        total = counts.seen + left
        variance = factor * once * (once - 1) / 2 + factor**2 * once * (2 * once - 1) ** 2 / 4
        variance -= factor**2 * once**4 / (4 * total) if total else 0.0
    if left <= 0:
        # No evidence for more species; the upper end is that of the singletons.
        return Interval(0.0, 0.0, float(garwood(once)[1]))
    spread = math.exp(_Z * math.sqrt(math.log1p(max(variance, 0.0) / left**2)))
    return Interval(left / spread, left, left * spread)


def still_rising(executions: Sequence[float], known: Sequence[float], cluster: float) -> str:
    """Compare the discoveries of the last half of the executions with those of the quarter before it.

    At a constant rate, two thirds of both fall into the last half. Fewer, at the 5 % level and in clusters of that size, is
    "diminish". "too few to tell" is a curve where even none could be chance.
    """
    end = executions[-1]
    half, quarter = (next(i for i, done in enumerate(executions) if done >= end * part) for part in (0.5, 0.25))
    late, whole = known[-1] - known[half], known[-1] - known[quarter]
    share = (end - executions[half]) / (end - executions[quarter]) if end > executions[quarter] else 1.0
    units, hits = round(whole / cluster), late / cluster
    # A curve with distant points has no half or no quarter.
    if units < 1 or not 0 < share < 1 or _binomial(0, units, share) > (1 - LEVEL) / 2:
        return "too few to tell"
    return "diminish" if _binomial(math.floor(hits), units, share) <= (1 - LEVEL) / 2 else "do not diminish yet"


def _binomial(up_to: int, trials: int, chance: float) -> float:
    """Probability of at most ``up_to`` successes in ``trials``."""
    total = 0.0
    for k in range(min(up_to, trials) + 1):
        log = math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        total += math.exp(log + k * math.log(chance) + (trials - k) * math.log1p(-chance))
    return total
