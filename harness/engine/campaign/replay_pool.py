"""Inputs of a campaign that run once more in a child of their own, beside the supervisor.

Of three kinds. New findings that nothing filed covers run again, :data:`REPLAYS` times, each time in a fresh process: one that does
not show each time is *flaky*, and says so. Each gets its next run before any gets two, and when the campaign is over they have some
time more, on all cores. Then those that workers skip because they are known to kill: what else such an
input shows must not stay hidden behind the first defect. Else, now and then, a new member of the corpus: what only shows in a
fresh process, or over many runs, no worker sees; it is asked every oracle there is, the one for leaks included.

The child may die as often as it likes; a thread waits for it, and runs one input at a time, at low priority, so that it never holds the
campaign up.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Self

from harness.engine.campaign.process import WorkerProcess
from harness.engine.worker.settings import WorkerSettings
from harness.errors import HarnessError
from harness.findings import store
from harness.parsers import registry
from harness.replay import replay
from harness.targets import known_findings
from harness.targets.registry import get_target

GUARDED = "guarded"
#: Seconds between two members of the corpus: a child costs about one.
SAMPLE_EVERY = 20.0
#: How often a new finding runs again.
REPLAYS = 10
#: Seconds that replays still have when the campaign is over: half of what it took, within these bounds.
FINISH_S = (3.0, 60.0)
_SAID_EVERY = 0.5
# Beside busy workers, a quarter of what they get.
_NICE = 5
# A replay has as much more time than a run in a worker.
_PATIENCE = 4


class Isolated:
    """Runs inputs of a campaign's workers. Use as a context manager.

    ``workers`` is how many run at a time once the campaign is over; one does beside it. ``sample`` also takes members of the
    corpus, by the clock: not where a run must repeat.
    """

    def __init__(self, campaign: Path, *, workers: int = 1, sample: bool = True) -> None:
        self._campaign = campaign
        self._workers = workers
        self._sample = sample
        self._began = self._sampled = time.monotonic()
        self._found: deque[dict[str, Any]] = deque()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="guarded", initializer=_low_priority)
        self._running: Future[None] | None = None
        self._submitted: list[Future[None]] = []
        self._asked: set[str] = set()
        self._waiting: deque[str] = deque()
        #: Of those that ran again, how often they did, and how often they held.
        self._runs: dict[str, tuple[int, int]] = {}
        self._replayed: deque[tuple[str, dict[str, Any]]] = deque()
        # The processes that run now. Once it is over, none of them is waited for, and what they say counts for nothing.
        self._live: set[replay.Replayer] = set()
        self._over = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _end(self) -> None:
        """Kill what runs still."""
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

    def offer(self, worker: WorkerProcess) -> None:
        """Take the input that ``worker`` left, or a member when it is time, unless one is running still."""
        if self._busy():
            return
        if self._waiting:
            self._running = self._submit(self._replay, self._waiting.popleft())
            return
        path = worker.settings.memory / GUARDED
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

    def _busy(self) -> bool:
        return self._running is not None and not self._running.done()

    def _submit(self, work: Callable[..., None], *arguments: Any) -> Future[None]:
        future = self._pool.submit(work, *arguments)
        self._submitted.append(future)
        return future

    def failed(self) -> list[str]:
        """Of runs that ended since the last call, what kept their results from being stored (a full disk), in words."""
        ended = [future for future in self._submitted if future.done()]
        self._submitted = [future for future in self._submitted if future not in ended]
        errors = [error for future in ended if (error := future.exception()) is not None]
        return [
            f"a replay's result is not stored: {error if isinstance(error, OSError | HarnessError) else repr(error)}"
            for error in errors
        ]

    def confirm(self, findings: Mapping[str, Mapping[str, Any]]) -> None:
        """Have those of ``findings``, by id, run again that are new and have not been."""
        for name, entry in findings.items():
            if name not in self._asked and not entry.get("known"):
                self._asked.add(name)
                self._waiting.append(name)

    def replayed(self) -> list[tuple[str, dict[str, Any]]]:
        """Ids of what was run again since the last call, with the fields to add: ``replays`` and ``flaky``."""
        return [self._replayed.popleft() for _ in range(len(self._replayed))]

    def finish(self, *, hurry: Callable[[], bool] = lambda: False, say: Callable[[str], None] = lambda _: None) -> None:
        """Do what waits still, for a bounded time, the shortest in a ``hurry``: what is not reached has no or few ``replays``.

        ``say`` is told how far it is, twice a second, in words.
        """
        least, most = FINISH_S
        began = time.monotonic()
        whole = min(max(0.5 * (began - self._began), least), most)
        running = {self._running} if self._running is not None else set()
        said = 0.0
        while (self._waiting or running) and time.monotonic() - began < (least if hurry() else whole):
            while self._waiting and len(running) < self._workers:
                running.add(self._submit(self._replay, self._waiting.popleft()))
            if time.monotonic() - said >= _SAID_EVERY:
                said = time.monotonic()
                say(self._how_far())
            running = wait(running, timeout=_SAID_EVERY, return_when=FIRST_COMPLETED).not_done
        if running:
            self._end()
            wait(running)
        say("")
        while self._waiting:
            name = self._waiting.popleft()
            self._keep(store.finding_at(self._campaign / "findings" / name), *self._runs.get(name, (0, 0)))

    def _how_far(self) -> str:
        done = sum(runs for runs, _ in self._runs.values())
        whole = REPLAYS * len(self._asked)
        return f"replays: {done} of {whole} runs" if whole else ""

    def _replay(self, name: str) -> None:
        """Run a finding once more in a fresh process; one that has not run often enough waits again, behind the others."""
        stored = store.finding_at(self._campaign / "findings" / name)
        earlier = stored.fields.get("replays", {})
        if earlier.get("runs", 0) >= REPLAYS:
            self._runs[name] = earlier["runs"], earlier["held"]
            self._replayed.append((name, {"replays": earlier, "flaky": bool(stored.fields.get("flaky"))}))
            return
        target = get_target(stored.target)
        parser = registry.find(stored.parser) if target.uses_parser else None
        runs, held = self._runs.get(name, (0, 0))
        # A slow machine must not make a hang of what is none.
        slow = target.timeout_s * (1 if stored.kind in ("hang", "time") else _PATIENCE)
        try:
            result = replay.once(parser, target.name, stored.data(), slow, live=self._alive)
        except HarnessError:
            result = None
        if result is None or self._over.is_set():
            self._keep(stored, runs, held)
            return  # it says nothing about the finding
        runs, held = runs + 1, held + (stored.signature in result.signatures)
        self._runs[name] = runs, held
        if runs < REPLAYS:
            self._waiting.append(name)
        else:
            self._keep(stored, runs, held)

    def _keep(self, stored: store.Stored, runs: int, held: int) -> None:
        """Note it, unless an earlier campaign knows more."""
        earlier = stored.fields.get("replays", {})
        if earlier.get("runs", 0) > runs:
            runs, held = earlier["runs"], earlier["held"]
        fields = {"replays": {"runs": runs, "held": held}, "flaky": held < runs}
        # The ledger has it even where the finding's folder has no room for it.
        self._replayed.append((stored.id, fields))
        store.update(stored, **fields)

    def found(self) -> list[dict[str, Any]]:
        """What was found since the last call, as the progress display takes it."""
        return [self._found.popleft() for _ in range(len(self._found))]

    def _run(self, settings: WorkerSettings, data: bytes) -> None:
        target = get_target(settings.target)
        parser = registry.find(settings.parser) if target.uses_parser else None
        try:
            result = replay.once(parser, target.name, data, live=self._alive)
        except HarnessError:
            if not self._over.is_set():
                raise
            return  # its process was ended before it had started
        if self._over.is_set():
            return
        for judged in result.findings:
            store.add(
                self._campaign,
                judged.finding,
                data,
                parser=parser.name if parser else "",
                seed=settings.seed,
            )
            self._found.append(
                {
                    "id": judged.id,
                    "known": known_findings.known(judged.signature) or "",
                    "signature": judged.signature,
                    "count": 1,
                    "size": len(data),
                    "target": target.name,
                }
            )


def _low_priority() -> None:
    """For this thread and the processes that it starts."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + _NICE)
