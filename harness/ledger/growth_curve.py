"""Predicts the number of new species in the next executions, with an interval, from the curve of discovery.

The rate of discovery falls as a power of the executions, rate(n) = c * n**-a (Duane 1964; Crow 1974). With a = 1 it is the
logarithmic curve of fuzzing (Boehme and Falk, FSE 2020). In species-discovery statistics (Boehme, STADS, TOSEM 2018),
n * rate(n) is the expected number of singletons f1. There rate(n) is Good's (1953) estimate f1 / n of the probability of a
new species. Chao's (1984) lower bound of unseen species, f1**2 / (2 * f2), is f1 / a.

A fuzzer does not sample from a fixed distribution: it mutates its discoveries, and one input often opens many edges. So
the exponent has a prior, counts come in clusters, and the rate wanders. The constants come from recorded campaigns other
than those of docs/ledger.md. Predictions are 4,000 draws with a fixed seed, so equal curves give equal numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

LEVEL = 0.9
"""Probability of an interval: a twentieth lies on either side."""
_DRAWS = 4000
_SEED = 20240607
_WINDOWS = 12
_EXPONENTS = numpy.linspace(-0.5, 4.0, 451)


@dataclass(frozen=True, slots=True)
class Shape:
    """Prior of a kind of species.

    ``exponent`` and ``spread`` of the decay. ``cluster``: size of a cluster of species, mean of squares over mean. ``wander``:
    standard deviation of the logarithm of the rate per doubling. ``least``: discoveries added to the count. ``back``: span of
    the fit, as a factor of executions.
    """

    exponent: float = 1.2
    spread: float = 0.2
    cluster: float = 3.0
    wander: float = 0.25
    least: float = 0.5
    back: float = 8.0


@dataclass(frozen=True, slots=True)
class Interval:
    """``low`` to ``high`` holds with a probability of 0.9; ``estimate`` is the median or the estimator's value."""

    low: float
    estimate: float
    high: float

    @property
    def width(self) -> float:
        """From end to end."""
        return self.high - self.low

    def holds(self, value: float) -> bool:
        """Whether ``value`` lies in it, ends included."""
        return self.low <= value <= self.high

    def as_json(self) -> dict[str, float]:
        """Plain types."""
        return {"low": self.low, "estimate": self.estimate, "high": self.high}


class Model:
    """A fit to one curve: cumulative ``executions``, rising, and the species known at each."""

    def __init__(self, executions: Sequence[float], known: Sequence[float], shape: Shape | None = None) -> None:
        self.shape = shape or Shape()
        at = numpy.asarray(executions, float)
        levels = numpy.asarray(known, float)
        self.executions = float(at[-1])
        edges = _windows(at, self.shape.back)
        counts = numpy.diff(levels[edges])
        self.discovered = float(counts.sum())
        # Probability of each window under each exponent, given a discovery in one of them.
        areas = _area(at[edges[:-1]], at[edges[1:]])
        self._whole = areas.sum(axis=1)
        likelihood = numpy.log(areas / self._whole[:, None]) @ counts / self.shape.cluster
        prior = -0.5 * ((_EXPONENTS - self.shape.exponent) / self.shape.spread) ** 2
        weights = numpy.exp(likelihood + prior - (likelihood + prior).max())
        self._weights = weights / weights.sum()
        random = numpy.random.default_rng(_SEED)
        self._drawn = random.choice(len(_EXPONENTS), _DRAWS, p=self._weights)
        # Discoveries come in clusters: this many are independent.
        certain = self.discovered / self.shape.cluster + self.shape.least
        self._scale = random.gamma(certain, 1.0, _DRAWS) * self.shape.cluster / self._whole[self._drawn]
        self._normal = random.standard_normal(_DRAWS)

    @property
    def exponent(self) -> float:
        """Of the decay: 0 is a constant rate, 1 the logarithmic curve, more saturates."""
        return float(self._weights @ _EXPONENTS)

    def rate(self) -> Interval:
        """New species per execution, now: an upper bound of the probability of a new species in the next one."""
        return interval(self._scale * self.executions ** -_EXPONENTS[self._drawn])

    def _means(self, more: float) -> NDArray[numpy.float64]:
        """Draws of the expected number of new species in ``more`` executions."""
        now = numpy.array([self.executions])
        area = _area(now, now + more)[:, 0]
        doublings = numpy.log2(1 + more / self.executions)
        wander = self.shape.wander * numpy.sqrt(max(doublings, 0.05))
        drift: NDArray[numpy.float64] = self._scale * area[self._drawn] * numpy.exp(wander * self._normal)
        return drift

    def draws(self, more: float) -> NDArray[numpy.float64]:
        """Draws of the number of new species in ``more`` executions: the mean's uncertainty, then clusters."""
        means = self._means(more)
        random = numpy.random.default_rng(_SEED + 1)
        over = self.shape.cluster - 1
        if over > 0:
            means = random.gamma(numpy.maximum(means, 1e-12) / over, over)
        return random.poisson(numpy.minimum(means, 1e9)).astype(float)

    def more(self, more: float) -> Interval:
        """New species in ``more`` executions; whole numbers."""
        found = interval(self.draws(more))
        return Interval(float(numpy.floor(found.low)), found.estimate, float(numpy.ceil(found.high)))

    def at_most(self, more: float) -> float:
        """Upper bound, with 95 % confidence, of the probability of a new species in ``more`` executions.

        The probability of at least one is at most the expected number (Markov).
        """
        return min(1.0, float(numpy.quantile(self._means(more), 0.5 + LEVEL / 2)))

    def until(self, chance: float) -> float:
        """Executions until :meth:`at_most` passes ``chance``; within 1 %, by bisection."""
        low, high = 1e-3, 1e18
        while high > 1.01 * low:
            middle = (low * high) ** 0.5
            low, high = (low, middle) if self.at_most(middle) > chance else (middle, high)
        return low

    def left(self) -> Interval:
        """Lower bound of unseen species: Chao's, from the curve (f1 over the exponent)."""
        singletons = self._scale * self.executions ** (1 - _EXPONENTS[self._drawn])
        return interval(singletons / numpy.maximum(_EXPONENTS[self._drawn], 0.25))


def _area(start: NDArray[numpy.float64], end: NDArray[numpy.float64]) -> NDArray[numpy.float64]:
    """Integral of n**-a from ``start`` to ``end``, a row for each exponent a."""
    power = 1 - _EXPONENTS[:, None]
    flat = numpy.abs(power) < 1e-9
    divisor = numpy.where(flat, 1.0, power)
    return numpy.asarray(numpy.where(flat, numpy.log(end / start), (end**power - start**power) / divisor))


def _windows(at: NDArray[numpy.float64], back: float) -> NDArray[numpy.int64]:
    """Indices of the curve that bound the windows of the fit, even in the logarithm of the executions."""
    last = len(at) - 1
    # One execution at least: an exponent above 1 has no area from 0.
    first = int(numpy.searchsorted(at, max(at[last] / back, 1.0)))
    first = min(first, last - 1)
    marks = numpy.geomspace(at[first], at[last], _WINDOWS + 1)
    return numpy.unique(numpy.concatenate(([first], numpy.searchsorted(at, marks[1:-1]), [last])))


def interval(draws: NDArray[numpy.float64]) -> Interval:
    """The interval of LEVEL around the median of ``draws``."""
    return Interval(*(float(v) for v in numpy.quantile(draws, (0.5 - LEVEL / 2, 0.5, 0.5 + LEVEL / 2))))


def money(price: float) -> str:
    """An amount of the currency that the price of an hour was given in, without exponents."""
    if 0 < price < 0.0001:
        return "less than 0.0001"
    return f"{price:.4f}".rstrip("0").rstrip(".")
