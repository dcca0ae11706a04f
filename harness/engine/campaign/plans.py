"""Plans of a campaign's next units: slices of time by yield, or one unit per target with a number of executions."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable

from harness.engine.campaign.scheduling import FLOOR, Shares, Yield
from harness.engine.campaign.units import Result, Unit

#: Builds a unit from its target, its number and its seconds.
Make = Callable[[str, int, float], Unit]


#: Seconds that the shortest campaign may take beyond its time. Loading a framework takes ten.
OVERTIME_S = 15.0


def overtime_s(seconds: float) -> float:
    """Seconds that a campaign may take beyond its ``seconds``: half of them, but at least :data:`OVERTIME_S`."""
    return max(OVERTIME_S, 0.5 * seconds)


class Listed:
    """Runs a list of units in their order."""

    def __init__(self, units: list[Unit]) -> None:
        self._units = list(units)
        self.results: list[Result] = []

    def next(self) -> Unit | None:
        """The next unit of the list."""
        return self._units.pop(0) if self._units else None

    def finished(self, unit: Unit, result: Result) -> None:
        """Keep the result."""
        self.results.append(result)

    def drop(self, target: str) -> None:
        """Remove the target's units."""
        self._units = [unit for unit in self._units if unit.target != target]

    def left(self) -> float:
        """Seconds to the end: without a bound."""
        return math.inf

    def over(self) -> bool:
        """Never: such units end by their executions."""
        return False


class Shared:
    """Slices of time by yield, until the time is over (:mod:`harness.engine.campaign.scheduling`).

    A campaign goes on beyond its time for targets that had no turn yet or still run their seeds: at most :func:`overtime_s`.
    """

    def __init__(
        self, targets: tuple[str, ...], workers: int, seconds: float, make: Make, *, even: bool = False
    ) -> None:
        self._shares = Shares(targets, workers, seconds, floor=1.0 if even else FLOOR)
        self._make = make
        self._number = 0
        self._deadline = time.monotonic() + seconds
        self._last = self._deadline + overtime_s(seconds)
        self._edges: Counter[str] = Counter()

    def next(self) -> Unit | None:
        """The next slice."""
        if self.over():
            return None
        chosen = self._shares.next(self._deadline - time.monotonic())
        if chosen is None:
            return None
        unit = self._make(chosen[0], self._number, chosen[1])
        self._number += 1
        return unit

    def finished(self, unit: Unit, result: Result) -> None:
        """Credit the target with the yield of a slice."""
        name = unit.target
        # Edges of the seeds at the first start are no yield. At later starts the corpus shows its edges again.
        edges = max(self._edges[name], result.edges[0])
        brought = Yield(members=len(result.corpus), edges=max(result.edges[1] - edges, 0), signatures=len(result.new))
        self._edges[name] = max(self._edges[name], result.edges[1])
        self._shares.finished(name, unit.seconds, result.seconds, result.start_seconds, brought)

    def drop(self, target: str) -> None:
        """Share the target's time among the others."""
        self._shares.drop(target)

    def left(self) -> float:
        """Seconds to the end of the time, without overtime."""
        return self._deadline - time.monotonic()

    def over(self) -> bool:
        """Whether time and overtime are used up."""
        return time.monotonic() >= self._last


Plan = Listed | Shared
