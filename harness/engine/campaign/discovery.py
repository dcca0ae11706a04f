"""What a session discovers as it goes on: a curve per target, thinned, and how often each species was met.

The curve is about the target as a whole: executions and CPU-seconds are sums over all its workers, one after another or side
by side, what is discovered is the most that any of them knew (they share a corpus), and never falls.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.engine.campaign.process import WorkerProcess
from harness.engine.worker import species

POINTS = 120
"""At most so many points to a curve, however long the session."""
FIELDS = ("executions", "edges", "features", "semantic", "corpus", "signatures")
#: A moment of a worker: the clock, CPU-seconds, then FIELDS.
_CLOCK, _CPU, _EXECUTIONS = 0, 1, 2


class Curve:
    """Points in the order of time. The densest place loses one when there are too many; the first and the last stay.

    How dense a place is goes by the logarithm of the time, from a hundredth of the whole on: a night has its first minutes, and
    some twenty points in its last half.
    """

    def __init__(self) -> None:
        self.points: list[dict[str, Any]] = []

    @property
    def executions(self) -> int:
        """Up to the last point."""
        return int(self.points[-1]["executions"]) if self.points else 0

    def take(self, seconds: float, cpu_seconds: float, values: Mapping[str, int]) -> None:
        """The state at ``seconds`` since the session began, if there were executions; no value ever falls."""
        if values["executions"] <= self.executions:
            return
        last = self.points[-1] if self.points else {}
        point: dict[str, Any] = {
            "seconds": max(round(seconds, 1), last.get("seconds", 0.0)),
            "cpu_seconds": max(round(cpu_seconds, 2), last.get("cpu_seconds", 0.0)),
        }
        self.points.append(point | {name: max(int(values[name]), last.get(name, 0)) for name in FIELDS})
        if len(self.points) > POINTS:
            start = 1 + seconds / 100
            marks = [math.log(p["seconds"] + start) for p in self.points]
            gaps = [after - before for before, after in zip(marks, marks[2:], strict=False)]
            del self.points[1 + gaps.index(min(gaps))]


def forget(sessions: Iterable[dict[str, Any]]) -> None:
    """Drop the curves of sessions that have ended, but for their two ends: a campaign's file is written every second.

    The whole curves are kept by :mod:`harness.ledger`.
    """
    for session in sessions:
        for figures in session.get("per_target", {}).values():
            if len(figures.get("curve", ())) > 2:
                figures["curve"] = [figures["curve"][0], figures["curve"][-1]]


@dataclass
class _Target:
    """One target's curve; what its ended workers spent, and what they touched how often."""

    curve: Curve = field(default_factory=Curve)
    counts: species.Counts = field(default_factory=species.Counts)
    executions: float = 0
    cpu_seconds: float = 0.0
    found: list[int] = field(default_factory=list)


class Discovery:
    """All targets of a session that began at ``began``, of the clock that all processes share.

    What a worker remembers begins when its seeds have run: what the first one's reach is where the curve starts, no discovery of the session. It
    holds the last half minute, so that nothing is missing where the supervisor was kept from looking.
    """

    def __init__(self, names: Iterable[str], began: float) -> None:
        self._began = began
        self._targets = {name: _Target() for name in names}
        self._latest: dict[WorkerProcess, list[float]] = {}
        self._counts: dict[WorkerProcess, species.Counts] = {}

    def ended(self, worker: WorkerProcess) -> None:
        """Keep what a worker counted, before its folder goes."""
        self._follow(worker)
        target = self._targets[worker.settings.target]
        moment = self._latest.pop(worker, None)
        if moment is not None:
            target.executions += moment[_EXECUTIONS]
            target.cpu_seconds += moment[_CPU]
        target.counts.add(self._counts.pop(worker, species.Counts()))

    def _follow(self, worker: WorkerProcess) -> None:
        """Add a worker's moments since the last look to its target's curve, on top of what all others have done."""
        moments = worker.status.get("moments", ())
        known = self._latest.get(worker, [0.0])
        if not moments or moments[-1][_CLOCK] <= known[_CLOCK]:
            return
        self._counts[worker] = species.read(worker.settings.memory / species.FILE) or self._counts.get(
            worker, species.Counts()
        )
        target = self._targets[worker.settings.target]
        others = [
            moment
            for other, moment in self._latest.items()
            if other is not worker and other.settings.target == worker.settings.target
        ]
        executions = target.executions + sum(moment[_EXECUTIONS] for moment in others)
        cpu_seconds = target.cpu_seconds + sum(moment[_CPU] for moment in others)
        for moment in moments:
            if moment[_CLOCK] > known[_CLOCK]:
                values = dict(zip(FIELDS, map(int, moment[_EXECUTIONS:]), strict=True))
                values["executions"] += int(executions)
                target.curve.take(moment[_CLOCK] - self._began, cpu_seconds + moment[_CPU], values)
        self._latest[worker] = moments[-1]

    def update(self, findings: Iterable[Mapping[str, Any]], active: Iterable[WorkerProcess]) -> None:
        """Follow the running workers; ``findings`` are all of the session's so far, whoever found them."""
        for target in self._targets.values():
            target.found = []
        for entry in findings:
            if entry.get("target") in self._targets:
                self._targets[entry["target"]].found.append(entry["count"])
        for worker in active:
            self._follow(worker)
        for target in self._targets.values():
            # What died, or was found in a process apart, no worker remembers.
            if target.curve.points:
                last = target.curve.points[-1]
                last["signatures"] = max(last["signatures"], len(target.found))

    def summary(self, name: str) -> dict[str, Any]:
        """``curve`` and ``species`` of a target, for the ledger. Signatures are counted on every execution."""
        target = self._targets[name]
        counts = species.Counts()
        counts.add(target.counts)
        for worker, running in self._counts.items():
            if worker.settings.target == name:
                counts.add(running)
        found = species.frequencies(target.found, sampled=target.curve.executions, every=1)
        return {"curve": target.curve.points, "species": counts.summary() | {"signatures": found}}
