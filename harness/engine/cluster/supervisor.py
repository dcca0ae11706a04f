"""Runs the units of a plan on the hosts of a Dask cluster. Results, inputs and findings come from the store alone.

Dask only places units on hosts. A unit whose host is gone is given to another one, and nobody blames it. The view and the ledger get
their figures from reports of the hosts while a unit runs, and from its result at its end.
"""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections import Counter, deque
from pathlib import Path
from typing import Any

from harness.engine.campaign.supervisor import Supervisor
from harness.engine.campaign.unit_report import read_species, read_status
from harness.engine.campaign.units import Result, Unit
from harness.engine.cluster.host import UnitTask
from harness.engine.cluster.mirror import Mirror
from harness.engine.cluster.placing import Hosts, Placed
from harness.engine.worker import species
from harness.engine.worker.status import WorkerStatus
from harness.errors import EngineError, HarnessError
from harness.foreign_json import number
from harness.foreign_json import table as table_of
from harness.store import records
from harness.targets import scratch

_POLL_S = 0.2
_SHOW_EVERY_S = 0.5
_KEEP_EVERY_S = 2.0
_COLLECT_EVERY_S = 1.0
# Most seconds at the end in which asked units store their results.
_END_S = 100.0
# After so many losses a unit is given up. Its target goes on.
_LOSSES = 10
#: Longest slice in seconds: the ledger gets a unit's figures in full at its end.
LONGEST_S = 1800.0


@dataclasses.dataclass(frozen=True)
class _Place:
    target: str
    memory: Path


class RemoteWorker:
    """A unit on a host, as the view and the ledger see it: one worker. ``memory`` is a folder of this process for its species."""

    def __init__(self, target: str, memory: Path) -> None:
        self.settings = _Place(target, memory)
        self.started = self.last_new = time.monotonic()
        self.status = WorkerStatus()
        self.lag = (0, 0.0)
        self.replay_cpu_seconds = 0.0
        self.passed_over = 0
        self.wheel = {"given": 0, "ran": 0}

    def take(self, report: dict[str, Any]) -> None:
        """Take a report. One that is none, or older, changes nothing."""
        try:
            status, table = read_status(report), read_species(report)
        except ValueError:
            return
        if status.executions < self.status.executions:
            return
        if status.corpus > self.status.corpus:
            self.last_new = time.monotonic()
        # The campaign has its own time of a finding.
        found = {name: _without(entry, "first_seconds") for name, entry in status.findings.items()}
        # No moment of the unit was before its start, whatever its host says.
        moments = [moment._replace(clock=max(moment.clock, self.started)) for moment in status.moments]
        self.status = dataclasses.replace(status, findings=found, moments=moments)
        waiting, lag = report.get("waiting"), report.get("lag_seconds")
        self.lag = (waiting, lag) if isinstance(waiting, int) and isinstance(lag, float) else (0, 0.0)
        self.replay_cpu_seconds = max(self.replay_cpu_seconds, number(report.get("replay_cpu_seconds")))
        self.passed_over = max(self.passed_over, int(number(report.get("passed_over"))))
        told = table_of(report.get("wheel"))
        self.wheel = {name: max(count, int(number(told.get(name)))) for name, count in self.wheel.items()}
        if table:
            (self.settings.memory / species.FILE).write_bytes(table)


@dataclasses.dataclass(eq=False)
class _Job:
    """A unit on its way, on one host at a time."""

    unit: Unit
    task: UnitTask
    worker: RemoteWorker
    placed: Placed
    lost: int = 0


class ClusterSupervisor(Supervisor):
    """A supervisor whose units run on ``hosts``. ``mirror`` keeps the campaign's folder in step with the store."""

    def on(self, hosts: Hosts, mirror: Mirror, topic: str) -> ClusterSupervisor:
        """Set the hosts; returns the supervisor."""
        self.hosts, self.mirror, self._topic = hosts, mirror, topic
        self._memory = Path(scratch.make())
        self._running: list[_Job] = []
        self._reports: deque[dict[str, Any]] = deque()
        self._problems: Counter[str] = Counter()
        # Of units that have ended: CPU seconds of replays, inputs beyond the quota, and programs on the release wheel.
        self._replay_cpu = 0.0
        self._passed_over: Counter[str] = Counter()
        self._wheel: Counter[str] = Counter()
        # The last words about the hosts.
        self._warned = ""
        hosts.listen(topic, self._reports.append)
        return self

    def run(self) -> None:
        """Run to the end of the plan, or to a request to stop. Raises HarnessError."""
        try:
            self._drive_hosts()
        finally:
            self.hosts.cancel([job.placed for job in self._running])
            scratch.remove(self._memory)

    def replay_cpu_seconds(self) -> float:
        """CPU seconds of all replays so far, those of hosts included."""
        running = sum(job.worker.replay_cpu_seconds for job in self._running)
        return super().replay_cpu_seconds() + self._replay_cpu + running

    def passed_over(self) -> dict[str, int]:
        """By target, the number of inputs that hosts did not save: beyond the quota of a unit and without a new edge."""
        counts = Counter(self._passed_over)
        for job in self._running:
            counts[job.unit.target] += job.worker.passed_over
        return {name: count for name, count in counts.items() if count}

    def wheel(self) -> dict[str, int]:
        """Numbers of programs that hosts gave to their release wheels, and of those that ran there."""
        counts = [self._wheel, *(job.worker.wheel for job in self._running)]
        return {name: sum(one[name] for one in counts) for name in ("given", "ran")}

    def _drive_hosts(self) -> None:
        shown = kept = asked = 0.0
        ends: float | None = None
        while self._submit() or self._running or self._waits():
            time.sleep(_POLL_S)
            while self._reports:
                self._take(self._reports.popleft())
            for job in list(self._running):
                if job.placed.done():
                    self._ended_on_host(job)
            if self._finishing() and ends is None:
                ends = time.monotonic() + _END_S
                self.hosts.cancel([job.placed for job in self._running])
            now = time.monotonic()
            if ends is not None and now - asked >= _COLLECT_EVERY_S:
                asked = now
                self._collect(over=now > ends)
            if now - shown >= _SHOW_EVERY_S:
                shown = now
                self._show_hosts()
            if now - kept >= _KEEP_EVERY_S:
                kept = now
                self._keep_hosts()
        self._keep_hosts(last=True)
        self._show_hosts()

    def _submit(self) -> bool:
        """Give units to free hosts; whether there was one."""
        started = False
        while not self._finishing() and self._room() and (unit := self.plan.next()):
            name = f"{self._topic}-{secrets.token_hex(6)}"
            seconds = min(unit.seconds, LONGEST_S)
            placed = dataclasses.replace(unit, seed_dirs=(), guards=(), shared=False, seconds=seconds)
            task = UnitTask(
                name,
                self.mirror.objects.address,
                unit.parser,
                self.mirror.content,
                self._topic,
                _plain(placed),
                time.time() + self.plan.left(),
            )
            (self._memory / name).mkdir()
            worker = RemoteWorker(unit.target, self._memory / name)
            self._running.append(_Job(unit, task, worker, self.hosts.submit(task)))
            self.progress.started(worker)
            started = True
        return started

    def _room(self) -> bool:
        """Whether there is a host for a new unit: those of lost units come first."""
        return len(self._running) < self.hosts.slots() and self.hosts.free()

    def _waits(self) -> bool:
        """Whether no host is there for a unit, and one may come."""
        return not self._finishing() and not self._room()

    def _take(self, event: dict[str, Any]) -> None:
        """Take a report of a host."""
        for job in self._running:
            if job.task.id == event.get("unit") and isinstance(event.get("report"), dict):
                job.worker.take(event["report"])

    def _ended_on_host(self, job: _Job) -> None:
        """Take the result of a unit that ended, from the store; without one, give the unit to a host again."""
        try:
            raw = records.get_result(self.mirror.objects, job.task.id)
        except HarnessError as error:
            self.progress.warning = str(error)
            return
        if raw is not None:
            self._finished(job, raw)
        elif not self._finishing() and self.hosts.free():
            self._lost(job)

    def _lost(self, job: _Job) -> None:
        words = job.placed.words()
        self.progress.warning = f"a unit of {job.unit.target} is given to a host again: {words}"
        self.replaced["lost"] += 1
        job.lost += 1
        if job.lost >= _LOSSES:
            self._done(job, Result(job.unit.target, seconds=time.monotonic() - job.worker.started))
        else:
            job.placed = self.hosts.submit(job.task)

    def _collect(self, *, over: bool) -> None:
        """At the end, take the results that units have stored after they were asked to end."""
        try:
            for job in list(self._running):
                raw = records.get_result(self.mirror.objects, job.task.id)
                if raw is not None:
                    self._finished(job, raw)
                elif over or not self.hosts.runs(job.placed):
                    self._done(job, Result(job.unit.target))
        except HarnessError as error:
            self.progress.warning = str(error)
            if over:
                raise

    def _finished(self, job: _Job, raw: dict[str, Any]) -> None:
        name = f"the result of {job.task.id}"
        try:
            result = Result.of(raw, name)
            if not result.sound() or result.target != job.unit.target:
                raise HarnessError(f"{name} is none")
        except HarnessError as error:
            self.mirror.objects.refused.add(f"results/{job.task.id}.json", "no result of a unit")
            self.progress.warning = str(error)
            result = Result(job.unit.target)
        job.worker.take(result.report)
        if result.problem:
            self._problem(job, result.problem)
        self._done(job, result)

    def _done(self, job: _Job, result: Result) -> None:
        self._running.remove(job)
        self.progress.ended(job.worker)
        self._replay_cpu += job.worker.replay_cpu_seconds
        self._passed_over[job.unit.target] += job.worker.passed_over
        self._wheel.update(job.worker.wheel)
        scratch.remove(job.worker.settings.memory)
        self.plan.finished(job.unit, result)

    def _problem(self, job: _Job, problem: str) -> None:
        """A host cannot drive a target. It is left out where a second unit says so, or where there is one host."""
        self._problems[job.unit.target] += 1
        self.progress.warning = problem
        if self._problems[job.unit.target] > 1 or self.hosts.slots() < 2:
            self.left_out.setdefault(job.unit.target, EngineError(problem, hint="run `harness cluster doctor`"))
            self.plan.drop(job.unit.target)

    def _show_hosts(self) -> None:
        self.progress.update([job.worker for job in self._running])
        waiting = sum(job.worker.lag[0] for job in self._running)
        lag = max((job.worker.lag[1] for job in self._running), default=0.0)
        if lag:
            self.progress.warning = f"the store gives some hosts no answer for {lag:.0f} s: {waiting} inputs wait there"
        self.view(self.progress)

    def _keep_hosts(self, *, last: bool = False) -> None:
        """Get new findings, look after the hosts, and write the ledger."""
        try:
            self.mirror.get(self.progress.targets if last else (), self.progress.findings)
            self.mirror.replayed(self.progress.findings)
        except HarnessError as error:
            self.progress.warning = f"{error}; hosts go on"
            if last:
                raise
        before, self._warned = self._warned, self.hosts.look()
        if self._warned or before == self.progress.warning:
            self.progress.warning = self._warned
        self.save()


def _plain(unit: Unit) -> dict[str, Any]:
    """The unit as JSON has it."""
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in dataclasses.asdict(unit).items()
    }


def _without(entry: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != key}
