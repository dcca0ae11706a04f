"""What a session discovers as it goes on: a curve per target, thinned, and how often each species was met.

The curve is about the target as a whole: executions and CPU-seconds are sums over all its workers, one after another or side
by side, what is discovered is the most that any of them knew (they share a corpus), and never falls.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from harness.engine import species
from harness.engine.process import WorkerProcess

POINTS = 120
"""At most so many points to a curve, however long the session."""
FIELDS = ("executions", "edges", "features", "semantic", "corpus", "signatures")


class Figures(Protocol):
    """A target's sums, as the progress display has them."""

    sums: Counter[str]
    edges: int
    features: int
    semantic: int
    corpus: int


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

    def take(
        self, seconds: float, cpu_seconds: float, values: Mapping[str, int], also: Mapping[str, int] | None = None
    ) -> None:
        """The state at ``seconds`` since the session began, if there were executions; ``also`` may rise and fall."""
        if values["executions"] <= self.executions:
            return
        last = self.points[-1] if self.points else {}
        point: dict[str, Any] = {"seconds": round(seconds, 1), "cpu_seconds": round(cpu_seconds, 2)}
        point |= {name: max(values[name], last.get(name, 0)) for name in FIELDS}
        self.points.append(point | dict(also or {}))
        if len(self.points) > POINTS:
            start = 1 + seconds / 100
            marks = [math.log(p["seconds"] + start) for p in self.points]
            gaps = [after - before for before, after in zip(marks, marks[2:], strict=False)]
            del self.points[1 + gaps.index(min(gaps))]


def forget(sessions: Iterable[dict[str, Any]]) -> None:
    """Drop the curves of sessions that have ended, but for their two ends: a campaign's file is written every other second.

    The whole curves are kept by :mod:`harness.ledger`.
    """
    for session in sessions:
        for figures in session.get("per_target", {}).values():
            if len(figures.get("curve", ())) > 2:
                figures["curve"] = [figures["curve"][0], figures["curve"][-1]]


class Discovery:
    """All targets of a session."""

    def __init__(self, names: Iterable[str]) -> None:
        self._curves = {name: Curve() for name in names}
        self._ended = {name: species.Counts() for name in self._curves}
        self._running: dict[WorkerProcess, species.Counts] = {}
        self._found: dict[str, list[int]] = {}
        # Targets whose first worker is through with its seeds: what those reach is no discovery of this session.
        self._begun: set[str] = set()

    def ended(self, worker: WorkerProcess) -> None:
        """Keep what a worker counted, before its folder goes."""
        self._look(worker)
        counts = self._running.pop(worker, None)
        if counts is not None:
            self._ended[worker.settings.target].add(counts)

    def _look(self, worker: WorkerProcess) -> None:
        if worker.status.get("mutating"):
            self._begun.add(worker.settings.target)
        counts = species.read(worker.settings.memory / species.FILE)
        if counts is not None:
            self._running[worker] = counts

    def _counts(self, name: str) -> species.Counts:
        counts = species.Counts()
        counts.add(self._ended[name])
        for worker, running in self._running.items():
            if worker.settings.target == name:
                counts.add(running)
        return counts

    def update(
        self,
        elapsed: float,
        targets: Mapping[str, Figures],
        findings: Iterable[Mapping[str, Any]],
        active: Iterable[WorkerProcess],
    ) -> None:
        """Add a point to the curve of each target that went on."""
        self._found = {}
        for entry in findings:
            self._found.setdefault(entry.get("target", ""), []).append(entry["count"])
        for name, figures in targets.items():
            curve, done = self._curves[name], int(figures.sums["executions"])
            if done <= curve.executions:
                continue
            for worker in active:
                if worker.settings.target == name:
                    self._look(worker)
            values = {
                "executions": done,
                "edges": figures.edges,
                "features": figures.features,
                "semantic": figures.semantic,
                "corpus": figures.corpus,
                "signatures": len(self._found.get(name, ())),
            }
            if name in self._begun:
                curve.take(elapsed, figures.sums["cpu_seconds"], values, self._counts(name).brief())

    def summary(self, name: str) -> dict[str, Any]:
        """``curve`` and ``species`` of a target, for the ledger. Signatures are counted on every execution."""
        curve = self._curves[name]
        found = species.frequencies(self._found.get(name, ()), sampled=curve.executions, every=1)
        return {"curve": curve.points, "species": self._counts(name).summary() | {"signatures": found}}
