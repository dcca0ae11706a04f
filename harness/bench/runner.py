"""Runs that the measurements are made of: one worker outside any campaign, or one campaign in its own process."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness import paths
from harness.engine.campaign.process import WorkerProcess, new_settings
from harness.engine.worker.status import WorkerStatus
from harness.errors import EngineError

#: Prints one line of progress.
Say = Callable[[str], None]

_POLL = 0.05
_GRACE = 60.0


@dataclass(frozen=True)
class Done:
    """A worker's last status, its corpus as ``(seconds since the start, bytes)`` in order, and its edges."""

    status: WorkerStatus
    corpus: list[tuple[float, bytes]]
    edges: int

    @property
    def rate(self) -> float:
        """Executions per CPU-second after start-up."""
        return self.status.executions / max(self.status.fuzzing_cpu_seconds, 1e-9)

    def share(self, name: Literal["deep", "accepted"]) -> float:
        """Part of all executions, 0 to 1."""
        return int(getattr(self.status, name)) / max(self.status.executions, 1)


def seed_dirs(target: str) -> tuple[Path, ...]:
    """The committed seeds of a target."""
    return (paths.corpus_dir() / target,)


@contextmanager
def scratch() -> Iterator[Path]:
    """A campaign folder for measurements, deleted at the end."""
    parent = paths.build_dir() / "bench"
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=parent))
    (folder / "findings").mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fuzz(target: str, parser: str, folder: Path, **settings: Any) -> Done:
    """Run one worker to its end. Raises EngineError when it fails or dies."""
    settings.setdefault("seed", 1)
    settings.setdefault("seed_dirs", seed_dirs(target))
    worker = WorkerProcess(new_settings(target=target, parser=parser, campaign=folder, **settings))
    limit = time.monotonic() + (settings.get("seconds") or 600) + _GRACE
    started = time.time()
    try:
        while (code := worker.poll()) is None:
            if time.monotonic() > limit:
                raise EngineError(
                    f"the worker for {target} still runs after its time and {_GRACE:.0f} s\n{worker.log_tail()}"
                )
            time.sleep(_POLL)
        if code != 0:
            raise EngineError(
                f"the worker for {target} ended with {code}: {worker.failure(code) or ''}\n{worker.log_tail()}",
                hint="run `harness doctor`",
            )
        files = sorted((worker.settings.memory / "corpus").iterdir(), key=lambda path: path.stat().st_mtime_ns)
        corpus = [(path.stat().st_mtime - started, path.read_bytes()) for path in files]
        edges = worker.engine.covered - worker.status.semantic_features
        return Done(worker.status, corpus, edges)
    finally:
        worker.kill()
        worker.clear()


def command(folder: Path, targets: Sequence[str], seconds: float, seed: int, *options: str) -> list[str]:
    """The command line of a campaign in ``folder``."""
    chosen = [word for name in targets for word in ("--target", name)]
    start = [sys.executable, "-m", "harness", "fuzz", *chosen, "--time", f"{seconds:g}s", "--seed", str(seed)]
    return [*start, "--campaign", str(folder), "--no-ui", *options]


def campaign(folder: Path, targets: Sequence[str], seconds: float, seed: int, *options: str) -> dict[str, Any]:
    """Run a campaign in a process of its own; its session of the ledger. Raises EngineError when it fails."""
    line = command(folder, targets, seconds, seed, *options, "--json")
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode > 1:
        raise EngineError(f"the campaign ended with {done.returncode}: {done.stderr[-2000:]}")
    session: dict[str, Any] = json.loads(done.stdout)
    return session


def medians(rows: Sequence[dict[str, Any]], names: Iterable[str]) -> dict[str, float]:
    """The median of each of these columns."""
    return {name: statistics.median(row[name] for row in rows) for name in names}
