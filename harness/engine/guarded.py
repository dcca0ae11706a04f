"""Inputs of a campaign that run once more in a child of their own, with every oracle there is, the one for leaks included.

First those that workers skip because they are known to kill: what else such an input shows must not stay hidden behind
the first defect. Else, now and then, a new member of the corpus: what only shows in a fresh process, or over many runs, no
worker sees. The child may die as often as it likes; it runs in a thread beside the supervisor, one input at a time, and
never holds the campaign up.
"""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

from harness.engine.process import WorkerProcess
from harness.engine.settings import WorkerSettings
from harness.parsers import registry
from harness.targets import base as targets
from harness.triage import replay, store

GUARDED = "guarded"
#: Seconds between two members of the corpus: a child costs about one.
SAMPLE_EVERY = 20.0


class Isolated:
    """Runs inputs of a campaign's workers. Use as a context manager.

    ``sample`` also takes members of the corpus, by the clock: not where a run must repeat.
    """

    def __init__(self, campaign: Path, *, sample: bool = True) -> None:
        self._campaign = campaign
        self._sample = sample
        self._sampled = time.monotonic()
        self._found: deque[dict[str, Any]] = deque()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="guarded")
        self._running: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def offer(self, worker: WorkerProcess) -> None:
        """Take the input that ``worker`` left, or a member when it is time, unless one is running still."""
        if self._running is not None and not self._running.done():
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
            self._running = self._pool.submit(self._run, worker.settings, data)

    def found(self) -> list[dict[str, Any]]:
        """What was found since the last call, as the progress display takes it."""
        return [self._found.popleft() for _ in range(len(self._found))]

    def _run(self, settings: WorkerSettings, data: bytes) -> None:
        target = targets.get(settings.target)
        parser = registry.find(settings.parser) if target.uses_parser else None
        result = replay.once(parser, target.name, data)
        for judged in result.findings:
            name = store.add(
                self._campaign,
                target.name,
                judged.finding,
                data,
                parser=parser.name if parser else "",
                seed=settings.seed,
            )
            self._found.append(
                {
                    "id": name,
                    "known": store.known(judged.signature) or "",
                    "signature": judged.signature,
                    "count": 1,
                    "size": len(data),
                    "target": target.name,
                }
            )
