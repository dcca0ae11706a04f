"""Forecasts the discoveries of more fuzzing, and the chances of an attacker who fuzzes, from the curve of a target.

Assumptions: the same mutators, feedback and corpus; the rate of discovery falls as before
(:mod:`harness.ledger.growth_curve`); the same parser build. No bound holds for inputs made in another way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray

from harness.ledger.estimators import chao1, good_turing, still_rising
from harness.ledger.growth_curve import Interval, Model, Shape, interval
from harness.ledger.records import KINDS, Frequencies, Point
from harness.text import short

TIMES = (2, 10, 100)
"""Budgets to forecast, as multiples of the executions so far."""
SHAPES: dict[str, Shape] = {
    "edges": Shape(exponent=1.4, spread=0.1, cluster=3.0, wander=0.25, back=16.0),
    "features": Shape(exponent=1.1, spread=0.1, cluster=3.0, wander=0.25),
    "semantic": Shape(exponent=1.2, spread=0.3, cluster=3.0, wander=0.15),
    "signatures": Shape(exponent=1.4, spread=0.2, cluster=1.8, wander=0.25),
}
"""Maximum likelihood on 61 halves of 23 campaigns recorded for it, and on no other (docs/ledger.md)."""
#: Fewest points of a curve that is forecast.
_LEAST = 4
_DRAWN_BY = 1


@dataclass(frozen=True, slots=True)
class KindForecast:
    """One kind of species on one target.

    ``known`` in total, ``discovered`` since the start of the curve. ``chance``: new species per execution, an upper bound of
    the probability of a new one. ``left``: lower bound of unseen species (Chao). ``returns``: "diminish", "do not diminish
    yet" or "too few to tell". ``sampled_chance``: Good and Turing's estimate, over the sampled executions alone.
    """

    kind: str
    known: int
    discovered: int
    chance: Interval
    left: Interval
    exponent: float
    returns: str
    sampled_chance: Interval | None
    model: Model

    def more(self, executions: float) -> Interval:
        """New species in so many more executions."""
        return self.model.more(executions)

    def attacker(self, executions: float) -> float:
        """Upper bound (95 % confidence) of the probability of a new species in so many more executions."""
        return self.model.at_most(executions)

    def safe(self, chance: float) -> float:
        """Most executions that keep that probability below ``chance``."""
        return self.model.until(chance)

    def as_json(self, executions: float) -> dict[str, Any]:
        """Plain types; ``executions`` are those so far."""
        return {
            "known": self.known,
            "discovered": self.discovered,
            "chance": self.chance.as_json(),
            "left": self.left.as_json(),
            "exponent": round(self.exponent, 3),
            "returns": self.returns,
            "sampled_chance": self.sampled_chance.as_json() if self.sampled_chance else None,
            "budget": {str(times): self.more((times - 1) * executions).as_json() for times in TIMES},
            "attacker": {str(times): self.attacker((times - 1) * executions) for times in TIMES},
            "executions_below": {str(chance): round(self.safe(chance)) for chance in (0.05, 0.5)},
        }


@dataclass(frozen=True, slots=True)
class Forecast:
    """One target."""

    target: str
    parser: str
    executions: int
    cpu_seconds: float
    kinds: dict[str, KindForecast]

    @property
    def rate(self) -> float:
        """Executions per CPU-second."""
        return self.executions / max(self.cpu_seconds, 1e-9)

    def hours(self, hours: float, kind: str = "edges") -> Interval:
        """New species in so many more CPU-hours."""
        return self.kinds[kind].more(self.rate * 3600 * hours)

    def words(self, hours: float = 1.0) -> list[str]:
        """The forecast for so many CPU-hours in sentences."""
        done = self.rate * 3600 * hours
        span = "one more CPU-hour" if hours == 1 else f"{hours:g} more CPU-hours"
        lines = []
        for kind in ("edges", "signatures"):
            if kind in self.kinds:
                one = self.kinds[kind]
                more, ten = one.more(done), one.more(9 * self.executions)
                lines.append(
                    f"{span} ({short(done)} executions): {_range(more)} new {_NAMES[kind]} (90 %); "
                    f"ten times the executions so far: {_range(ten)}"
                )
        if "edges" in self.kinds:
            edges = self.kinds["edges"]
            lines.append(
                f"still to be expected at least {_range(edges.left)} edges beyond the {edges.known} known; returns {edges.returns}"
            )
        if "signatures" in self.kinds:
            one = self.kinds["signatures"]
            lines.append(
                f"another {short(done)} executions like these show a new signature with a probability of "
                f"at most {_percent(one.attacker(done))} (95 % confidence); at most 5 % up to {short(one.safe(0.05))} executions"
            )
        return lines

    def as_json(self, hours: float = 1.0) -> dict[str, Any]:
        """Plain types; ``hours`` are the CPU-hours of ``more`` and ``words``."""
        return {
            "target": self.target,
            "parser": self.parser,
            "executions": self.executions,
            "cpu_seconds": self.cpu_seconds,
            "executions_per_cpu_second": round(self.rate, 1),
            "level": 0.9,
            "more": {"cpu_hours": hours, **{kind: self.hours(hours, kind).as_json() for kind in self.kinds}},
            "kinds": {kind: one.as_json(self.executions) for kind, one in self.kinds.items()},
            "words": self.words(hours),
        }


_NAMES = {"edges": "edges", "features": "features", "semantic": "semantic features", "signatures": "signatures"}


def of_curve(
    target: str, parser: str, curve: Sequence[Point], species: dict[str, Frequencies] | None = None
) -> Forecast | None:
    """The forecast of a target from its curve; None for a short curve. ``species`` are those of a single session."""
    if len(curve) < _LEAST or curve[-1].executions <= max(curve[0].executions, 1):
        return None
    at = [point.executions for point in curve]
    kinds = {}
    for kind in KINDS:
        levels = [int(getattr(point, kind)) for point in curve]
        if not levels[-1] and kind != "signatures":
            continue
        model = Model(at, levels, SHAPES[kind])
        counts = (species or {}).get(kind)
        left = model.left()
        if kind == "signatures" and counts is not None and counts.seen:
            left = chao1(counts)
        kinds[kind] = KindForecast(
            kind=kind,
            known=levels[-1],
            discovered=levels[-1] - levels[0],
            chance=model.rate(),
            left=left,
            exponent=model.exponent,
            returns=still_rising(at, levels, SHAPES[kind].cluster),
            sampled_chance=good_turing(counts) if counts is not None and counts.sampled else None,
            model=model,
        )
    return Forecast(target, parser, curve[-1].executions, curve[-1].cpu_seconds, kinds)


def together(parts: Iterable[tuple[KindForecast, float]]) -> Interval:
    """New species of several targets, each with so many executions more, from the sum of independent draws.

    Medians do not add up: twenty targets with half a species each bring ten, and each median is 0.
    """
    random = numpy.random.default_rng(_DRAWN_BY)
    total: NDArray[numpy.float64] = numpy.zeros(1)
    for one, executions in parts:
        total = total + random.permutation(one.model.draws(executions))
    return interval(total)


def _range(found: Interval) -> str:
    low, high = round(found.low), round(found.high)
    return f"{low}" if low == high else f"{low} to {high}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.995 else "100 %"
