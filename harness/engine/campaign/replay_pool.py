"""Runs inputs of a campaign again, each in a fresh process, beside the workers.

There are three kinds of inputs. First come new findings, which run :data:`REPLAYS` times: a finding that does not show each time is
*flaky*. Each finding gets its next run before any gets two. After the campaign they have some more time, on all cores. Next come
inputs that workers skip as deadly, as they may show other defects as well. Otherwise, now and then, a new corpus member runs.
All oracles judge it, the one for leaks included: some defects show only in a fresh process, or over many runs.

The processes may die. A thread waits for each, at low priority, so the pool never delays the campaign.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Self

from harness.engine.campaign.figures import finding_entry
from harness.engine.campaign.process import WorkerProcess
from harness.engine.campaign.wheel_pass import WheelPass
from harness.engine.worker.memory import SKIPPED
from harness.engine.worker.settings import WorkerSettings
from harness.errors import HarnessError
from harness.findings import store
from harness.parsers import registry
from harness.replay import replay
from harness.targets.registry import get_target

#: Seconds between two corpus members. A process costs about one.
SAMPLE_EVERY = 20.0
#: Replays of each new finding.
REPLAYS = 10
#: Bounds of the seconds for replays after the campaign: half of its time.
FINISH_S = (3.0, 60.0)
_SAID_EVERY = 0.5
# Beside busy workers, a quarter of their CPU time.
_NICE = 5


class ReplayPool:
    """Replays inputs of a campaign. Use as a context manager.

    One input runs at a time beside the campaign, ``workers`` at a time after it. ``sample`` adds corpus members, by the clock: not
    for a run that must repeat.
    """

    def __init__(self, campaign: Path, *, workers: int = 1, sample: bool = True) -> None:
        self._campaign = campaign
        self._workers = workers
        self._sample = sample
        self._began = self._sampled = time.monotonic()
        self._found: deque[dict[str, Any]] = deque()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="replay", initializer=_low_priority)
        self._running: Future[None] | None = None
        self._submitted: list[Future[None]] = []
        # The target of each finding that was asked for, and the replays of each target.
        self._asked: dict[str, str] = {}
        self._by_target: Counter[str] = Counter()
        self._waiting: deque[str] = deque()
        # Replays by finding: number of runs, and of those that showed it.
        self._runs: dict[str, tuple[int, int]] = {}
        self._replayed: deque[tuple[str, dict[str, Any]]] = deque()
        # The running processes. After the end nothing waits for them, and their results are dropped.
        self._live: set[replay.Replayer] = set()
        self._over = threading.Event()
        #: Runs kept programs on the release wheel.
        self.wheel = WheelPass(campaign, self._alive, self._over, _low_priority)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self.wheel.close()

    def _end(self) -> None:
        """Kill the running processes."""
        self._over.set()
        for replayer in list(self._live):
            replayer.kill()

    @contextlib.contextmanager
    def _alive(self, replayer: replay.Replayer) -> Iterator[None]:
        self._live.add(replayer)
        if self._over.is_set():
            replayer.kill()
        try:
            yield
        finally:
            self._live.discard(replayer)

    def begins(self, settings: WorkerSettings) -> None:
        """A worker of a target begins. Unless the run must repeat, the target's own seeds run beside it."""
        if self._sample:
            self.wheel.take_seeds(settings)

    def offer(self, worker: WorkerProcess) -> None:
        """Unless one is busy, start a replay: of a finding, of an input that ``worker`` skipped, or of a corpus member."""
        if self._busy():
            return
        if self._waiting:
            self._running = self._submit(self._replay, self._next())
            return
        path = worker.settings.memory / SKIPPED
        data: bytes | None = None
        if path.is_file():
            data = path.read_bytes()
            path.unlink()
        elif self._sample and time.monotonic() - self._sampled >= SAMPLE_EVERY:
            data = worker.newest()
            if data is not None:
                self._sampled = time.monotonic()
        if data is not None:
            self._running = self._submit(self._run, worker.settings, data)

    def _next(self) -> str:
        """A waiting finding, of the target with the fewest replays so far: many findings of one target let others pass."""
        # Of a copy: threads of running replays add to the queue.
        name = min(tuple(self._waiting), key=lambda name: self._by_target[self._asked[name]])
        self._waiting.remove(name)
        self._by_target[self._asked[name]] += 1
        return name

    def _busy(self) -> bool:
        return self._running is not None and not self._running.done()

    def _submit(self, work: Callable[..., None], *arguments: Any) -> Future[None]:
        future = self._pool.submit(work, *arguments)
        self._submitted.append(future)
        return future

    def failed(self) -> list[str]:
        """Errors since the last call, in words, for results that could not be stored (a full disk)."""
        ended = [future for future in self._submitted if future.done()]
        self._submitted = [future for future in self._submitted if future not in ended]
        errors = [error for future in ended if (error := future.exception()) is not None]
        errors += self.wheel.failures()
        return [
            f"a replay's result is not stored: {error if isinstance(error, OSError | HarnessError) else repr(error)}"
            for error in errors
        ]

    def confirm(self, findings: Mapping[str, Mapping[str, Any]]) -> None:
        """Replay those of ``findings``, by id, that are new and not covered."""
        for name, entry in findings.items():
            if name not in self._asked and not entry.get("known"):
                self._asked[name] = str(entry.get("target", ""))
                self._waiting.append(name)

    def replayed(self) -> list[tuple[str, dict[str, Any]]]:
        """Findings replayed since the last call: ids, with the fields ``replays`` and ``flaky`` to add."""
        return [self._replayed.popleft() for _ in range(len(self._replayed))]

    def finish(self, *, hurry: Callable[[], bool] = lambda: False, say: Callable[[str], None] = lambda _: None) -> None:
        """Replay waiting findings for a bounded time, the shortest in a ``hurry``. Some may get no or few ``replays``.

        ``say`` gets the state in words, twice a second.
        """
        least, most = FINISH_S
        began = time.monotonic()
        whole = min(max(0.5 * (began - self._began), least), most)
        running = {self._running} if self._running is not None else set()
        said = 0.0
        while (self._waiting or running) and time.monotonic() - began < (least if hurry() else whole):
            while self._waiting and len(running) < self._workers:
                running.add(self._submit(self._replay, self._next()))
            if time.monotonic() - said >= _SAID_EVERY:
                said = time.monotonic()
                say(self._state())
            running = wait(running, timeout=_SAID_EVERY, return_when=FIRST_COMPLETED).not_done
        if running:
            self._end()
            wait(running)
        say("")
        while self._waiting:
            name = self._waiting.popleft()
            self._keep(store.finding_at(self._campaign / "findings" / name), *self._runs.get(name, (0, 0)))

    def _state(self) -> str:
        done = sum(runs for runs, _ in self._runs.values())
        whole = REPLAYS * len(self._asked)
        return f"replays: {done} of {whole} runs" if whole else ""

    def _replay(self, name: str) -> None:
        """Replay a finding once. With too few replays it waits again, behind the others."""
        stored = store.finding_at(self._campaign / "findings" / name)
        earlier = stored.fields.get("replays", {})
        if earlier.get("runs", 0) >= REPLAYS:
            self._runs[name] = earlier["runs"], earlier["held"]
            self._replayed.append((name, {"replays": earlier, "flaky": bool(stored.fields.get("flaky"))}))
            return
        target = get_target(stored.target)
        parser = registry.find(stored.parser) if target.uses_parser else None
        runs, held = self._runs.get(name, (0, 0))
        slow = replay.patience(target, stored.kind)
        try:
            result = replay.once(parser, target.name, stored.data(), slow, live=self._alive)
        except HarnessError:
            result = None
        if result is None or self._over.is_set():
            self._keep(stored, runs, held)
            return  # this run tells nothing about the finding
        runs, held = runs + 1, held + (stored.signature in result.signatures)
        self._runs[name] = runs, held
        if runs < REPLAYS:
            self._waiting.append(name)
        else:
            self._keep(stored, runs, held)

    def _keep(self, stored: store.Stored, runs: int, held: int) -> None:
        """Store the number of replays, unless an earlier campaign had more."""
        earlier = stored.fields.get("replays", {})
        if earlier.get("runs", 0) > runs:
            runs, held = earlier["runs"], earlier["held"]
        fields = {"replays": {"runs": runs, "held": held}, "flaky": held < runs}
        # The ledger gets them even where the finding's folder has no room.
        self._replayed.append((stored.id, fields))
        store.update(stored, **fields)

    def found(self) -> list[dict[str, Any]]:
        """Findings since the last call, as entries for :class:`Progress`."""
        return [*(self._found.popleft() for _ in range(len(self._found))), *self.wheel.found()]

    def finish_wheel(self, *, hurry: Callable[[], bool], say: Callable[[str], None]) -> None:
        """Run the rest of the kept programs on the wheel: all where a run must repeat, else for a tenth of the time so far.

        In a ``hurry`` the rest is left out.
        """
        least, most = FINISH_S
        began = time.monotonic()
        limit = min(max(0.1 * (began - self._began), least), most)
        self.wheel.finish(lambda: hurry() or (self._sample and time.monotonic() - began > limit), say)

    def _run(self, settings: WorkerSettings, data: bytes) -> None:
        target = get_target(settings.target)
        parser = registry.find(settings.parser) if target.uses_parser else None
        try:
            result = replay.once(parser, target.name, data, live=self._alive)
        except HarnessError:
            if not self._over.is_set():
                raise
            return  # the pool ended the process before it had started
        if self._over.is_set():
            return
        for judged in result.findings:
            name = parser.name if parser else ""
            store.add(self._campaign, judged.finding, data, parser=name, seed=settings.seed)
            self._found.append(finding_entry(judged.finding, len(data)))


def _low_priority() -> None:
    """Lower the priority of this thread and of its child processes."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + _NICE)
