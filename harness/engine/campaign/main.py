"""A campaign: many worker processes over time, and one folder with its corpus, findings and ledger.

Only workers run the parser, so a killed worker does not end the campaign. The ledger in ``campaign.json`` is rewritten
atomically every second, so that it also holds the spending of a campaign that is killed.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness import corpus_store
from harness.engine.campaign import deaths, folder
from harness.engine.campaign.campaign_corpus import QUOTA, Quota
from harness.engine.campaign.exchange import Exchange
from harness.engine.campaign.plans import Listed, Plan, Shared
from harness.engine.campaign.progress import Progress
from harness.engine.campaign.replay_pool import ReplayPool
from harness.engine.campaign.states import State
from harness.engine.campaign.stop import Stop
from harness.engine.campaign.supervisor import Supervisor
from harness.engine.campaign.units import Result, Unit
from harness.engine.worker import memory, usage
from harness.errors import HarnessError
from harness.parsers import registry
from harness.parsers.registry import Parser
from harness.replay import replay
from harness.targets.registry import get_target


@dataclass(frozen=True)
class CampaignSettings:
    """Settings of a campaign of ``seconds``, or of ``runs`` executions per target.

    ``patience``: seconds without a status after which a worker is replaced; 0 leaves it to the target. ``quota`` limits the corpus
    of each target. ``others`` are further targets, which cannot run here. Only the bench changes ``worker_options``, which are fields
    of WorkerSettings, and ``even``: all targets get the same time.
    """

    folder: Path
    targets: tuple[str, ...]
    parser: str | None = None
    seconds: float = 60.0
    runs: int = 0
    workers: int = 1
    seed: int = 1
    fresh: bool = False
    empty: bool = False
    disabled: tuple[str, ...] = ()
    worker_options: dict[str, Any] = field(default_factory=dict)
    patience: float = 0.0
    quota: Quota = QUOTA
    others: Mapping[str, State] = field(default_factory=dict)
    even: bool = False


@dataclass
class Outcome:
    """The result of a campaign: ids of findings, the session's entry of the ledger, and targets that could not be driven."""

    new: list[str]
    known: list[str]
    session: dict[str, Any]
    left_out: dict[str, HarnessError]

    def complain(self, names: Collection[str] = ()) -> None:
        """Raise the error of a target in ``names`` that could not be driven, or of the first target where none could."""
        errors = [error for name, error in self.left_out.items() if name in names]
        if len(self.left_out) == len(set(self.session["targets"])):
            errors += self.left_out.values()
        if errors:
            raise errors[0]


class Campaign:
    """Runs the settings' targets; use :meth:`run` once. ``supervisor``: another class, which runs units elsewhere."""

    def __init__(
        self,
        settings: CampaignSettings,
        view: Callable[[Progress], None],
        supervisor: Callable[..., Supervisor] = Supervisor,
    ) -> None:
        self.settings = settings
        self._view = view
        self._make_supervisor = supervisor
        self._stop = Stop()
        self._ended = ""

    def run(self) -> Outcome:
        """Run to the end of the time, or to Ctrl-C. Raises HarnessError (set-up, a full disk) and EngineError.

        The outcome names targets that could not be driven.
        """
        try:
            return self._run()
        except OSError as error:
            place = error.filename or f"in {self.settings.folder} or in memory, {memory.root()}"
            raise HarnessError(f"cannot write {place}: {error.strerror}", hint=memory.TAKEN_OVER) from error

    def _run(self) -> Outcome:
        settings = self.settings
        parser = registry.find(settings.parser)
        chosen = [get_target(name) for name in settings.targets]
        with folder.locked(settings.folder):
            folder.tidy_others()
            # The corpus is locked twice, as --fresh replaces its folder.
            with corpus_store.locked_whole(settings.folder / "corpus"):
                recovered = folder.prepare(settings.folder, fresh=settings.fresh)
            seeds, skipped = {}, []
            for target in chosen:
                seeds[target.name], lines = folder.seeds(
                    self._seed_dirs(target.name), target.name, own=target.seeds(), empty=settings.empty
                )
                skipped += lines
            self.progress = Progress(settings.targets, settings.seconds, settings.runs)
            self._ledger = folder.Ledger(settings.folder)
            self._describe(parser, seeds=seeds, recovered=recovered, skipped=skipped)
            corpus = corpus_store.locked_whole(settings.folder / "corpus")
            pool = ReplayPool(settings.folder, workers=settings.workers, sample=not settings.runs)
            with corpus, self._stop.signals(), pool as replay_pool:
                self._supervisor = supervisor = self._make_supervisor(
                    settings.folder,
                    self._plan(),
                    settings.workers,
                    self.progress,
                    replay_pool,
                    self._stop,
                    view=self._view,
                    save=self._save,
                    patience=settings.patience,
                    quota=settings.quota,
                )
                unsaved: OSError | None = None
                try:
                    supervisor.run()
                    self._ended = "interrupted" if self._stop.asked else "runs" if settings.runs else "time"
                except BaseException:
                    self._ended = "error"
                    raise
                finally:
                    unsaved = self._save()
        if unsaved:
            raise unsaved
        return Outcome(self.progress.new(), self.progress.known(), self._ledger.session, supervisor.left_out)

    def _describe(self, parser: Parser, **found: Any) -> None:
        """Fill in the parts of the ledger's entry that do not change."""
        settings = self.settings
        self._cpu = usage.cpu_seconds(children=False)
        self._replay_cpu = replay.cpu_seconds()
        self._ledger.session |= {
            "id": secrets.token_hex(4),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "seed": settings.seed,
            "targets": list(settings.targets),
            "not_installed": {name: one.reason for name, one in settings.others.items() if not one.able},
            "parser": parser.name,
            "versions": folder.versions(parser),
            "lacks": folder.lacks(parser),
            "workers": settings.workers,
            **found,
        }

    def _seed_dirs(self, target: str) -> tuple[Path, ...]:
        return folder.seed_dirs(self.settings.folder, target, empty=self.settings.empty)

    def _plan(self) -> Plan:
        settings = self.settings
        if settings.runs:
            return Listed([self._unit(name, number, 0.0) for number, name in enumerate(settings.targets)])
        return Shared(settings.targets, settings.workers, settings.seconds, self._unit, even=settings.even)

    def _unit(self, target: str, number: int, seconds: float) -> Unit:
        settings = self.settings
        return Unit(
            target=target,
            parser=settings.parser,
            seed=settings.seed + 1_000_003 * number,
            seed_dirs=self._seed_dirs(target),
            runs=settings.runs,
            seconds=seconds,
            # A run of N executions repeats to the last byte, so inputs of other workers must stay out.
            shared=not settings.runs and settings.workers > 1,
            disabled=settings.disabled,
            guards=tuple(deaths.guards(settings.folder)),
            options=settings.worker_options,
        )

    def _save(self) -> OSError | None:
        """Write the ledger. Returns the error, if it could not be written."""
        session, supervisor = self._ledger.session, self._supervisor
        session.update(
            self.progress.summary(),
            interrupted=self._stop.asked,
            ended=self._ended,
            supervisor_cpu_seconds=round(usage.cpu_seconds(children=False) - self._cpu, 3),
            replay_cpu_seconds=round(supervisor.replay_cpu_seconds() - self._replay_cpu, 3),
            wheel=supervisor.wheel(),
            replaced=dict(supervisor.replaced),
            left_out={name: one.reason for name, one in self.settings.others.items() if one.able}
            | {name: str(error) for name, error in supervisor.left_out.items()},
            passed_over=supervisor.passed_over(),
        )
        try:
            self._ledger.write()
        except OSError as error:
            # The campaign goes on: its findings lie in memory until there is room.
            self.progress.warning = f"cannot write the ledger: {error.strerror}"
            return error
        return None


def run_unit(
    unit: Unit, place: Path, exchange: Exchange | None = None, view: Callable[[Progress], None] = lambda _: None
) -> Result:
    """Run one unit in the folder ``place``. Raises HarnessError where it cannot be set up.

    ``view`` gets the progress several times a second, and once more at the end.
    """
    registry.find(unit.parser)
    target = get_target(unit.target)
    with folder.locked(place):
        folder.prepare(place)
        if exchange is None and unit.seed_dirs:
            # Seeds of the target that no folder has go into the unit's own.
            seed_dirs = (*unit.seed_dirs, place / "corpus" / target.name)
            folder.seeds(seed_dirs, target.name, own=target.seeds())
            unit = replace(unit, seed_dirs=seed_dirs)
        progress = Progress((unit.target,), unit.seconds, unit.runs)
        plan, stop = Listed([unit]), Stop()
        corpus = corpus_store.locked_whole(place / "corpus")
        with corpus, stop.signals(), ReplayPool(place, sample=not unit.runs) as replay_pool:
            Supervisor(place, plan, 1, progress, replay_pool, stop, view=view, exchange=exchange).run()
    # A signal may have ended it before it began.
    return plan.results[0] if plan.results else Result(unit.target)
