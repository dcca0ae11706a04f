"""The figures of a running campaign, for its display and its ledger: sums over workers, by target."""

from __future__ import annotations

import copy
import time
from collections import Counter
from typing import Any

from harness.engine.campaign.discovery import Discovery, Watched
from harness.engine.campaign.figures import TargetFigures, ledger_entry
from harness.findings import verdicts
from harness.text import duration


def _count_findings(findings: dict[str, dict[str, Any]], worker: Watched) -> None:
    """Add a worker's findings."""
    for name, found in worker.status.findings.items():
        _count(findings, name, found | {"target": worker.settings.target})


def _count(findings: dict[str, dict[str, Any]], name: str, found: dict[str, Any]) -> None:
    merged = findings.setdefault(name, found | {"count": 0})
    merged["count"] += found["count"]
    merged["size"] = min(merged["size"], found["size"])
    merged["target"] = found["target"]


class Progress:
    """The figures of the whole campaign. The supervisor calls :meth:`update` several times a second."""

    def __init__(self, names: tuple[str, ...], seconds: float, runs: int) -> None:
        self.names = names
        self.seconds = seconds
        self.runs = runs
        self.began = time.monotonic()
        self.last_find = 0.0
        self.warning = ""
        #: Work in words after the workers have ended.
        self.note = ""
        #: Whether a signal asked for the end.
        self.stopping = False
        self.workers = 0
        #: By target, the number of inputs that were not saved because of the quota.
        self.passed_over: dict[str, int] = {}
        #: Numbers of programs that were ``given`` to the release wheel, and of those that it ``ran``.
        self.wheel = {"given": 0, "ran": 0}
        self.findings: dict[str, dict[str, Any]] = {}
        self.targets: dict[str, TargetFigures] = {}
        # Sums over ended workers: a night has hundreds of them.
        self._done: dict[str, TargetFigures] = {name: TargetFigures() for name in names}
        self._done_findings: dict[str, dict[str, Any]] = {}
        #: Targets that got past their seeds.
        self.fuzzed: set[str] = set()
        # The ledger's entry of a target is kept while its figures do not change.
        self._entries: dict[str, dict[str, Any]] = {}
        self._stale: set[str] = set()
        # Targets whose figures the next :meth:`update` sums up anew. Until then their entries would hold old figures.
        self._changed: set[str] = set()
        #: The workers that run now.
        self.active: list[Watched] = []
        self.discovery = Discovery(names, self.began)

    @property
    def elapsed(self) -> float:
        """Seconds since the campaign began."""
        return time.monotonic() - self.began

    def left(self) -> str:
        """The remaining time or work, in words; "" for a number of executions."""
        if self.stopping and not self.note:
            return "ending; another Ctrl-C ends at once"
        if self.note or self.runs:
            return self.note
        left = self.seconds - self.elapsed
        return f"{duration(round(left))} left" if left > 0 else "finishing"

    def gained(self) -> list[tuple[float, int]]:
        """The curve of discovery up to now (:meth:`Discovery.gained`)."""
        points = self.discovery.gained()
        return [(0.0, 0), *points, (self.elapsed, points[-1][1])] if points else []

    def started(self, worker: Watched) -> None:
        """Count a started worker."""
        self.workers += 1
        self._changed.add(worker.settings.target)

    def ended(self, worker: Watched) -> None:
        """Keep the last status of a worker that has ended."""
        self._add(self._done.setdefault(worker.settings.target, TargetFigures()), worker)
        _count_findings(self._done_findings, worker)
        self.discovery.ended(worker)
        self._changed.add(worker.settings.target)

    def _add(self, figures: TargetFigures, worker: Watched) -> None:
        figures.add(ledger_entry(worker.status))
        if worker.status.mutating:
            self.fuzzed.add(worker.settings.target)

    def died(self, found: dict[str, Any]) -> None:
        """Add the finding of a worker's death. Its ``count`` is that of this death."""
        _count(self._done_findings, found["id"], found)
        self._merge_finding(found["id"], self._done_findings[found["id"]])

    def found_by_replay(self, found: dict[str, Any]) -> None:
        """Add a finding of the replay pool, unless workers have counted it already."""
        if found["id"] not in self.findings:
            self._merge_finding(found["id"], found)

    def replayed(self, name: str, fields: dict[str, Any]) -> None:
        """Add the result of a finding's replays."""
        self.findings[name] |= fields

    def update(self, active: list[Watched]) -> None:
        """Sum up ended and running workers."""
        self.active = list(active)
        figures = {name: self._done[name] for name in self.names}
        # Copying is expensive: only figures that a running worker adds to are copied.
        running = {worker.settings.target for worker in active}
        self._stale |= running
        for name in running:
            figures[name] = copy.deepcopy(self._done[name])
        findings = {name: dict(found) for name, found in self._done_findings.items()}
        for worker in active:
            self._add(figures[worker.settings.target], worker)
            _count_findings(findings, worker)
        self.targets = figures
        for name, found in findings.items():
            self._merge_finding(name, found)
        self.discovery.update(self.findings.values(), active)
        self._stale |= self._changed
        self._changed.clear()

    def _merge_finding(self, name: str, found: dict[str, Any]) -> None:
        if name not in self.findings:
            self.last_find = self.elapsed
            self.findings[name] = {"first_seconds": round(self.elapsed, 2)}
            self._changed.add(str(found.get("target", "")))
        self.findings[name] = self.findings[name] | found

    def new(self) -> list[str]:
        """Ids of findings that no folder in crashes/ and no verdict rule covers."""
        return sorted(name for name, found in self.findings.items() if not found.get("known"))

    def known(self) -> list[str]:
        """Ids of findings that are covered."""
        return sorted(name for name, found in self.findings.items() if found.get("known"))

    def too_wide(self) -> list[tuple[str, float]]:
        """Verdict rules that cover more than 1 % of all executions, with their share."""
        counts: Counter[str] = Counter()
        for found in self.findings.values():
            # By name: a rule for a reader covers the same defect in the loaders that build on it.
            covered, _, name = str(found.get("known", "")).partition(":")
            if covered == "verdict":
                counts[name] += found["count"]
        return verdicts.too_wide(counts, self.executions())

    def executions(self) -> int:
        """Executions of all targets."""
        return sum(int(target.sums["executions"]) for target in self.targets.values())

    def summary(self) -> dict[str, Any]:
        """The session's entry of the ledger. A target's part stays the same object while its figures do not change."""
        for name, target in self.targets.items():
            if name in self._stale or name not in self._entries:
                self._entries[name] = target.summary() | self.discovery.summary(name)
        self._stale.clear()
        return {
            "seconds": round(self.elapsed, 2),
            "cpu_seconds": round(sum(target.sums["cpu_seconds"] for target in self.targets.values()), 2),
            "executions": self.executions(),
            "workers_started": self.workers,
            "last_find_seconds": round(self.last_find, 2),
            "per_target": {name: self._entries[name] for name in self.targets},
            "findings": self.findings,
            "new": self.new(),
            "not_fuzzed": [name for name in self.targets if name not in self.fuzzed],
            "too_wide": [{"rule": rule, "share": round(share, 4)} for rule, share in self.too_wide()],
        }
