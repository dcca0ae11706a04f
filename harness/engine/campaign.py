"""A campaign: many worker processes over time, one folder with its corpus, findings and ledger.

Nothing here runs the parser: workers do, so that a killed worker takes nothing down. The ledger in ``campaign.json``
is rewritten (atomically) every few seconds, so that a campaign that is killed still says what it spent.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import platform
import secrets
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness import corpus_store, paths
from harness.engine import deaths, memory
from harness.engine.discovery import forget
from harness.engine.guarded import Isolated
from harness.engine.process import WorkerProcess, new_settings
from harness.engine.progress import Progress
from harness.errors import EngineError, HarnessError
from harness.files import write_atomic
from harness.parsers import registry
from harness.parsers.registry import Parser
from harness.targets import base as targets

FORMAT = 1
_POLL = 0.1
_SYNC_EVERY = 1.0
_LEDGER_EVERY = 2.0
# A worker that dies this often before it ran anything is broken, not unlucky.
_STILLBORN = 3


@dataclass(frozen=True)
class CampaignSettings:
    """What to run. ``seconds`` is for the whole campaign; with ``runs``, each target is executed that often instead."""

    folder: Path
    targets: tuple[str, ...]
    parser: str | None = None
    seconds: float = 60.0
    runs: int = 0
    workers: int = 1
    seed: int = 1
    fresh: bool = False
    empty: bool = False
    disabled: tuple[str, ...] = ()
    worker_options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Outcome:
    """How a campaign ended: new finding ids, the session's entry of the ledger, and the targets that could not be driven."""

    new: list[str]
    known: list[str]
    session: dict[str, Any]
    left_out: dict[str, HarnessError]


class Campaign:
    """Runs the settings' targets; use :meth:`run` once."""

    def __init__(self, settings: CampaignSettings, view: Callable[[Progress], None]) -> None:
        self.settings = settings
        self._view = view
        self._interrupted = False
        self._problem: HarnessError | None = None
        #: Targets that did not open or that die before they run anything, with the reason: the others go on.
        self._left_out: dict[str, HarnessError] = {}
        self._stillborn: Counter[str] = Counter()
        self._skipped: list[str] = []

    def run(self) -> Outcome:
        """Run to the end of the time, or to Ctrl-C. Raises HarnessError (set-up, a full disk) and EngineError.

        A target that cannot be driven is left out, and said so in the outcome; where none can, its error is raised.
        """
        try:
            return self._run()
        except OSError as error:
            place = error.filename or f"in {self.settings.folder} or in memory, {memory.root()}"
            raise HarnessError(f"cannot write {place}: {error.strerror}", hint=memory.TAKEN_OVER) from error

    def _run(self) -> Outcome:
        settings = self.settings
        parser = registry.find(settings.parser)
        chosen = [targets.get(name) for name in settings.targets]
        with _locked(settings.folder):
            if settings.fresh:
                _set_aside(settings.folder)
            for name in ("corpus", "findings", "log"):
                (settings.folder / name).mkdir(parents=True, exist_ok=True)
            recovered = self._recover()
            seeds = {target.name: self._seeds(target.name) for target in chosen}
            self.progress = Progress(settings.targets, settings.seconds, settings.runs)
            ledger = _read_ledger(settings.folder)
            forget(ledger["sessions"])
            self._entry = {
                "id": secrets.token_hex(4),
                "started": datetime.now(UTC).isoformat(timespec="seconds"),
                "seed": settings.seed,
                "targets": list(settings.targets),
                "parser": parser.name,
                "versions": _versions(parser),
                "seeds": seeds,
                "recovered": recovered,
                "skipped": self._skipped,
            }
            ledger["sessions"].append(self._entry)
            self._ledger = ledger
            with self._signals(), Isolated(settings.folder, sample=not settings.runs) as self._isolated:
                try:
                    self._supervise()
                finally:
                    unsaved = self._save()
        if self._problem is not None:
            raise self._problem
        if unsaved:
            raise unsaved
        if len(self._left_out) == len(set(settings.targets)):
            raise next(iter(self._left_out.values()))
        return Outcome(self.progress.new(), self.progress.known(), self._entry, self._left_out)

    def _seeds(self, target: str) -> int:
        """How many seeds the target has; none is an error unless it was asked for."""
        count = 0
        for folder in self._seed_dirs(target):
            listing = corpus_store.list_seeds(folder)
            count += len(listing.seeds)
            if listing.warning:
                self._skipped.append(f"{folder}: {listing.warning}")
        if not count and not self.settings.empty:
            raise HarnessError(
                f"no seeds for target {target}: looked in {', '.join(str(f) for f in self._seed_dirs(target))}",
                hint="`harness corpus import FILE...` adds some; --empty-corpus starts from nothing on purpose",
            )
        return count

    def _seed_dirs(self, target: str) -> tuple[Path, ...]:
        own = self.settings.folder / "corpus" / target
        return (own,) if self.settings.empty else (paths.corpus_dir() / target, own)

    def _recover(self) -> int:
        """Take over what killed campaigns, and those that met a full disk, left in memory; how many inputs."""
        taken = 0
        for folder, target in memory.abandoned(self.settings.folder):
            taken += memory.sync(folder, self.settings.folder / "corpus" / target, set())
            deaths.recover(folder)
            memory.remove(folder)
        return taken

    def _supervise(self) -> None:
        active: list[WorkerProcess] = []
        try:
            self._drive(active)
        except BaseException:
            # What they kept stays in memory for the next campaign.
            for worker in active:
                worker.kill()
            raise

    def _drive(self, active: list[WorkerProcess]) -> None:
        settings = self.settings
        queue = self._plan()
        synced = saved = time.monotonic()
        while (queue or active) and self._problem is None:
            if self._interrupted:
                queue.clear()
                for worker in active:
                    worker.ask_to_stop()
            while queue and len(active) < settings.workers:
                active.append(WorkerProcess(queue.pop(0)))
                self.progress.started(active[-1])
            time.sleep(_POLL)
            now = time.monotonic()
            for worker in list(active):
                code = worker.poll()
                if code is None:
                    if not worker.late():
                        continue
                    worker.kill()
                    seconds = targets.start_s(targets.get(worker.settings.target))
                    self._leave_out(worker, HarnessError(f"target {worker.settings.target} did not open within {seconds:.0f} s",
                                                         hint=f"its log: {worker.settings.log}"))  # fmt: skip
                active.remove(worker)
                if code and (again := self._ended(worker, code)) is not None and not self._interrupted:
                    queue.insert(0, again)
                worker.sync()
                queue = [job for job in queue if job.target not in self._left_out]
                self.progress.ended(worker)
                worker.clear()
            if now - synced >= _SYNC_EVERY:
                for worker in active:
                    worker.sync()
                    self._isolated.offer(worker)
                for found in self._isolated.found():
                    self.progress.found_apart(found)
                synced = now
            self.progress.update(active)
            self._view(self.progress)
            if now - saved >= _LEDGER_EVERY:
                self._save()
                saved = now
        self._stop(active)
        self.progress.update([])
        self._view(self.progress)

    def _plan(self) -> list[Any]:
        """The workers to start, in order: every target gets the same share of the worker time."""
        settings = self.settings
        names = list(settings.targets)
        # More slots than targets: some targets run in several workers at once, each with a seed of its own.
        jobs = [names[i % len(names)] for i in range(max(len(names), settings.workers if not settings.runs else 0))]
        share = settings.seconds * min(settings.workers, len(jobs)) / len(jobs)
        return [self._job(name, number, share) for number, name in enumerate(jobs)]

    def _job(self, target: str, number: int, seconds: float) -> Any:
        settings = self.settings
        return new_settings(
            target=target,
            parser=settings.parser,
            seed=settings.seed + 1_000_003 * number,
            campaign=settings.folder,
            seed_dirs=self._seed_dirs(target),
            runs=settings.runs,
            seconds=0.0 if settings.runs else seconds,
            disabled=settings.disabled,
            guards=tuple(deaths.guards(settings.folder)),
            **settings.worker_options,
        )

    def _leave_out(self, worker: WorkerProcess, error: HarnessError) -> None:
        """Go on without a worker's target."""
        self._left_out.setdefault(worker.settings.target, error)
        self.progress.warning = str(error)

    def _ended(self, worker: WorkerProcess, code: int) -> Any:
        """A worker ended otherwise than by its own decision: find out why; what to start in its place, if anything."""
        failure = worker.failure(code)
        if failure is not None:
            kind = EngineError if failure.get("status", 3) == 3 else HarnessError
            self._leave_out(worker, kind(failure["problem"], failure.get("hint") or "run `harness doctor`"))
            return None
        data = worker.last_input()
        done = worker.status.get("executions", 0)
        if data is not None:
            kind_of_death, words = worker.death(code)
            found = deaths.record(
                self.settings.folder, worker.settings, data, kind_of_death, words, done, worker.last_call()
            )
            self.progress.died(found)
        target = worker.settings.target
        self._stillborn[target] = 0 if data is not None else self._stillborn[target] + 1
        if self._stillborn[target] >= _STILLBORN:
            self._leave_out(worker, EngineError(
                f"target {target}: workers die before they run anything: {worker.death(code)[1]}\n{worker.log_tail()}",
                hint="run `harness doctor`"))  # fmt: skip
            return None
        settings = self.settings
        left = worker.settings.seconds - (time.monotonic() - worker.started)
        if settings.runs:
            left = settings.runs - done
        if left <= 0:
            return None
        return new_settings(
            **{
                name: value
                for name, value in vars(worker.settings).items()
                if name not in ("memory", "log", "seed", "seconds", "runs", "guards")
            },
            seed=worker.settings.seed + 1,
            seconds=0.0 if settings.runs else left,
            runs=int(left) if settings.runs else 0,
            guards=tuple(deaths.guards(settings.folder)),
        )

    def _stop(self, active: list[WorkerProcess]) -> None:
        for worker in active:
            worker.ask_to_stop()
        for worker in active:
            if not worker.wait(5):
                worker.kill()
            worker.poll()
            worker.sync()
            self.progress.ended(worker)
            worker.clear()

    def _save(self) -> OSError | None:
        """Write the ledger; what kept it from being written, if anything."""
        self._entry.update(self.progress.summary(), interrupted=self._interrupted)
        self._entry["left_out"] = {name: str(error) for name, error in self._left_out.items()}
        try:
            write_atomic(self.settings.folder / "campaign.json", json.dumps(self._ledger))
        except OSError as error:
            # The run goes on: what it finds lies in memory until there is room again.
            self.progress.warning = f"cannot write the ledger: {error.strerror}"
            return error
        return None

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Ctrl-C and a polite kill end the campaign cleanly; a second Ctrl-C ends it at once."""

        def interrupt(number: int, frame: object) -> None:
            if self._interrupted:
                raise KeyboardInterrupt
            self._interrupted = True

        previous = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One campaign per folder at a time."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except (OSError, ValueError) as error:
        raise HarnessError(
            f"cannot use {folder} as a campaign folder: {error}", hint="name another --campaign"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise HarnessError(
                f"another campaign is running in {folder}", hint="wait for it, or name another --campaign"
            ) from error
        yield


def _set_aside(folder: Path) -> None:
    """Start afresh without losing anything: what is there moves to ``old-N`` inside the folder."""
    present = [path for path in folder.iterdir() if path.name in ("corpus", "findings", "log", "campaign.json")]
    if not any(path.is_file() or any(path.iterdir()) for path in present):
        return
    number = 1 + max((int(p.name[4:]) for p in folder.glob("old-*") if p.name[4:].isdigit()), default=0)
    target = folder / f"old-{number}"
    target.mkdir()
    for path in present:
        path.rename(target / path.name)


def _read_ledger(folder: Path) -> dict[str, Any]:
    path = folder / "campaign.json"
    try:
        ledger: dict[str, Any] = json.loads(path.read_text())
        ledger["sessions"].extend([])
    except FileNotFoundError:
        return {"format": FORMAT, "sessions": []}
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise HarnessError(
            f"{path} is no ledger: {error}", hint="move it away, or start with --fresh (which keeps the old one aside)"
        ) from error
    return ledger


def _versions(parser: Parser) -> dict[str, str]:
    return {
        "harness": version("safetensors-harness"),
        "python": platform.python_version(),
        "atheris": version("atheris"),
        "safetensors": parser.version,
    }
