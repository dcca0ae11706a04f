"""What the live view remembers of a campaign: how discovery went on, each worker's rate, and when it last kept an input."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

# A rate is taken over so many seconds: shorter ones jump, longer ones hide that a worker got stuck.
_WINDOW_S = 4.0
# Points of the curve; when there are twice as many, every second one goes.
_POINTS = 400


class Running(Protocol):
    """A running worker, as far as it is shown."""

    @property
    def settings(self) -> Any:
        """With its ``target`` and ``seed``."""

    status: dict[str, Any]
    engine: dict[str, int]
    started: float


class Trail:
    """Call :meth:`see` now and then; the times are those of ``time.monotonic``."""

    def __init__(self) -> None:
        #: ``(seconds since the campaign began, edges and semantic features gained since)``: beyond what the seeds reach.
        self.curve: list[tuple[float, int]] = []
        self._apart = 0.0
        self._from: dict[str, int] = {}
        self._kept: dict[Running, tuple[int, float]] = {}
        self._samples: dict[Running, list[tuple[float, int]]] = {}

    def see(self, now: float, elapsed: float, reached: Mapping[str, int], active: Iterable[Running]) -> None:
        """Note where the campaign stands; ``reached`` is edges and semantic features by target."""
        running = list(active)
        for worker in running:
            # Before it mutates it loads seeds.
            if worker.status.get("mutating"):
                self._from.setdefault(worker.settings.target, reached[worker.settings.target])
        discovered = sum(reached[name] - start for name, start in self._from.items())
        if not self.curve or elapsed - self.curve[-1][0] >= self._apart:
            self.curve.append((elapsed, discovered))
            if len(self.curve) >= 2 * _POINTS:
                self.curve = self.curve[::2]
                self._apart = elapsed / _POINTS
        for worker in running:
            kept = figures(worker)["corp"]
            if kept > self._kept.get(worker, (0, 0.0))[0]:
                self._kept[worker] = kept, now
            at, done = worker.status.get("seconds", 0.0), worker.status.get("executions", 0)
            samples = self._samples.setdefault(worker, [(at, done)])
            if at > samples[-1][0]:
                samples.append((at, done))
                # One that is older than the window stays, to measure from.
                while len(samples) > 2 and at - samples[1][0] >= _WINDOW_S:
                    del samples[0]
        for gone in self._samples.keys() - set(running):
            del self._samples[gone]
            self._kept.pop(gone, None)

    def since_kept(self, worker: Running, now: float) -> float:
        """Seconds since the worker last kept an input; since it started where it kept none."""
        return now - self._kept.get(worker, (0, worker.started))[1]

    def rate(self, worker: Running) -> float:
        """Executions per second of late."""
        samples = self._samples.get(worker, [(0.0, 0)])
        (first, before), (last, done) = samples[0], samples[-1]
        if last > first:
            return (done - before) / (last - first)
        return done / last if last else 0.0


def figures(worker: Running) -> Mapping[str, int]:
    """Give libFuzzer's ``cov``, ``ft`` and ``corp``, of the same moment as the status where that has them."""
    found: Mapping[str, int] = worker.status.get("engine", worker.engine)
    return found
