"""What campaigns did with each target, summed up over their sessions; nothing of a ledger is trusted to be there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.engine.worker.tally import STAGES
from harness.report.words import number, table

_SUMS = ("executions", "accepted", "deep", "judged", "defects", "cpu_seconds", "seconds")
_LARGEST = {
    "edges": "edges",
    "features": "features",
    "semantic": "semantic_features",
    "corpus": "corpus",
    "rss_mb": "rss_mb",
}


@dataclass(slots=True)
class Drive:
    """What was done with one target, over any number of sessions: ``sums``, and of what is none the ``largest``.

    ``left_out`` is why it could not be driven in the last session that asked for it, or "". ``signatures`` is for whoever knows the findings.
    """

    name: str
    sums: Counter[str] = field(default_factory=Counter)
    largest: dict[str, float] = field(default_factory=lambda: dict.fromkeys(_LARGEST, 0.0))
    stages: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    #: By operator, how often it was used, how many of its inputs were kept, how often it failed.
    operators: dict[str, Counter[str]] = field(default_factory=dict)
    signatures: int = 0
    left_out: str = ""

    def add(self, spent: Mapping[str, Any]) -> None:
        """Take in what one session says of the target."""
        for name in _SUMS:
            self.sums[name] += number(spent.get(name))  # type: ignore[assignment] # seconds are no whole numbers
        for name, key in _LARGEST.items():
            self.largest[name] = max(self.largest[name], number(spent.get(key)))
        for name, mine in (("stages", self.stages), ("rules", self.rules)):
            mine.update({key: int(number(value)) for key, value in table(spent.get(name)).items()})
        for name, stats in table(spent.get("operators")).items():
            counts = {key: int(number(value)) for key, value in table(stats).items()}
            self.operators.setdefault(name, Counter()).update(counts)

    @property
    def ends(self) -> list[tuple[str, float]]:
        """The share of executions that each stage ended, as (class in the style sheet, share), in the order of the way."""
        whole = self.stages.total()
        return [(f"t{place}", self.stages[stage] / whole) for place, stage in enumerate(STAGES) if whole]

    @property
    def rate(self) -> float:
        """Executions in a second of worker time."""
        return self.sums["executions"] / self.sums["seconds"] if self.sums["seconds"] else 0.0


def drives(sessions: Iterable[Mapping[str, Any]]) -> dict[str, Drive]:
    """Of sessions as campaign.json has them, of one campaign or of several: by target, in the order in which they were first asked for."""
    found: dict[str, Drive] = {}

    def of(name: str) -> Drive:
        return found.setdefault(name, Drive(name))

    for session in sessions:
        asked = session.get("targets")
        for name in asked if isinstance(asked, list) else ():
            of(str(name)).left_out = ""
        for name, spent in table(session.get("per_target")).items():
            of(name).add(table(spent))
        for name, reason in table(session.get("left_out")).items():
            of(name).left_out = str(reason)
    return found
