"""The part of a campaign that runs on a host: one unit, or a task of another kind, in a process of its own, started by Dask.

It ends where nobody waits for it any more: its driver or its scheduler is gone, or asked for the end. A process whose host process
dies gets a signal from the kernel. Either way a unit stores its results first.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import paths
from harness.corpus_store import sha1
from harness.engine.campaign.unit_report import REPORT
from harness.engine.campaign.units import Unit
from harness.errors import HarnessError
from harness.parsers import parcel
from harness.parsers.registry import Parser
from harness.store.objects import open_store
from harness.targets import scratch

#: The environment's name for a host's folder.
FOLDER = "HARNESS_HOST_FOLDER"
#: Free shared memory below which workers use the disk in its place, and free disk below which no unit starts.
SHARED_MB, DISK_MB = 256, 200
_POLL_S = 0.5
# Seconds that a process may take to store its results after it was asked to end. Then it is killed, and its folder keeps them.
_END_S = 90.0


@dataclass(frozen=True)
class Task(ABC):
    """Work for any host, in a process of its own there, whose result goes to the store under the task's id.

    ``store``: the address. ``parser`` and ``content``: name and hash of the build that it needs; a host may have it by another
    name. ``topic``: of its reports.
    """

    id: str
    store: str
    parser: str | None
    content: str
    topic: str

    @abstractmethod
    def command(self, place: Path, parser: Parser) -> list[str]:
        """The module that does it and its first arguments; its files are in the folder ``place``. Raises HarnessError."""


@dataclass(frozen=True)
class UnitTask(Task):
    """A unit for any host. ``until``: the time (Unix) when it ends at the latest."""

    unit: dict[str, Any]
    until: float

    def command(self, place: Path, parser: Parser) -> list[str]:
        """The command of the unit."""
        unit = Unit.of(self.unit, "the unit")
        left = max(min(unit.seconds, self.until - time.time()), 1.0)
        dataclasses.replace(unit, parser=parser.name, seconds=0.0 if unit.runs else left).save(place / "unit.json")
        return ["harness.engine.unit", *(str(place / name) for name in ("unit.json", "result.json", "."))]


def folder() -> Path:
    """The folder of this host process: of its environment, else ``build/host``."""
    return Path(os.environ.get(FOLDER) or paths.build_dir() / "host").resolve()


def run(task: Task) -> dict[str, Any]:
    """Do ``task``. Returns the exit status of its process, the host and the last words."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def wanted() -> bool:
        state = worker.state.tasks.get(key)
        return worker.status.name == "running" and state is not None and state.state in ("executing", "long-running")

    def report(words: dict[str, Any]) -> None:
        worker.log_event(task.topic, {"unit": task.id, "host": worker.name, "report": words})

    with _slot(folder() / _campaign(task)) as place:
        status, words = run_in(task, place, wanted, report)
    return {"status": status, "host": str(worker.name), "words": words}


def run_in(
    task: Task, place: Path, wanted: Callable[[], bool], report: Callable[[dict[str, Any]], object]
) -> tuple[int, str]:
    """Do ``task`` in the folder ``place`` while it is ``wanted``. Returns its exit status and what it said last."""
    try:
        command = _prepared(task, place)
    except HarnessError as error:
        return error.exit_status, f"{error} ({error.hint})"
    log = place / "unit.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=_environment(place), start_new_session=True
        )
    told, deadline = 0, 0.0
    try:
        while process.poll() is None:
            time.sleep(_POLL_S)
            if not deadline and not wanted():
                process.send_signal(signal.SIGTERM)
                deadline = time.monotonic() + _END_S
            if deadline and time.monotonic() > deadline:
                process.kill()
            with contextlib.suppress(OSError, ValueError):
                if (written := (place / REPORT).stat().st_mtime_ns) != told and not deadline:
                    told = written
                    report(json.loads((place / REPORT).read_bytes()))
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
    return process.returncode, log.read_text(errors="replace").strip()[-2000:]


def _prepared(task: Task, place: Path) -> list[str]:
    """The command of the task. Raises HarnessError where this host cannot run it."""
    free = shutil.disk_usage(place).free >> 20
    if free < DISK_MB:
        raise HarnessError(f"{place} has {free} MB of free disk, fewer than {DISK_MB}", hint="free some")
    parser = parcel.obtain(open_store(task.store), task.content, task.parser)
    (place / REPORT).unlink(missing_ok=True)
    names = ["--store", task.store, "--id", task.id, "--parent", str(os.getpid())]
    return [sys.executable, "-m", *task.command(place, parser), *names]


def _environment(place: Path) -> dict[str, str]:
    """The unit's environment. Where shared memory is small, the files of its runs lie on the disk."""
    if shutil.disk_usage(scratch.base()).free >> 20 >= SHARED_MB:
        return dict(os.environ)
    (place / "memory").mkdir(exist_ok=True)
    return os.environ | {scratch.VARIABLE: str(place / "memory")}


def _campaign(task: Task) -> str:
    """The name of a campaign's folder on a host, which may serve several stores."""
    return sha1(f"{task.store} {task.content}".encode())[:12]


@contextlib.contextmanager
def _slot(root: Path) -> Iterator[Path]:
    """A folder that no other unit uses. The unit of a host process that was killed may still be at its end."""
    for number in range(1000):
        place = root / f"slot-{number}"
        (place / "store").mkdir(parents=True, exist_ok=True)
        with (place / ".slot").open("w") as mine, (place / "store" / ".lock").open("a") as units:
            try:
                fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
                fcntl.flock(units, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            fcntl.flock(units, fcntl.LOCK_UN)
            yield place
            return
    raise HarnessError(f"all folders in {root} are in use", hint="name another --folder")
