"""Runs the units of a plan in worker processes of this machine.

A worker that dies is replaced for the rest of its unit, and so is one that hangs or whose memory grows. Once a second, new inputs
are copied to the campaign's folder and to the other workers on the same target.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path

from harness.engine.campaign import deaths
from harness.engine.campaign.campaign_corpus import QUOTA, CampaignCorpus, Quota
from harness.engine.campaign.exchange import Exchange
from harness.engine.campaign.figures import TargetFigures, ledger_entry
from harness.engine.campaign.folder import leave
from harness.engine.campaign.plans import Plan
from harness.engine.campaign.process import WorkerProcess
from harness.engine.campaign.progress import Progress
from harness.engine.campaign.replay_pool import ReplayPool
from harness.engine.campaign.stop import Stop
from harness.engine.campaign.units import Result, Unit
from harness.engine.worker.libfuzzer_log import Figures
from harness.errors import EngineError, HarnessError
from harness.replay import replay
from harness.targets.base import Target

_POLL = 0.1
# Workers write their status twice a second.
_SHOW_EVERY = 0.5
_SYNC_EVERY = 1.0
# Most seconds of a worker that was asked to finish.
_FINISH_S = 15.0
# After so many deaths before the first input, a target is left out.
_STILLBORN = 3


def hung_s(target: Target, patience: int = 1) -> float:
    """Seconds without a status after which a worker is replaced. libFuzzer ends a slow run well before.

    ``patience``: the number of its target's timeouts that a run may take.
    """
    return 30.0 + 3.0 * patience * target.timeout_s


@dataclass(eq=False)
class _Job:
    """A running unit, in one worker at a time. ``seen`` are the findings before it."""

    unit: Unit
    folder: Path
    seen: set[str]
    corpus: CampaignCorpus
    began: float = field(default_factory=time.monotonic)
    figures: TargetFigures = field(default_factory=TargetFigures)
    names: set[str] = field(default_factory=set)
    findings: dict[str, bool] = field(default_factory=dict)
    seeded: Figures | None = None
    engine: Figures = field(default_factory=Figures)
    start_s: float = 0.0
    workers: int = 0
    problem: str = ""
    #: The reason to replace its worker, or "".
    replaced: str = ""

    def __post_init__(self) -> None:
        #: Names of seeds. libFuzzer may keep one as a new input.
        self.seeds = {name for place in self.unit.seed_dirs if place.is_dir() for name in os.listdir(place)}
        self.worker = self._start()

    def _start(self, **changed: object) -> WorkerProcess:
        self.workers += 1
        self.replaced = ""
        return WorkerProcess(self.unit.settings(self.folder, **changed), self.corpus)

    def left(self) -> float:
        """Remaining seconds or executions of the unit."""
        if self.unit.runs:
            return self.unit.runs - self.figures.sums["executions"]
        return self.unit.seconds - (time.monotonic() - self.began)

    def restart(self) -> None:
        """Start another worker for the rest, with guards against the deaths so far."""
        left = self.left()
        self.worker = self._start(
            seed=self.unit.seed + self.workers,
            seconds=0.0 if self.unit.runs else left,
            runs=int(left) if self.unit.runs else 0,
            guards=tuple(dict.fromkeys((*self.unit.guards, *deaths.guards(self.folder)))),
        )

    def take(self) -> None:
        """Add the figures of the ended worker."""
        worker = self.worker
        self.figures.add(ledger_entry(worker.status))
        self.names |= worker.corpus_sync.brought - self.seeds
        for name, entry in worker.status.findings.items():
            self.found(name, known=bool(entry["known"]))
        self.seeded = self.seeded or worker.seeded
        self.engine = Figures(*map(max, self.engine, worker.engine))
        if self.workers == 1:
            self.start_s = worker.status.ready_seconds

    def found(self, name: str, *, known: bool) -> None:
        """Add a finding, unless the folder had it before."""
        if name not in self.seen:
            self.findings[name] = known

    def result(self) -> Result:
        """The result of the unit."""
        figures, seeded = self.figures, self.seeded or self.engine
        return Result(
            target=self.unit.target,
            seconds=round(time.monotonic() - self.began, 3),
            start_seconds=self.start_s,
            cpu_seconds=round(figures.sums["cpu_seconds"], 3),
            executions=figures.sums["executions"],
            edges=(seeded.covered, self.engine.covered),
            features=(seeded.features, self.engine.features),
            semantic=int(figures.largest["semantic_features"]),
            corpus=tuple(sorted(self.names)),
            findings=tuple(sorted(self.findings)),
            new=tuple(sorted(name for name, known in self.findings.items() if not known)),
            workers=self.workers,
            problem=self.problem,
            statistics=figures.summary(),
        )


@dataclass(eq=False)
class Supervisor:
    """Use :meth:`run` once. ``view`` gets the progress several times a second, ``save`` is called once a second.

    ``exchange`` shares inputs with other hosts.
    """

    folder: Path
    plan: Plan
    workers: int
    progress: Progress
    replay_pool: ReplayPool
    stop: Stop
    _: KW_ONLY
    view: Callable[[Progress], None] = lambda _: None
    save: Callable[[], object] = lambda: None
    patience: float = 0.0
    quota: Quota = QUOTA
    exchange: Exchange | None = None
    #: Targets that did not open or that die before their first input, with the error.
    left_out: dict[str, HarnessError] = field(default_factory=dict, init=False)
    #: Numbers of replaced workers by reason.
    replaced: Counter[str] = field(default_factory=Counter, init=False)

    def __post_init__(self) -> None:
        self._jobs: list[_Job] = []
        self._corpora: dict[str, CampaignCorpus] = {}
        self._stillborn: Counter[str] = Counter()
        self._ended_at: float | None = None
        self._seen = {path.name for path in self.folder.glob("findings/*")}

    def run(self) -> None:
        """Run to the end of the plan, or to a request to stop. Raises HarnessError and OSError (a full disk)."""
        try:
            self._drive()
        except BaseException:
            for job in self._jobs:
                job.worker.kill()
            leave(self.folder)
            raise

    def replay_cpu_seconds(self) -> float:
        """CPU seconds of all replays so far."""
        return replay.cpu_seconds()

    def passed_over(self) -> dict[str, int]:
        """By target, the number of inputs that were not saved: beyond the quota and without a new edge."""
        return {name: corpus.passed_over for name, corpus in self._corpora.items() if corpus.passed_over}

    def wheel(self) -> dict[str, int]:
        """Numbers of programs that were ``given`` to the release wheel, and of those that it ``ran``."""
        return {"given": self.replay_pool.wheel.given, "ran": self.replay_pool.wheel.ran}

    def _drive(self) -> None:
        shown = synced = time.monotonic()
        while self._start() or self._jobs:
            time.sleep(_POLL)
            for job in list(self._jobs):
                self._look(job)
            now = time.monotonic()
            if now - shown >= _SHOW_EVERY:
                self._show()
                shown = now
            if now - synced >= _SYNC_EVERY:
                self._keep()
                synced = now
        self._show()
        self.replay_pool.finish_wheel(hurry=lambda: self.stop.asked, say=self._say)
        self._take_replays()
        self.replay_pool.confirm(self.progress.findings)
        self.replay_pool.finish(hurry=lambda: self.stop.asked, say=self._say)
        self._take_replays()
        self._show()

    def _start(self) -> bool:
        """Start units on free workers; whether there was one."""
        started = False
        while not self._finishing() and len(self._jobs) < self.workers and (unit := self.plan.next()) is not None:
            if unit.target not in self._corpora:
                self._corpora[unit.target] = CampaignCorpus(self.folder / "corpus" / unit.target, self.quota)
            job = _Job(unit, self.folder, self._seen, self._corpora[unit.target])
            self._jobs.append(job)
            self.progress.started(job.worker)
            # Hosts that share a store would all do the same.
            if self.exchange is None:
                self.replay_pool.begins(job.worker.settings)
            started = True
        if self._finishing():
            for job in self._jobs:
                job.worker.ask_to_stop()
        return started

    def _finishing(self) -> bool:
        """Whether workers must finish: on request, or because time and overtime are used up."""
        if self._ended_at is None and (self.stop.asked or self.plan.over()):
            self._ended_at = time.monotonic()
            self.progress.stopping = self.stop.asked
        return self._ended_at is not None

    def _show(self) -> None:
        self.progress.update([job.worker for job in self._jobs])
        self.progress.passed_over, self.progress.wheel = self.passed_over(), self.wheel()
        self.view(self.progress)

    def _say(self, note: str) -> None:
        self.progress.note = note
        self.view(self.progress)

    def _keep(self) -> None:
        """Copy the workers' inputs, replay findings, and write the ledger; once a second."""
        for job in self._jobs:
            self._sync(job)
            self.replay_pool.offer(job.worker)
        self._receive()
        self.replay_pool.confirm(self.progress.findings)
        self._take_replays()
        self.save()

    def _take_replays(self) -> None:
        """Take the results of the replay pool."""
        for found in self.replay_pool.found():
            self.progress.found_by_replay(found)
        for name, fields in self.replay_pool.replayed():
            self.progress.replayed(name, fields)
        for problem in self.replay_pool.failed():
            self.progress.warning = problem

    def _sync(self, job: _Job, *, ended: bool = False) -> None:
        """Copy new inputs to the campaign's corpus, and to the other workers on the same target."""
        fresh = job.worker.sync(ended=ended)
        if job.unit.shared:
            self._give(fresh, [other for other in self._sharing(job.unit.target) if other is not job])
        if self.exchange is not None and fresh:
            self.exchange.offer(job.unit.target, fresh)

    def _receive(self) -> None:
        """Give inputs of other hosts to the workers on their target."""
        if self.exchange is None:
            return
        for target in {job.unit.target for job in self._jobs if job.unit.shared}:
            self._give(self.exchange.received(target), self._sharing(target))

    def _sharing(self, target: str) -> list[_Job]:
        """The running units of a target that read the inputs of others."""
        return [job for job in self._jobs if job.unit.shared and job.unit.target == target]

    def _give(self, inputs: Mapping[str, bytes], jobs: Iterable[_Job]) -> None:
        """Give inputs, by name, to the workers of these units."""
        for job in jobs:
            for name in inputs.keys() - job.seeds:
                job.worker.corpus_sync.give(name, inputs[name])

    def _look(self, job: _Job) -> None:
        """Check one worker."""
        worker = job.worker
        code = worker.poll()
        if code is None:
            if worker.late():
                worker.kill()
                code = 0
                seconds = worker.target.start_s
                self._leave_out(job, EngineError(f"target {job.unit.target} did not open within {seconds:.0f} s",
                                                  hint=f"its log: {worker.settings.log}"))  # fmt: skip
            elif not worker.opened() and self._ended_at and time.monotonic() - self._ended_at > _FINISH_S:
                worker.kill()
                code = 0
            elif worker.silent_s() > self._limit(job):
                job.replaced = "hung"
                worker.kill()
                code = worker.poll() or 0
            else:
                if worker.bloat_mb() and not job.replaced:
                    job.replaced = "bloated"
                    worker.ask_to_stop()
                return
        self._ended(job, code)

    def _limit(self, job: _Job) -> float:
        """Most seconds without a status of its worker."""
        limit = self.patience or hung_s(job.worker.target, job.worker.settings.patience)
        return min(limit, _FINISH_S) if self._finishing() else limit

    def _ended(self, job: _Job, code: int) -> None:
        """Keep the results of an ended worker and find its exit reason. Go on with the rest of the unit."""
        worker = job.worker
        self._sync(job, ended=code == 0)
        if code:
            self._exit_reason(job, code)
        job.take()
        self._to_wheel(job)
        self.progress.ended(worker)
        worker.clear()
        wanted = code or job.replaced
        if not wanted or job.problem or self._finishing() or job.left() <= 0:
            self._jobs.remove(job)
            self._seen |= job.findings.keys()
            self.plan.finished(job.unit, job.result())
            return
        self.replaced[job.replaced or "died"] += 1
        job.restart()
        self.progress.started(job.worker)

    def _to_wheel(self, job: _Job) -> None:
        """Run what an ended worker brought on the release wheel, too."""
        wheel, off = self.replay_pool.wheel, self.replay_pool.wheel.off
        if not self.stop.asked:
            wheel.take(job.worker.settings, job.worker.corpus_sync.brought - job.seeds)
        if wheel.off != off:
            self.progress.warning = wheel.off

    def _leave_out(self, job: _Job, error: HarnessError) -> None:
        """Leave a target out for the rest of the campaign."""
        job.problem = str(error)
        self.left_out.setdefault(job.unit.target, error)
        self.plan.drop(job.unit.target)
        self.progress.warning = str(error)

    def _exit_reason(self, job: _Job, code: int) -> None:
        """Handle an exit status other than 0: a reported problem, or a death."""
        worker, target = job.worker, job.unit.target
        if self._finishing() and code == -signal.SIGTERM:
            return  # the worker had no signal handler yet
        failure = worker.failure(code)
        if failure is not None:
            self._leave_out(job, failure)
            return
        data, call = worker.last_input()
        if data is not None:
            hung = job.replaced == "hung"
            kind_of_death, words = ("hang", "no sign of life") if hung else worker.death(code)
            found = deaths.record(
                self.folder,
                worker.settings,
                data,
                kind_of_death,
                words,
                worker.status.executions,
                call,
                # The input need not be the cause of a hang.
                sure=not hung,
            )
            if found is not None:
                job.found(found["id"], known=bool(found["known"]))
                self.progress.died(found)
        self._stillborn[target] = 0 if data is not None else self._stillborn[target] + 1
        if self._stillborn[target] >= _STILLBORN:
            self._leave_out(job, EngineError(
                f"target {target}: workers die before they run anything: {worker.death(code)[1]}\n{worker.log_tail()}",
                hint="run `harness doctor`"))  # fmt: skip
