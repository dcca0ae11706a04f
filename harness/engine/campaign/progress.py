"""What a running campaign shows and what its ledger keeps: sums over workers, by target."""

from __future__ import annotations

import copy
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from harness.engine.campaign.discovery import Discovery
from harness.engine.campaign.process import WorkerProcess
from harness.engine.ui.drawing import duration
from harness.findings import verdicts

_SUMS = (
    "executions", "accepted", "deep", "judged", "judged_refused", "guarded", "isolated", "defects", "cpu_seconds",
)  # fmt: skip


@dataclass
class TargetProgress:
    """One target's figures; rates are over the time its workers ran."""

    sums: Counter[str] = field(default_factory=Counter)
    stages: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    operators: dict[str, Counter[str]] = field(default_factory=dict)
    seconds: float = 0.0
    edges: int = 0
    features: int = 0
    corpus: int = 0
    semantic: int = 0
    seeds: int = 0
    edges_at_start: int = 0
    rss_mb: int = 0
    ns: dict[str, int] = field(default_factory=dict)
    median_size: int = 0
    #: Whether it got past its seeds.
    fuzzed: bool = False

    def add(self, worker: WorkerProcess) -> None:
        """Take in one worker's latest status."""
        status = worker.status
        for name in _SUMS:
            self.sums[name] += status.get(name, 0)
        self.stages.update(status.get("stages", {}))
        self.rules.update(status.get("rules", {}))
        for name, stats in status.get("operators", {}).items():
            self.operators.setdefault(name, Counter()).update(
                {key: value for key, value in stats.items() if isinstance(value, int)}
            )
        self.seconds += status.get("seconds", 0.0)
        # As of one moment, the status: edges are what libFuzzer covers less the semantic features of that same moment.
        engine = status.get("engine", worker.engine)
        self.edges = max(self.edges, engine["cov"] - status.get("semantic_features", 0))
        self.features = max(self.features, engine["ft"])
        self.corpus = max(self.corpus, engine["corp"])
        self.semantic = max(self.semantic, status.get("semantic_features", 0))
        self.seeds = max(self.seeds, status.get("seeds", 0))
        self.edges_at_start = max(self.edges_at_start, status.get("native_edges_at_start", 0))
        self.rss_mb = max(self.rss_mb, status.get("rss_mb", 0))
        self.ns = status.get("ns", self.ns)
        self.median_size = status.get("median_size", self.median_size)
        self.fuzzed = self.fuzzed or bool(status.get("mutating"))

    def rate(self) -> float:
        """Executions per second of worker time."""
        return self.sums["executions"] / self.seconds if self.seconds else 0.0

    def summary(self) -> dict[str, Any]:
        """Plain JSON types for the ledger."""
        return {
            **{name: round(self.sums[name], 2) for name in _SUMS},
            "seconds": round(self.seconds, 2),
            "executions_per_second": round(self.rate(), 1),
            "stages": dict(self.stages),
            "rules": dict(self.rules),
            "edges": self.edges,
            "edges_at_start": self.edges_at_start,
            "features": self.features,
            "semantic_features": self.semantic,
            "corpus": self.corpus,
            "seeds": self.seeds,
            "rss_mb": self.rss_mb,
            "median_size": self.median_size,
            "ns": self.ns,
            "operators": {name: dict(counts) for name, counts in self.operators.items()},
        }


def _count_findings(findings: dict[str, dict[str, Any]], worker: WorkerProcess) -> None:
    """Add what a worker found."""
    for name, entry in worker.status.get("findings", {}).items():
        merged = findings.setdefault(name, entry | {"count": 0})
        merged["count"] += entry["count"]
        merged["size"] = min(merged["size"], entry["size"])
        merged["target"] = worker.settings.target


class Progress:
    """The whole campaign's figures; ``update`` is called several times a second."""

    def __init__(self, names: tuple[str, ...], seconds: float, runs: int) -> None:
        self.names = names
        self.seconds = seconds
        self.runs = runs
        self.began = time.monotonic()
        self.last_find = 0.0
        self.warning = ""
        #: What goes on once the workers are done.
        self.note = ""
        self.workers = 0
        self.findings: dict[str, dict[str, Any]] = {}
        self.targets: dict[str, TargetProgress] = {}
        # What ended workers did: a night has hundreds of them.
        self._done: dict[str, TargetProgress] = {name: TargetProgress() for name in names}
        self._done_findings: dict[str, dict[str, Any]] = {}
        # Of targets that nothing was added to, the ledger's entries are those of the last look.
        self._entries: dict[str, dict[str, Any]] = {}
        self._stale: set[str] = set()
        # What the next ``update`` has to sum up anew: until then the entries would be written from old figures.
        self._changed: set[str] = set()
        #: The workers that run now.
        self.active: list[WorkerProcess] = []
        self._discovery = Discovery(names, self.began)

    @property
    def elapsed(self) -> float:
        """Seconds since the campaign began."""
        return time.monotonic() - self.began

    def left(self) -> str:
        """What is still to come, in words: of a time, how much of it; "" of so many executions."""
        if self.note or self.runs:
            return self.note
        left = self.seconds - self.elapsed
        return f"{duration(left)} left" if left > 0 else "finishing"

    def started(self, worker: WorkerProcess) -> None:
        """A worker was started."""
        self.workers += 1
        self._changed.add(worker.settings.target)

    def ended(self, worker: WorkerProcess) -> None:
        """A worker ended; its last status counts on."""
        self._done.setdefault(worker.settings.target, TargetProgress()).add(worker)
        _count_findings(self._done_findings, worker)
        self._discovery.ended(worker)
        self._changed.add(worker.settings.target)

    def died(self, found: dict[str, Any]) -> None:
        """A worker's death was recorded as a finding; its ``count`` is this one."""
        merged = self._done_findings.setdefault(found["id"], found | {"count": 0})
        merged["count"] += found["count"]
        merged["size"] = min(merged["size"], found["size"])
        self._merge_finding(found["id"], merged)

    def found_apart(self, found: dict[str, Any]) -> None:
        """A finding of an input that ran in a process of its own; workers may have counted it already."""
        if found["id"] not in self.findings:
            self._merge_finding(found["id"], found)

    def replayed(self, name: str, fields: dict[str, Any]) -> None:
        """A finding was run again in fresh processes."""
        self.findings[name] |= fields

    def update(self, active: list[WorkerProcess]) -> None:
        """Sum up ended and running workers."""
        self.active = list(active)
        figures = {name: self._done[name] for name in self.names}
        # Copying is what costs: only what a running worker adds to is copied.
        running = {worker.settings.target for worker in active}
        self._stale |= running
        for name in running:
            figures[name] = copy.deepcopy(self._done[name])
        findings = {name: dict(entry) for name, entry in self._done_findings.items()}
        for worker in active:
            figures[worker.settings.target].add(worker)
            _count_findings(findings, worker)
        self.targets = figures
        for name, entry in findings.items():
            self._merge_finding(name, entry)
        self._discovery.update(self.findings.values(), active)
        self._stale |= self._changed
        self._changed.clear()

    def _merge_finding(self, name: str, entry: dict[str, Any]) -> None:
        if name not in self.findings:
            self.last_find = self.elapsed
            self.findings[name] = {"first_seconds": round(self.elapsed, 2)}
            self._changed.add(str(entry.get("target", "")))
        self.findings[name] = self.findings[name] | entry

    def new(self) -> list[str]:
        """Ids of findings that no folder in crashes/ and no verdict rule covers."""
        return sorted(name for name, entry in self.findings.items() if not entry.get("known"))

    def known(self) -> list[str]:
        """Ids of findings that are covered."""
        return sorted(name for name, entry in self.findings.items() if entry.get("known"))

    def too_wide(self) -> list[tuple[str, float]]:
        """Verdict rules that cover more than 1 % of all executions, with their share."""
        counts: Counter[str] = Counter()
        for entry in self.findings.values():
            # By name: a rule for a reader covers the same defect in the loaders that stand on it, too.
            covered, _, name = str(entry.get("known", "")).partition(":")
            if covered == "verdict":
                counts[name] += entry["count"]
        return verdicts.too_wide(counts, self.executions())

    def executions(self) -> int:
        """All targets together."""
        return sum(int(target.sums["executions"]) for target in self.targets.values())

    def summary(self) -> dict[str, Any]:
        """The session's entry of the ledger; what it says of a target stays one object while nothing is added to it."""
        for name, target in self.targets.items():
            if name in self._stale or name not in self._entries:
                self._entries[name] = target.summary() | self._discovery.summary(name)
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
            "not_fuzzed": [name for name, target in self.targets.items() if not target.fuzzed],
            "too_wide": [{"rule": rule, "share": round(share, 4)} for rule, share in self.too_wide()],
        }
