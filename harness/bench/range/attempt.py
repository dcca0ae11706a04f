"""One attempt at the range: a campaign with all bugs on, on one core, from one random seed, for a budget of CPU time.

The campaign is that of `harness fuzz` with one worker: all targets that can run here, and the committed seeds unless asked. Its CPU time is
that of all its processes. Replays of ours, which tell the bugs of its findings, run beside it and do not count.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness import paths
from harness.bench import runner
from harness.bench.hunt import slowdown
from harness.bench.range.bugs import Bug
from harness.bench.range.counts import Counts, environment
from harness.bench.range.detect import Detector
from harness.bench.runner import Say
from harness.errors import HarnessError
from harness.findings import store
from harness.parsers.registry import Parser
from harness.processes import family_cpu_seconds, started

_LOOK = 0.5
# A session that ends with so little of the budget left is the last one.
_LEAST_S = 3.0
# Seconds of the clock, in those that a session may take: it replays its findings at the end.
_PATIENCE = 2.0
_GRACE_S = 120.0
# The file with the campaign's process id, and its start time.
_PROCESS = "process"
# Seconds that an interrupted campaign may take to store what it has.
_FINISH_S = 6.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One attempt: its random seed, its CPU seconds, and the bugs that are on; ``empty`` without committed seeds."""

    seed: int
    budget: float
    bugs: tuple[Bug, ...]
    empty: bool = False

    @property
    def id(self) -> str:
        """Names it among all attempts on one build."""
        return f"seed-{self.seed}-budget-{self.budget:g}{'-empty' if self.empty else ''}"

    @property
    def switch(self) -> str:
        """The value of the variable that switches its bugs on."""
        return ",".join(str(bug.number) for bug in self.bugs)


@dataclass(frozen=True, slots=True)
class _Seen:
    """An input of a finding: the finding's id, and the CPU seconds of the campaign when it was stored."""

    name: str
    cpu_seconds: float


@dataclass
class Watch:
    """Follows a campaign from a thread: its CPU time, and when each input of a finding came.

    A smaller input replaces that of an earlier one with the same signature, and may be of another bug.
    """

    folder: Path
    budget: float
    spent: float = 0.0
    moments: dict[str, int] = field(default_factory=dict)
    waiting: deque[_Seen] = field(default_factory=deque)

    def look(self, pid: int, before: float) -> None:
        """Note the state; ``before`` are the CPU seconds of earlier sessions."""
        self.spent = max(self.spent, before + family_cpu_seconds(pid))
        stored = ((_moment(path), path.parent.name) for path in (self.folder / "findings").glob(f"*/{store.INPUT}"))
        for moment, name in sorted(stored):
            # finding.json follows the input.
            if self.moments.get(name) == moment or not (self.folder / "findings" / name / store.ABOUT).is_file():
                continue
            self.moments[name] = moment
            if self.spent <= self.budget + _LOOK:
                self.waiting.append(_Seen(name, min(self.spent, self.budget)))


def _moment(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _remove(place: Path) -> None:
    """Remove what an attempt left that was killed, and end its campaign, which would go on to the end of its time."""
    with contextlib.suppress(OSError, ValueError):
        pid, began = map(int, (place / _PROCESS).read_text().split())
        if began and started(pid) == began:
            os.kill(pid, signal.SIGKILL)
    limit = time.monotonic() + _GRACE_S
    while place.exists() and time.monotonic() < limit:
        # The last of its processes may still write there for a moment.
        shutil.rmtree(place, ignore_errors=True)
        time.sleep(_LOOK if place.exists() else 0)


def folder() -> Path:
    """The folder of all attempts and results."""
    return paths.build_dir() / "bench" / "range"


def run(plan: Plan, parser: Parser, core: int, say: Say) -> dict[str, Any]:
    """Run an attempt to the end of its budget, or until all its bugs are detected. Raises HarnessError for a full disk."""
    try:
        return _Attempt(plan, parser, core, say).run()
    except OSError as error:
        raise HarnessError(
            f"the attempt {plan.id} cannot go on: {error}",
            hint="make room, and run the same command again: it begins this attempt anew",
        ) from error


class _Attempt:
    def __init__(self, plan: Plan, parser: Parser, core: int, say: Say) -> None:
        self._plan, self._parser, self._core, self._say = plan, parser, core, say
        self._place = folder() / "attempts" / plan.id
        _remove(self._place)
        self._place.mkdir(parents=True)
        self._counts = Counts(self._place / "counts")
        self._watch = Watch(self._place / "campaign", plan.budget)
        self._failed = False
        self._seconds = 0.0
        self._slowdown = 1.0

    def run(self) -> dict[str, Any]:
        plan, watch = self._plan, self._watch
        own = Counts(self._place / "counts-of-replays")
        began = time.monotonic()
        with Detector(self._parser, plan.bugs, plan.switch, own) as detector:
            sessions = 0
            while not detector.all and plan.budget - watch.spent >= _LEAST_S and not self._failed:
                self._session(detector, sessions)
                sessions += 1
            self._seconds = time.monotonic() - began
            while watch.waiting and not detector.all:
                self._judge(detector)
            return {
                "id": plan.id,
                "seed": plan.seed,
                "budget": plan.budget,
                "bugs": [bug.number for bug in plan.bugs],
                "cpu_seconds": round(min(watch.spent, plan.budget), 1),
                "seconds": round(self._seconds, 1),
                "sessions": sessions,
                "slowdown": round(self._slowdown, 2),
                "findings": len(watch.moments),
                "failed": self._failed,
                "detected": {str(number): asdict(one) for number, one in sorted(detector.found.items())},
                "counts": {str(number): list(self._counts.read()[number]) for number in self._numbers()},
            }

    def _numbers(self) -> Sequence[int]:
        return [bug.number for bug in self._plan.bugs]

    def _session(self, detector: Detector, number: int) -> None:
        """A campaign in the attempt's folder, until the budget is spent, its time is over, or all bugs are detected."""
        plan, watch, before = self._plan, self._watch, self._watch.spent
        busy = slowdown()
        self._slowdown = max(self._slowdown, busy)
        seconds = (plan.budget - before) * busy
        options = ["--parser", self._parser.name, "--workers", "1", *(["--empty-corpus"] if plan.empty else [])]
        line = runner.command(watch.folder, (), seconds, plan.seed + 1_000_000 * number, *options)
        variables = os.environ | environment(plan.switch, self._counts)
        with (self._place / "log").open("ab") as log:
            campaign = subprocess.Popen(
                line, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=variables, start_new_session=True
            )
            # It is still starting the interpreter. Its children inherit the core.
            os.sched_setaffinity(campaign.pid, {self._core})
            (self._place / _PROCESS).write_text(f"{campaign.pid} {started(campaign.pid)}")
            with _ended(campaign, watch, before, time.monotonic() + _PATIENCE * seconds + _GRACE_S) as running:
                while running() and not detector.all:
                    if watch.waiting:
                        self._judge(detector)
                    else:
                        time.sleep(_LOOK)
        # 1: new findings. It was interrupted at the end of the budget, once or twice.
        self._failed = campaign.returncode not in (0, 1, 130, -signal.SIGINT)

    def _judge(self, detector: Detector) -> None:
        seen = self._watch.waiting.popleft()
        stored = store.finding_at(self._watch.folder / "findings" / seen.name)
        names = {bug.number: bug.name for bug in self._plan.bugs}
        for found in detector.judge(stored, seen.cpu_seconds):
            done = f"{len(detector.found)} of {len(names)}"
            self._say(f"    {done}: {names[found.number]}, after {found.cpu_seconds:.0f} CPU-s: {found.signature}")


@contextmanager
def _ended(
    campaign: subprocess.Popen[bytes], watch: Watch, before: float, limit: float
) -> Iterator[Callable[[], bool]]:
    """Give a function that says whether the campaign runs within its budget. At the end it is interrupted, and waited for."""
    over = threading.Event()

    def follow() -> None:
        asked: list[float] = []
        while campaign.poll() is None:
            watch.look(campaign.pid, before)
            now = time.monotonic()
            ends = over.is_set() or watch.spent >= watch.budget or now > limit
            # The second signal ends the replays of its own, which go on after the time.
            if ends and (not asked or (len(asked) == 1 and now > asked[0] + _FINISH_S)):
                campaign.send_signal(signal.SIGINT)
                asked.append(now)
            time.sleep(_LOOK)
        # Its last findings.
        watch.look(campaign.pid, before)

    thread = threading.Thread(target=follow, name="range-watch")
    thread.start()
    try:
        yield thread.is_alive
    finally:
        over.set()
        while thread.is_alive():
            thread.join(0.2)
