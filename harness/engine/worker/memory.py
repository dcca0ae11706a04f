"""Folders in memory for running workers, because libFuzzer writes and deletes corpus files all the time.

The supervisor copies new inputs to the campaign's folder about once a second. A campaign that was killed leaves its memory
folders behind. The next campaign, in any folder, takes over their content (:func:`abandoned`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from harness.processes import started
from harness.targets import scratch

#: The hint where a campaign's folder cannot be written.
TAKEN_OVER = "free some disk and start it again: the inputs lie in memory, and the next campaign here takes them over"
#: Where a worker leaves an input that it skips as deadly, for the replay pool.
SKIPPED = "skipped"
#: Where a worker that ends with an error leaves it.
FAILURE = "failure.json"
_PREFIX = "safetensors-harness-"
_OWNER = "owner"
_FORGOTTEN_S = 86_400.0
_WORKER = "worker"
# Most seconds for an orphaned worker to judge and write its last batch.
_FINISH_S = 10.0


def root() -> Path:
    """The parent of the folders, in a memory file system where there is one."""
    return Path(scratch.base())


def create(campaign: Path, target: str) -> Path:
    """A new private folder for one worker of ``campaign``."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root()))
    (folder / _OWNER).write_text(f"{os.getpid()}\n{campaign}\n{target}\n{started(os.getpid())}\n")
    (folder / "corpus").mkdir()
    return folder


def owner(folder: Path) -> int:
    """The id of the process that made a worker's folder."""
    return int((folder / _OWNER).read_text().split("\n", 1)[0])


def end_worker(memory: Path) -> None:
    """Wait until the worker of a killed campaign has finished, and kill it after some seconds. The kernel has told it to end."""
    try:
        pid, born = ((memory / _WORKER).read_text()).split()
    except (OSError, ValueError):
        return
    deadline = time.monotonic() + _FINISH_S
    while started(int(pid)) == int(born):
        if time.monotonic() > deadline:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
            deadline += 1
        time.sleep(0.02)


def working(memory: Path) -> None:
    """Note that this process is the worker of the folder."""
    (memory / _WORKER).write_text(f"{os.getpid()} {started(os.getpid())}")


def remove(memory: Path) -> None:
    """Delete a worker's folder."""
    scratch.remove(memory)


def abandoned() -> list[tuple[Path, Path, str]]:
    """The worker folders that killed campaigns left in memory, each with its campaign's folder and its target.

    Folders of campaigns that no longer exist are deleted after a day, as a campaign's disk may be mounted again.
    """
    found: list[tuple[Path, Path, str]] = []
    for folder, pid, campaign, target, born in _owned():
        # The system gives a process id again; the start time tells the processes apart.
        if started(pid) == born:
            continue
        if campaign.is_dir():
            found.append((folder, campaign, target))
        else:
            with contextlib.suppress(FileNotFoundError):
                if time.time() - (folder / _OWNER).stat().st_mtime > _FORGOTTEN_S:
                    remove(folder)
    return found


def own(campaign: Path) -> list[tuple[Path, str]]:
    """The worker folders that this process made for ``campaign``, each with its target."""
    return [(folder, target) for folder, pid, place, target, _ in _owned() if pid == os.getpid() and place == campaign]


def _owned() -> Iterator[tuple[Path, int, Path, str, int]]:
    """Each worker folder in memory, with the id of its owner, the campaign's folder, the target, and the owner's start time."""
    for folder in sorted(root().glob(_PREFIX + "*")):
        # Another campaign may remove its own at any time.
        with contextlib.suppress(OSError, ValueError):
            pid, campaign, target, born = (folder / _OWNER).read_text().splitlines()
            yield folder, int(pid), Path(campaign), target, int(born)
