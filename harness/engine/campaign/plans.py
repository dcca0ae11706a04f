"""What a campaign's workers do next: units by yield for a time, or one for each target of so many executions."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from harness.engine.campaign.scheduling import Shares, Yield
from harness.engine.unit import Result, Unit

#: Builds the unit of a target: its number, and its seconds.
Make = Callable[[str, int, float], Unit]


#: Seconds that the shortest campaign may take beyond its time: a framework is loaded in ten.
OVERTIME_S = 15.0


def overtime_s(seconds: float) -> float:
    """Seconds that a campaign of ``seconds`` may take beyond them: half as many, and :data:`OVERTIME_S` at least."""
    return max(OVERTIME_S, 0.5 * seconds)


class Plan(Protocol):
    """Asked for a unit whenever a worker is free, told of each result."""

    def next(self) -> Unit | None:
        """What to run now; None when there is nothing (more) to start."""

    def finished(self, unit: Unit, result: Result) -> None:
        """A unit that this plan gave has ended."""

    def drop(self, target: str) -> None:
        """The target cannot be driven."""

    def over(self) -> bool:
        """Whether what runs still is to finish now, however far it is."""


class Listed:
    """These units, once each, in this order."""

    def __init__(self, units: list[Unit]) -> None:
        self._units = list(units)
        self.results: list[Result] = []

    def next(self) -> Unit | None:
        """The next one of the list."""
        return self._units.pop(0) if self._units else None

    def finished(self, unit: Unit, result: Result) -> None:
        """Keep what came of it."""
        self.results.append(result)

    def drop(self, target: str) -> None:
        """Leave its units out."""
        self._units = [unit for unit in self._units if unit.target != target]

    def over(self) -> bool:
        """Executions are counted, not seconds."""
        return False


class Shared:
    """Slices of time by yield, until the time is over (:mod:`harness.engine.campaign.scheduling`).

    Past its end a campaign goes on for a while where slow targets are getting past their seeds, or have had no turn
    yet: at most :func:`overtime_s`.
    """

    def __init__(self, targets: tuple[str, ...], workers: int, seconds: float, make: Make) -> None:
        self._shares = Shares(targets, workers, seconds)
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
        """Learn from a slice what the next ones are worth."""
        name = unit.target
        # What the seeds show at the first start is no yield; what was kept shows again at each later one.
        edges = max(self._edges[name], result.edges[0])
        brought = Yield(members=len(result.corpus), edges=max(result.edges[1] - edges, 0), signatures=len(result.new))
        self._edges[name] = max(self._edges[name], result.edges[1])
        self._shares.finished(name, unit.seconds, result.seconds, result.start_seconds, brought)

    def drop(self, target: str) -> None:
        """The others share its time."""
        self._shares.drop(target)

    def over(self) -> bool:
        """Whether the overtime is over, too."""
        return time.monotonic() >= self._last
