"""One target's figures, summed over workers or over sessions of campaign.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from harness.engine.worker.status import WorkerStatus
from harness.findings.finding import Finding
from harness.foreign_json import number, table
from harness.targets import known_findings

#: Names in campaign.json of the figures that are summed up, and of those whose largest value counts.
SUMS = (
    "executions",
    "accepted",
    "deep",
    "judged",
    "judged_refused",
    "guarded",
    "isolated",
    "defects",
    "cpu_seconds",
    "seconds",
)
LARGEST = ("edges", "edges_at_start", "features", "semantic_features", "corpus", "seeds", "rss_mb")
_LATEST = ("median_size", "ns")
_COUNTS = ("stages", "rules")
# campaign.json's name for an attribute of the status.
_ATTRIBUTES = {"isolated": "forked"}


def ledger_entry(status: WorkerStatus) -> dict[str, Any]:
    """A worker's figures under the names of campaign.json."""
    names = (*SUMS, *LARGEST, *_LATEST, *_COUNTS, "operators")
    return {name: getattr(status, _ATTRIBUTES.get(name, name)) for name in names}


def finding_entry(finding: Finding, size: int) -> dict[str, Any]:
    """The entry in campaign.json of a finding that was met once, with an input of ``size`` bytes."""
    known = known_findings.known(finding.signature) or ""
    entry = {"id": finding.id, "known": known, "signature": finding.signature}
    return entry | {"count": 1, "size": size, "target": finding.target}


@dataclass(slots=True)
class TargetFigures:
    """Sums of :data:`SUMS`, maxima of :data:`LARGEST`, counts by stage, rule and operator, and the latest other figures."""

    sums: Counter[str] = field(default_factory=Counter)
    largest: dict[str, float] = field(default_factory=lambda: dict.fromkeys(LARGEST, 0))
    stages: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    #: By operator: uses, kept inputs, failures.
    operators: dict[str, Counter[str]] = field(default_factory=dict)
    latest: dict[str, Any] = field(default_factory=lambda: {"median_size": 0, "ns": {}})

    def add(self, spent: Mapping[str, Any]) -> Self:
        """Add one worker or session. ``spent`` may be incomplete or damaged, as people edit campaign.json."""
        for name in SUMS:
            self.sums[name] += number(spent.get(name))  # type: ignore[assignment] # seconds are no integers
        for name in LARGEST:
            self.largest[name] = max(self.largest[name], number(spent.get(name)))
        for name in _COUNTS:
            getattr(self, name).update({key: int(number(value)) for key, value in table(spent.get(name)).items()})
        for name, stats in table(spent.get("operators")).items():
            counts = {key: value for key, value in table(stats).items() if isinstance(value, int)}
            self.operators.setdefault(name, Counter()).update(counts)
        self.latest |= {name: spent[name] for name in _LATEST if spent.get(name)}
        return self

    @property
    def rate(self) -> float:
        """Executions per second of worker time."""
        return self.sums["executions"] / self.sums["seconds"] if self.sums["seconds"] else 0.0

    def summary(self) -> dict[str, Any]:
        """The figures under the names of campaign.json."""
        return {
            **{name: round(self.sums[name], 2) for name in SUMS},
            "executions_per_second": round(self.rate, 1),
            "stages": dict(self.stages),
            "rules": dict(self.rules),
            **self.largest,
            **self.latest,
            "operators": {name: dict(counts) for name, counts in self.operators.items()},
        }
