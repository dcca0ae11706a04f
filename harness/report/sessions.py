"""What the ledgers of campaigns say, summed up by target; nothing of a ledger is trusted to be there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.report.words import number, table

#: What a curve is drawn of; each is a field of its points.
METRICS = ("signatures", "edges", "features", "semantic")
#: How far executions get, in the order of the way; what stands last was refused nowhere.
STAGES = ("framing", "utf-8", "json or fields", "layout or size", "accepted")
_SUMS = ("executions", "accepted", "deep", "judged", "defects", "cpu_seconds", "seconds")
_LARGEST = {
    "edges": "edges",
    "features": "features",
    "semantic": "semantic_features",
    "corpus": "corpus",
    "rss_mb": "rss_mb",
}

Point = Mapping[str, float]


@dataclass(slots=True)
class Run:
    """One campaign. ``sessions`` are the entries of its ledger, the oldest first."""

    folder: Path
    sessions: list[Mapping[str, Any]]

    @property
    def last(self) -> Mapping[str, Any]:
        """The latest session; empty when there was none."""
        return self.sessions[-1] if self.sessions else {}

    def curve(self, target: str) -> list[Point]:
        """One target's points over all sessions, the sums (executions, CPU time) going on from session to session.

        What is no sum is the largest seen so far: a session starts from what the one before it kept.
        """
        points: list[Point] = []
        before: dict[str, float] = {}
        for session in self.sessions:
            spent = table(table(session.get("per_target")).get(target))
            for raw in spent.get("curve") or ():
                at = table(raw)
                last = points[-1] if points else {}
                point = {name: max(number(at.get(name)), last.get(name, 0.0)) for name in METRICS}
                for name in ("executions", "cpu_seconds"):
                    point[name] = number(at.get(name)) + before.get(name, 0.0)
                if point["executions"] > last.get("executions", 0.0):
                    points.append(point)
            for name in ("executions", "cpu_seconds"):
                before[name] = before.get(name, 0.0) + number(spent.get(name))
        return points


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


def read(folder: Path) -> Run:
    """The ledger of the campaign in ``folder``; no sessions where it has none. Raises HarnessError when it is damaged."""
    path = folder / "campaign.json"
    try:
        entries = json.loads(path.read_bytes())["sessions"]
        if not isinstance(entries, list):
            raise TypeError("its sessions are no list")
    except FileNotFoundError:
        entries = []
    except OSError as error:
        raise HarnessError(f"{path}: {error.strerror}", hint="check the campaign's folder") from error
    except (ValueError, KeyError, TypeError) as error:
        raise HarnessError(f"{path} is no ledger: {error}", hint="move it away to go on without it") from error
    return Run(folder, [table(entry) for entry in entries])


def by_target(runs: Iterable[Run]) -> dict[str, TargetFigures]:
    """The figures of each target that was executed at all, in the order in which targets were first run."""
    found: dict[str, TargetFigures] = {}
    for run in runs:
        for session in run.sessions:
            for name, spent in table(session.get("per_target")).items():
                found.setdefault(name, TargetFigures(name)).add(table(spent))
    return {name: figures for name, figures in found.items() if figures.sums["executions"]}


def together(run: Run, targets: Iterable[str]) -> list[Point]:
    """What all targets together had found by the CPU time they had taken: ``cpu_seconds`` and ``signatures``.

    Targets take turns, so each session's points are put in the order of its clock.
    """
    points: list[Point] = []
    base = {"cpu_seconds": 0.0, "signatures": 0.0}
    for session in run.sessions:
        latest: dict[str, Point] = {}
        for _, target, point in sorted(_moments(session, targets), key=lambda moment: moment[0]):
            latest[target] = point
            sums = {name: sum(number(at.get(name)) for at in latest.values()) for name in base}
            sums["cpu_seconds"] += base["cpu_seconds"]
            sums["signatures"] = max(sums["signatures"], base["signatures"])
            points.append(sums)
        if points:
            base = dict(points[-1])
    return points


def _moments(session: Mapping[str, Any], targets: Iterable[str]) -> Iterable[tuple[float, str, Point]]:
    for target in targets:
        for raw in table(table(session.get("per_target")).get(target)).get("curve") or ():
            point = table(raw)
            yield number(point.get("seconds")), target, point
