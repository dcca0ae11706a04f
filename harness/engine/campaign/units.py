"""One unit of work and its result, both as values that are stored as plain JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.engine.campaign.process import new_settings
from harness.engine.worker.json_file import JsonFile
from harness.engine.worker.settings import WorkerSettings

#: libFuzzer looks into its corpus folder for new files each second.
RELOAD = "-reload=1"


@dataclass(frozen=True)
class Unit(JsonFile):
    """One target driven for a slice of time, or for a number of executions.

    ``seed_dirs`` are read, never written. ``shared``: the worker also reads the inputs of other workers while it runs.
    ``guards`` are those of earlier deaths, ``options`` further fields of :class:`WorkerSettings`.
    """

    target: str
    parser: str | None
    seed: int
    seed_dirs: tuple[Path, ...]
    seconds: float = 0.0
    runs: int = 0
    shared: bool = False
    disabled: tuple[str, ...] = ()
    guards: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def settings(self, campaign: Path, **changed: Any) -> WorkerSettings:
        """The settings of a worker in the folder ``campaign``; ``changed`` replaces fields."""
        fields = {name: value for name, value in vars(self).items() if name not in ("shared", "options")}
        options = dict(self.options)
        if self.shared:
            options["options"] = (*options.get("options", ()), RELOAD)
        return new_settings(campaign=campaign, **(fields | options | changed))


@dataclass(frozen=True)
class Result(JsonFile):
    """The result of a unit.

    ``corpus`` are names (SHA-1) of new inputs, ``findings`` ids of new findings. ``new`` are those of the findings that no filed
    finding covers. ``statistics`` has the figures of campaign.json, summed over the unit's workers: one, unless some died.
    ``seconds`` of the clock run from the unit's start to its end, ``start_seconds`` to its first mutation (0 without one).
    ``edges`` and ``features`` are libFuzzer's, after the seeds and at the end. ``problem``: why the target cannot be driven.
    ``store``: the figures of the exchange with a store, where there was one; ``corpus`` and ``new`` then name only inputs and
    findings that no other host had stored before. ``report`` is the last one of :mod:`harness.engine.campaign.unit_report`.
    """

    target: str
    seconds: float = 0.0
    start_seconds: float = 0.0
    cpu_seconds: float = 0.0
    executions: int = 0
    edges: tuple[int, int] = (0, 0)
    features: tuple[int, int] = (0, 0)
    semantic: int = 0
    corpus: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    workers: int = 0
    problem: str = ""
    statistics: dict[str, Any] = field(default_factory=dict)
    store: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)

    def sound(self) -> bool:
        """Whether its figures are numbers and its names are text; another machine may say anything."""
        figures = (self.seconds, self.start_seconds, self.cpu_seconds, self.executions, *self.edges, *self.features)
        names = (self.target, self.problem, *self.corpus, *self.findings, *self.new)
        numbers = all(isinstance(one, int | float) and 0 <= one < 1e15 for one in figures)
        whole = len(self.edges) == len(self.features) == 2 and isinstance(self.report, dict)
        return numbers and whole and all(isinstance(one, str) for one in names)
