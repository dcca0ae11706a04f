"""Inputs that workers skip because they are known to kill: a sample of them still runs, in a child of its own.

What else such an input shows must not stay hidden behind the first defect. The child may die as often as it likes; it
runs in a thread beside the supervisor, one input at a time, and never holds the campaign up.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self

from harness.engine.process import WorkerProcess
from harness.engine.settings import WorkerSettings
from harness.parsers import registry
from harness.targets import base as targets
from harness.triage import replay, store

GUARDED = "guarded"


class Isolated:
    """Runs guarded inputs of a campaign's workers. Use as a context manager."""

    def __init__(self, campaign: Path) -> None:
        self._campaign = campaign
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="guarded")
        self._running: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def offer(self, worker: WorkerProcess) -> None:
        """Take the input that ``worker`` left, unless one is running still."""
        path = worker.settings.memory / GUARDED
        if not path.is_file() or (self._running is not None and not self._running.done()):
            return
        data = path.read_bytes()
        path.unlink()
        self._running = self._pool.submit(self._run, worker.settings, data)

    def _run(self, settings: WorkerSettings, data: bytes) -> None:
        target = targets.get(settings.target)
        parser = registry.find(settings.parser) if target.uses_parser else None
        result = replay.once(parser, target.name, data)
        for judged in result.findings:
            store.add(
                self._campaign,
                target.name,
                judged.finding,
                data,
                parser=parser.name if parser else "",
                seed=settings.seed,
            )
