"""The discoveries of a session: a thinned curve per target, and the incidence of each species.

A curve belongs to the target as a whole. Executions and CPU-seconds are sums over all its workers, one after another or side by
side. Its workers share a corpus, so discoveries are the most that any worker knew, and never fall.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Protocol

from harness.engine.worker import species
from harness.engine.worker.status import Moment, WorkerStatus

#: Most points of a curve, however long the session.
POINTS = 120
FIELDS = ("executions", "edges", "features", "semantic", "corpus", "signatures")


class Place(Protocol):
    """The target of a worker, and the folder with the file of its species."""

    @property
    def target(self) -> str:
        """The name of the target."""
        ...

    @property
    def memory(self) -> Path:
        """A folder with :data:`species.FILE`, where the worker has counted."""
        ...


class Watched(Protocol):
    """A worker as figures see it: a process of this machine, or of another one. Times are of the monotonic clock here."""

    started: float
    last_new: float
    status: WorkerStatus

    @property
    def settings(self) -> Place:
        """Target and folder."""
        ...


class Curve:
    """Points in the order of time. The first and the last stay; of too many, one goes where they are densest.

    Density is measured in the logarithm of the time, from a hundredth of the whole on. A night keeps its first minutes, and some
    twenty points of its last half.
    """

    def __init__(self) -> None:
        self.points: list[dict[str, Any]] = []

    @property
    def executions(self) -> int:
        """Executions at the last point."""
        return int(self.points[-1]["executions"]) if self.points else 0

    def take(self, seconds: float, cpu_seconds: float, values: Mapping[str, int]) -> None:
        """Add the state at ``seconds`` since the session began, if there were more executions. No value ever falls."""
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
    """Reduce the curves of earlier sessions to their two ends, as campaign.json is written every second.

    :mod:`harness.ledger` keeps the whole curves.
    """
    for session in sessions:
        for figures in session.get("per_target", {}).values():
            if len(figures.get("curve", ())) > 2:
                figures["curve"] = [figures["curve"][0], figures["curve"][-1]]


@dataclass
class _Target:
    """One target's curve, with the spending and the incidences of its ended workers, and the counts of its findings."""

    curve: Curve = field(default_factory=Curve)
    counts: species.Counts = field(default_factory=species.Counts)
    executions: int = 0
    cpu_seconds: float = 0.0
    found: list[int] = field(default_factory=list)


class Discovery:
    """All targets of a session that began at ``began`` on the monotonic clock, which all processes share.

    A worker's moments begin after its seeds. So the curve starts with the reach of the seeds, which is no discovery of the session.
    The moments span half a minute: nothing is lost where the supervisor looks late.
    """

    def __init__(self, names: Iterable[str], began: float) -> None:
        self._began = began
        self._targets = {name: _Target() for name in names}
        self._latest: dict[Watched, Moment] = {}
        self._counts: dict[Watched, species.Counts] = {}

    def ended(self, worker: Watched) -> None:
        """Keep a worker's counts before its folder is deleted."""
        self._follow(worker)
        target = self._targets[worker.settings.target]
        moment = self._latest.pop(worker, None)
        if moment is not None:
            target.executions += moment.executions
            target.cpu_seconds += moment.cpu_seconds
        target.counts.add(self._counts.pop(worker, species.Counts()))

    def _follow(self, worker: Watched) -> None:
        """Add a worker's new moments to its target's curve, on top of all other workers."""
        moments, known = worker.status.moments, self._latest.get(worker)
        fresh = [moment for moment in moments if known is None or moment.clock > known.clock]
        if not fresh:
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
        executions = target.executions + sum(moment.executions for moment in others)
        cpu_seconds = target.cpu_seconds + sum(moment.cpu_seconds for moment in others)
        for moment in fresh:
            values = {name: getattr(moment, name) for name in FIELDS}
            values["executions"] += executions
            target.curve.take(moment.clock - self._began, cpu_seconds + moment.cpu_seconds, values)
        self._latest[worker] = fresh[-1]

    def update(self, findings: Iterable[Mapping[str, Any]], active: Iterable[Watched]) -> None:
        """Follow the running workers. ``findings`` are all findings of the session so far."""
        for target in self._targets.values():
            target.found = []
        for entry in findings:
            if entry.get("target") in self._targets:
                self._targets[entry["target"]].found.append(entry["count"])
        for worker in active:
            self._follow(worker)
        for target in self._targets.values():
            # No worker counts deaths, or the findings of the replay pool.
            if target.curve.points:
                last = target.curve.points[-1]
                last["signatures"] = max(last["signatures"], len(target.found))

    def gained(self) -> list[tuple[float, int]]:
        """(seconds, edges and semantic features beyond the seeds' reach) of all targets together, in the order of time."""
        steps = sorted(
            (after["seconds"], sum(after[name] - before[name] for name in ("edges", "semantic")))
            for target in self._targets.values()
            for before, after in pairwise(target.curve.points)
        )
        return list(zip((at for at, _ in steps), accumulate(gain for _, gain in steps), strict=True))

    def counts(self, name: str) -> species.Counts:
        """The incidences of a target's species, summed over its workers."""
        counts = species.Counts()
        counts.add(self._targets[name].counts)
        for worker, running in self._counts.items():
            if worker.settings.target == name:
                counts.add(running)
        return counts

    def summary(self, name: str) -> dict[str, Any]:
        """``curve`` and ``species`` of a target, for the ledger. Signatures are counted on every execution."""
        target = self._targets[name]
        found = species.frequencies(target.found, sampled=target.curve.executions, every=1)
        return {"curve": target.curve.points, "species": self.counts(name).summary() | {"signatures": found}}
