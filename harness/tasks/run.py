"""Does tasks on a store: one after another in this process, or on the hosts of a Dask cluster.

A task whose host is gone is given to another one. Results come from the store alone.
"""

from __future__ import annotations

import os
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.engine.cluster import placing
from harness.engine.cluster.host import Task
from harness.engine.cluster.placing import Hosts, Placed
from harness.errors import HarnessError
from harness.parsers import parcel
from harness.parsers.registry import Parser
from harness.store import records
from harness.store.objects import Unreachable
from harness.tasks.kinds import KINDS, Place, sound

Say = Callable[[str], object]

_POLL_S = 0.2
_LOOK_EVERY_S = 2.0
# After so many ends without a result, and after so many lost hosts, a task is given up.
_FAILURES, _LOSSES = 3, 10


@dataclass(frozen=True)
class StoreTask(Task):
    """A task of one of :data:`KINDS` for any host. ``what``: a target, or the id of a finding."""

    kind: str
    what: str
    campaign: str

    def command(self, place: Path, parser: Parser) -> list[str]:
        """The command of the task."""
        names = ["--parser", parser.name, "--campaign", self.campaign]
        return ["harness.tasks.process", self.kind, self.what, *names]


@dataclass
class Done:
    """Results of tasks by target or id of a finding, and the reasons why others have none."""

    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    def complain(self) -> None:
        """Raise HarnessError where a task has no result."""
        if self.problems:
            lines = [f"{what}: {why}" for what, why in self.problems.items()]
            raise HarnessError("; ".join(lines), hint="the others are done; run the command again for these")


def here(kind: str, whats: Sequence[str], place: Place, say: Say) -> Done:
    """Do the tasks in this process. ``say`` gets the progress."""
    done = Done()
    for number, what in enumerate(whats):
        say(f"{kind} {what}: {number + 1} of {len(whats)}")
        try:
            done.results[what] = KINDS[kind](place, what)
        except HarnessError as error:
            done.problems[what] = str(error)
    return done


def on_hosts(kind: str, whats: Sequence[str], place: Place, cluster: str, say: Say) -> Done:
    """Do the tasks on the hosts of ``cluster``, an address or ``local:N``. The store gets the parser.

    ``say`` gets the progress. Raises HarnessError: no scheduler, no host, a store that cannot be used.
    """
    placing.needs_dask()
    store = placing.shared_address(place.objects.address)
    parcel.offer(place.objects, place.parser)
    topic = f"{kind}-{secrets.token_hex(6)}"
    tasks = [
        StoreTask(
            f"{topic}-{number}", store, place.parser.name, place.parser.content, topic, kind, what, place.campaign
        )
        for number, what in enumerate(whats)
    ]
    with placing.hosts(cluster, len(os.sched_getaffinity(0)), place.parser.content, store, say) as hosts:
        return _Spread(tasks, hosts, place, say).run()


@dataclass(eq=False)
class _Job:
    """A task on its way, on one host at a time."""

    task: StoreTask
    placed: Placed
    failures: int = 0
    losses: int = 0


class _Spread:
    """Gives ``tasks`` to ``hosts`` until each has a result or is given up."""

    def __init__(self, tasks: Sequence[StoreTask], hosts: Hosts, place: Place, say: Say) -> None:
        self._whats = [task.what for task in tasks]
        self._waiting = deque(tasks)
        self._hosts, self._objects, self._say = hosts, place.objects, say
        self._running: list[_Job] = []
        self._lost: deque[_Job] = deque()
        self._done = Done()
        # Since when the store gives no answer.
        self._away = 0.0

    def run(self) -> Done:
        """Run to the end. Raises HarnessError where hosts or store are away for too long."""
        looked = time.monotonic()
        words = ""
        try:
            while self._waiting or self._lost or self._running:
                self._submit()
                time.sleep(_POLL_S)
                for job in [job for job in self._running if job.placed.done()]:
                    self._ended(job)
                if time.monotonic() - looked >= _LOOK_EVERY_S:
                    looked, before, words = time.monotonic(), words, self._hosts.look()
                    if words != before and words:
                        self._say(words)
        finally:
            self._hosts.cancel([job.placed for job in self._running])
        found = self._done.results
        return Done({what: found[what] for what in self._whats if what in found}, self._done.problems)

    def _submit(self) -> None:
        """Give tasks to free hosts, those of lost hosts first."""
        while self._hosts.free() and (self._lost or self._waiting):
            if self._lost:
                job = self._lost.popleft()
                job.placed = self._hosts.submit(job.task)
            else:
                task = self._waiting.popleft()
                job = _Job(task, self._hosts.submit(task))
            self._running.append(job)
            self._say(f"{job.task.kind} {job.task.what}: on {job.placed.host}")

    def _ended(self, job: _Job) -> None:
        """Take the result of a task; without one, it is given to a host again, or given up."""
        task = job.task
        try:
            result = records.get_result(self._objects, task.id)
        except Unreachable as error:
            self._away = self._away or time.monotonic()
            if time.monotonic() - self._away > placing.RETURN_S:
                raise
            self._say(f"{error}; hosts go on")
            return
        self._away = 0.0
        self._running.remove(job)
        if result is not None and sound(task.kind, task.what, result):
            self._done.results[task.what] = result
        elif result is not None:
            self._done.problems[task.what] = "its result in the store is none"
        else:
            job.failures, job.losses = job.failures + bool(job.placed.end()), job.losses + (not job.placed.end())
            words = job.placed.words()
            if job.failures < _FAILURES and job.losses < _LOSSES:
                self._lost.append(job)
                self._say(f"{task.kind} {task.what} is given to a host again: {words}")
                return
            self._done.problems[task.what] = words
        ended = len(self._done.results) + len(self._done.problems)
        self._say(f"{task.kind} {task.what}: ended, {ended} of {len(self._whats)}")
