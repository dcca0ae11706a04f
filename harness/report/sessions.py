"""What the ledgers of campaigns say, summed up by target; nothing of a ledger is trusted to be there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
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

Point = Mapping[str, float]


def kept(campaigns: Iterable[Campaign]) -> tuple[dict[str, Record], list[str]]:
    """The records of the campaigns' sessions by id, and what the ledger passed over as damaged, in words.

    A campaign keeps of older sessions only the ends of their curves; the project's ledger has them whole.
    """
    folders = [one.folder for one in campaigns if one.sessions]
    if not folders:
        return {}, []
    if any(records.folder().glob("*.json")):
        folders.append(records.folder())
    found = records.read(*folders)
    ids = {records.identity(session) for one in campaigns for session in one.sessions if "started" in session}
    return {record.id: record for record in found.records if record.id in ids}, found.damaged


def curve(campaign: Campaign, target: str, known: Mapping[str, Record]) -> list[Point]:
    """One target's points over all sessions, the sums (executions, CPU time) going on from session to session.

    ``known`` are the records of the ledger (:func:`kept`). What is no sum is the largest seen so far: a session starts from what the one before it kept.
    """
    points: list[Point] = []
    before: dict[str, float] = {}
    for session in campaign.sessions:
        spent = table(table(session.get("per_target")).get(target))
        for at in _points(session, target, known):
            last = points[-1] if points else {}
            point = {name: max(number(at.get(name)), last.get(name, 0.0)) for name in METRICS}
            for name in ("executions", "cpu_seconds"):
                point[name] = number(at.get(name)) + before.get(name, 0.0)
            if point["executions"] > last.get("executions", 0.0):
                points.append(point)
        for name in ("executions", "cpu_seconds"):
            before[name] = before.get(name, 0.0) + number(spent.get(name))
    return points


def _points(session: Mapping[str, Any], target: str, known: Mapping[str, Record]) -> list[Mapping[str, Any]]:
    """A session's points of one target, from the ledger where it has more of them."""
    points = table(table(session.get("per_target")).get(target)).get("curve")
    own = [table(point) for point in points] if isinstance(points, list) else []
    record = known.get(records.identity(session)) if "started" in session else None
    whole = record.targets[target].curve if record is not None and target in record.targets else ()
    return own if len(own) >= len(whole) else [asdict(point) for point in whole]


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


def together(campaign: Campaign, targets: Iterable[str], known: Mapping[str, Record]) -> list[Point]:
    """What all targets together had found by the CPU time they had taken: ``cpu_seconds`` and ``signatures``.

    Targets take turns, so each session's points are put in the order of its clock.
    """
    points: list[Point] = []
    base = {"cpu_seconds": 0.0, "signatures": 0.0}
    for session in campaign.sessions:
        latest: dict[str, Point] = {}
        for _, target, point in sorted(_moments(session, targets, known), key=lambda moment: moment[0]):
            latest[target] = point
            sums = {name: sum(number(at.get(name)) for at in latest.values()) for name in base}
            sums["cpu_seconds"] += base["cpu_seconds"]
            sums["signatures"] = max(sums["signatures"], base["signatures"])
            points.append(sums)
        if points:
            base = dict(points[-1])
    return points


def _moments(
    session: Mapping[str, Any], targets: Iterable[str], known: Mapping[str, Record]
) -> Iterable[tuple[float, str, Point]]:
    for target in targets:
        for point in _points(session, target, known):
            yield number(point.get("seconds")), target, point
