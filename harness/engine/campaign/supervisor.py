"""Runs units in worker processes of this machine, so many at a time, until its plan has no more.

A worker that dies is replaced for what is left of its unit, and so is one that hangs or whose memory grows. What workers
keep is copied to the campaign's folder once a second, and to the other workers on the same target.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.engine.campaign import deaths
from harness.engine.campaign.campaign_corpus import ROOM, Kept, Room
from harness.engine.campaign.plans import Plan
from harness.engine.campaign.process import WorkerProcess
from harness.engine.campaign.progress import Progress, TargetProgress
from harness.engine.campaign.replay_pool import Isolated
from harness.engine.unit import Result, Unit
from harness.errors import EngineError, HarnessError
from harness.targets.base import Target

_POLL = 0.1
# Workers say how they are twice a second.
_SHOW_EVERY = 0.5
_SYNC_EVERY = 1.0
# Of a worker that was asked to finish.
_FINISH_S = 15.0
# A worker that dies this often before it ran anything is broken, not unlucky.
_STILLBORN = 3


def hung_s(target: Target) -> float:
    """Seconds without a sign of life after which a worker is replaced: libFuzzer ends a run that takes too long well before."""
    return 30.0 + 3.0 * target.timeout_s


class Stop:
    """Whether somebody asked for the end: Ctrl-C and a polite kill end the campaign cleanly, a second one at once."""

    def __init__(self) -> None:
        self.asked = False

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """Listen to both."""

        def interrupt(number: int, frame: object) -> None:
            if self.asked:
                raise KeyboardInterrupt
            self.asked = True

        previous = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


class _Job:
    """A unit that runs, in one worker at a time."""

    def __init__(self, unit: Unit, folder: Path, seen: set[str], kept: Kept) -> None:
        self.unit = unit
        self._kept = kept
        self.began = time.monotonic()
        self.figures = TargetProgress()
        self.names: set[str] = set()
        self.findings: dict[str, bool] = {}
        self.seeded: dict[str, int] = {}
        self.engine = {"cov": 0, "ft": 0}
        self.semantic = 0
        self.start_s = 0.0
        self.workers = 0
        self.problem = ""
        #: Why its worker was asked to finish before its time, or killed.
        self.replaced = ""
        self._seen = seen
        self._folder = folder
        #: A seed that shows something new when it runs again is kept as if it were.
        self.seeds = {name for place in unit.seed_dirs if place.is_dir() for name in os.listdir(place)}
        self.worker = self._start()

    def _start(self, **changed: object) -> WorkerProcess:
        self.workers += 1
        self.replaced = ""
        return WorkerProcess(self.unit.settings(self._folder, **changed), self._kept)

    def left(self) -> float:
        """Seconds or executions of the unit that are still to be run."""
        if self.unit.runs:
            return self.unit.runs - self.figures.sums["executions"]
        return self.unit.seconds - (time.monotonic() - self.began)

    def again(self) -> None:
        """Another worker for the rest, which learns from the deaths so far."""
        left = self.left()
        self.worker = self._start(
            seed=self.unit.seed + self.workers,
            seconds=0.0 if self.unit.runs else left,
            runs=int(left) if self.unit.runs else 0,
            guards=tuple(dict.fromkeys((*self.unit.guards, *deaths.guards(self._folder)))),
        )

    def take(self) -> None:
        """Count what the worker, which has ended, did."""
        worker = self.worker
        self.figures.add(worker)
        self.names |= worker.mirror.brought - self.seeds
        for name, entry in worker.status.get("findings", {}).items():
            self.found(name, known=bool(entry["known"]))
        self.seeded = self.seeded or worker.seeded
        self.semantic = max(self.semantic, worker.status.get("semantic_features", 0))
        for name in self.engine:
            self.engine[name] = max(self.engine[name], worker.engine[name])
        if self.workers == 1:
            self.start_s = worker.status.get("ready_seconds", 0.0)

    def found(self, name: str, *, known: bool) -> None:
        """A finding of this unit."""
        if name not in self._seen:
            self.findings[name] = known

    def result(self) -> Result:
        """What the unit gave."""
        figures = self.figures
        return Result(
            target=self.unit.target,
            seconds=round(time.monotonic() - self.began, 3),
            start_seconds=self.start_s,
            cpu_seconds=round(figures.sums["cpu_seconds"], 3),
            executions=figures.sums["executions"],
            edges=(self.seeded.get("cov", self.engine["cov"]), self.engine["cov"]),
            features=(self.seeded.get("ft", self.engine["ft"]), self.engine["ft"]),
            semantic=self.semantic,
            corpus=tuple(sorted(self.names)),
            findings=tuple(sorted(self.findings)),
            new=tuple(sorted(name for name, known in self.findings.items() if not known)),
            workers=self.workers,
            problem=self.problem,
            statistics=figures.summary(),
        )


class Supervisor:
    """Use :meth:`run` once. ``view`` is shown the progress, ``save`` keeps it, both as often as is good for them."""

    def __init__(
        self,
        folder: Path,
        plan: Plan,
        workers: int,
        progress: Progress,
        isolated: Isolated,
        stop: Stop,
        *,
        view: Callable[[Progress], None] = lambda _: None,
        save: Callable[[], object] = lambda: None,
        patience: float = 0.0,
        room: Room = ROOM,
    ) -> None:
        self._folder = folder
        self._plan = plan
        self._workers = workers
        self._progress = progress
        self._isolated = isolated
        self._stop = stop
        self._view = view
        self._save = save
        self._patience = patience
        self._room = room
        self._jobs: list[_Job] = []
        self._kept: dict[str, Kept] = {}
        self._stillborn: Counter[str] = Counter()
        self._ended_at: float | None = None
        self._seen = {path.name for path in folder.glob("findings/*")}
        #: Targets that did not open or that die before they run anything, with the reason: the others go on.
        self.left_out: dict[str, HarnessError] = {}
        #: How many workers were replaced, by reason.
        self.replaced: Counter[str] = Counter()

    def run(self) -> None:
        """To the end of the plan, or until somebody asks for the end. Raises HarnessError and OSError (a full disk)."""
        try:
            self._drive()
        except BaseException:
            # What they kept stays in memory for the next campaign.
            for job in self._jobs:
                job.worker.kill()
            raise

    def passed_over(self) -> dict[str, int]:
        """By target, how many inputs were not stored, as its corpus had no room and they brought no new edge."""
        return {name: kept.passed_over for name, kept in self._kept.items() if kept.passed_over}

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
        self._isolated.confirm(self._progress.findings)
        self._isolated.finish(hurry=lambda: self._stop.asked, say=self._say)
        self._apart()
        self._show()

    def _start(self) -> bool:
        """Fill the free places; whether anything was started."""
        started = False
        while not self._ending() and len(self._jobs) < self._workers and (unit := self._plan.next()) is not None:
            if unit.target not in self._kept:
                self._kept[unit.target] = Kept(self._folder / "corpus" / unit.target, self._room)
            job = _Job(unit, self._folder, self._seen, self._kept[unit.target])
            self._jobs.append(job)
            self._progress.started(job.worker)
            started = True
        if self._ending():
            for job in self._jobs:
                job.worker.ask_to_stop()
        return started

    def _ending(self) -> bool:
        """Whether workers are to finish: somebody asked for the end, or there is no time left at all."""
        if self._ended_at is None and (self._stop.asked or self._plan.over()):
            self._ended_at = time.monotonic()
        return self._ended_at is not None

    def _show(self) -> None:
        self._progress.update([job.worker for job in self._jobs])
        self._view(self._progress)

    def _say(self, note: str) -> None:
        self._progress.note = note
        self._view(self._progress)

    def _keep(self) -> None:
        """Once a second: the workers' corpora and findings, and the ledger."""
        for job in self._jobs:
            self._sync(job)
            self._isolated.offer(job.worker)
        self._isolated.confirm(self._progress.findings)
        self._apart()
        self._save()

    def _apart(self) -> None:
        """What ran beside the workers."""
        for found in self._isolated.found():
            self._progress.found_apart(found)
        for name, fields in self._isolated.replayed():
            self._progress.replayed(name, fields)
        for problem in self._isolated.failed():
            self._progress.warning = problem

    def _sync(self, job: _Job, *, ended: bool = False) -> None:
        """Bring the campaign's corpus, and the other workers on the same target, in step."""
        fresh = job.worker.sync(ended=ended)
        for other in self._jobs if job.unit.shared else ():
            if other is not job and other.unit.target == job.unit.target:
                for name in fresh.keys() - other.seeds:
                    other.worker.mirror.give(name, fresh[name])

    def _look(self, job: _Job) -> None:
        """See to one worker."""
        worker = job.worker
        code = worker.poll()
        if code is None:
            if worker.late():
                worker.kill()
                code = 0
                seconds = worker.target.start_s
                self._leave_out(job, HarnessError(f"target {job.unit.target} did not open within {seconds:.0f} s",
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
        """Seconds that its worker may be silent."""
        limit = self._patience or hung_s(job.worker.target)
        return min(limit, _FINISH_S) if self._ending() else limit

    def _ended(self, job: _Job, code: int) -> None:
        """A worker has ended: keep what it had, find out why, and go on with the unit if there is something left of it."""
        worker = job.worker
        self._sync(job, ended=code == 0)
        if code:
            self._why(job, code)
        job.take()
        self._progress.ended(worker)
        worker.clear()
        wanted = code or job.replaced
        if not wanted or job.problem or self._ending() or job.left() <= 0:
            self._jobs.remove(job)
            self._seen |= job.findings.keys()
            self._plan.finished(job.unit, job.result())
            return
        self.replaced[job.replaced or "died"] += 1
        job.again()
        self._progress.started(job.worker)

    def _leave_out(self, job: _Job, error: HarnessError) -> None:
        """Go on without a worker's target."""
        job.problem = str(error)
        self.left_out.setdefault(job.unit.target, error)
        self._plan.drop(job.unit.target)
        self._progress.warning = str(error)

    def _why(self, job: _Job, code: int) -> None:
        """It ended otherwise than by its own decision."""
        worker, target = job.worker, job.unit.target
        if self._ending() and code == -signal.SIGTERM:
            return  # it was asked to finish before it could listen
        failure = worker.failure(code)
        if failure is not None:
            kind = EngineError if failure.get("status", 3) == 3 else HarnessError
            self._leave_out(job, kind(failure["problem"], failure.get("hint") or "run `harness doctor`"))
            return
        data = worker.last_input()
        if data is not None:
            hung = job.replaced == "hung"
            kind_of_death, words = ("hang", "no sign of life") if hung else worker.death(code)
            found = deaths.record(
                self._folder,
                worker.settings,
                data,
                kind_of_death,
                words,
                worker.status.get("executions", 0),
                worker.last_call(),
                # Whatever stopped it need not have been the input.
                sure=not hung,
            )
            if found is not None:
                job.found(found["id"], known=bool(found["known"]))
                self._progress.died(found)
        self._stillborn[target] = 0 if data is not None else self._stillborn[target] + 1
        if self._stillborn[target] >= _STILLBORN:
            self._leave_out(job, EngineError(
                f"target {target}: workers die before they run anything: {worker.death(code)[1]}\n{worker.log_tail()}",
                hint="run `harness doctor`"))  # fmt: skip
