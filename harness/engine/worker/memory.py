"""Folders in memory for running workers: libFuzzer writes and unlinks corpus files all the time, and disks are slow.

What lies there is copied to the campaign's folder about once a second. A campaign that was killed leaves its folders
behind; the next one of the same campaign takes over what they hold (:func:`abandoned`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

from harness.engine.worker import usage
from harness.targets import scratch

TAKEN_OVER = "free some disk and start it again: what was kept lies in memory, and the next campaign here takes it over"
"""What to do when a campaign's folder cannot be written."""
_PREFIX = "safetensors-harness-"
_OWNER = "owner"
_FORGOTTEN_S = 86_400.0
_WORKER = "worker"
# Seconds in which an orphaned worker has to judge and write what is left.
_FINISH_S = 10.0


def root() -> Path:
    """Where the folders lie: a memory file system where there is one."""
    return Path(scratch.root())


def create(campaign: Path, target: str) -> Path:
    """A new private folder for one worker of ``campaign``."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root()))
    (folder / _OWNER).write_text(f"{os.getpid()}\n{campaign}\n{target}\n{usage.started(os.getpid())}\n")
    (folder / "corpus").mkdir()
    return folder


def owner(folder: Path) -> int:
    """The process that made a worker's folder."""
    return int((folder / _OWNER).read_text().split("\n", 1)[0])


def end_worker(memory: Path) -> None:
    """Wait for the worker of a killed campaign to finish, which the kernel has asked it to, and kill it if it does not."""
    try:
        pid, born = ((memory / _WORKER).read_text()).split()
    except (OSError, ValueError):
        return
    deadline = time.monotonic() + _FINISH_S
    while usage.started(int(pid)) == int(born):
        if time.monotonic() > deadline:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
            deadline += 1
        time.sleep(0.02)


def working(memory: Path) -> None:
    """Say that this process is the worker of the folder."""
    (memory / _WORKER).write_text(f"{os.getpid()} {usage.started(os.getpid())}")


def remove(memory: Path) -> None:
    """Delete a worker's folder."""
    shutil.rmtree(memory, ignore_errors=True)


def abandoned(campaign: Path) -> list[tuple[Path, str]]:
    """What earlier runs of this campaign left in memory: each worker's folder, and its target.

    Folders of campaigns that are gone are deleted after a day: the disk of one may be mounted again.
    """
    found: list[tuple[Path, str]] = []
    for folder in sorted(root().glob(_PREFIX + "*")):
        try:
            pid, path, target, born = (folder / _OWNER).read_text().splitlines()
        except (OSError, ValueError):
            continue
        # Process numbers come round again.
        if usage.started(int(pid)) == int(born):
            continue
        if Path(path) == campaign:
            found.append((folder, target))
        elif not Path(path).exists() and time.time() - (folder / _OWNER).stat().st_mtime > _FORGOTTEN_S:
            remove(folder)
    return found
