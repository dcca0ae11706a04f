"""What the ledgers of campaigns say, summed up by target; nothing of a ledger is trusted to be there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.engine.tally import STAGES
from harness.ledger import records
from harness.ledger.records import Record
from harness.report.gather import Campaign
from harness.report.words import number, table

#: What a curve is drawn of; each is a field of its points.
METRICS = ("signatures", "edges", "features", "semantic")
_SUMS = ("executions", "accepted", "deep", "judged", "defects", "cpu_seconds", "seconds")
_LARGEST = {
    "edges": "edges",
    "features": "features",
    "semantic": "semantic_features",
    "corpus": "corpus",
    "rss_mb": "rss_mb",
}


def kept(campaigns: Sequence[Campaign]) -> tuple[list[list[Record]], list[str]]:
    """The records of each campaign's sessions, in their order, and what the ledger passed over as damaged, in words.

    A campaign keeps of older sessions only the ends of their curves; the project's ledger has them whole.
    """
    folders = [one.folder for one in campaigns if one.sessions]
    if not folders:
        return [[] for _ in campaigns], []
    if any(records.folder().glob("*.json")):
        folders.append(records.folder())
    found = records.read(*folders)
    ids = [{records.identity(session) for session in one.sessions if "started" in session} for one in campaigns]
    return [[record for record in found.records if record.id in mine] for mine in ids], found.damaged


@dataclass(slots=True)
class TargetFigures:
    """One target over all sessions of all campaigns: sums of ``sums``, largest values of ``largest``."""

    name: str
    sums: Counter[str] = field(default_factory=Counter)
    largest: dict[str, float] = field(default_factory=dict)
    stages: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    #: By operator, how often it was used, how many of its inputs were kept, how often it failed.
    operators: dict[str, Counter[str]] = field(default_factory=dict)
    signatures: int = 0

    def add(self, spent: Mapping[str, Any]) -> None:
        """Take in what one session says of the target."""
        for name in _SUMS:
            self.sums[name] += number(spent.get(name))  # type: ignore[assignment] # seconds are no whole numbers
        for name, key in _LARGEST.items():
            self.largest[name] = max(self.largest.get(name, 0.0), number(spent.get(key)))
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


def by_target(campaigns: Iterable[Campaign]) -> dict[str, TargetFigures]:
    """The figures of each target that was executed at all, in the order in which targets were first run."""
    found: dict[str, TargetFigures] = {}
    for campaign in campaigns:
        for session in campaign.sessions:
            for name, spent in table(session.get("per_target")).items():
                found.setdefault(name, TargetFigures(name)).add(table(spent))
    return {name: figures for name, figures in found.items() if figures.sums["executions"]}
