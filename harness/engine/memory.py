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

from harness import corpus_store
from harness.engine import usage
from harness.errors import HarnessError

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
    shared = Path("/dev/shm")  # noqa: S108 - a memory file system, each folder is private to its user
    return shared if os.access(shared, os.W_OK) else Path(tempfile.gettempdir())


def create(campaign: Path, target: str) -> Path:
    """A new private folder for one worker of ``campaign``."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root()))
    (folder / _OWNER).write_text(f"{os.getpid()}\n{campaign}\n{target}\n{usage.started(os.getpid())}\n")
    (folder / "corpus").mkdir()
    return folder


def owner(folder: Path) -> int:
    """The process that made a worker's folder."""
    return int((folder / _OWNER).read_text().split("\n", 1)[0])


class Mirror:
    """Keeps a campaign's corpus folder in step with what one worker keeps in memory.

    libFuzzer replaces its own inputs by smaller ones that show the same; what it replaced leaves the folder too, if this
    worker brought it there. It deletes the old one before it writes the new one, so that an input must be missing twice
    in a row: a worker killed in between takes nothing with it.
    """

    def __init__(self, memory: Path, corpus: Path, replaced: Path | None = None) -> None:
        """``replaced`` is a file that takes a line for each input that left the folder."""
        self._kept = memory / "corpus"
        self._given = memory / "given"
        self._corpus = corpus
        self._log = replaced
        #: Names that are in step, and of those the ones that this worker brought.
        self._seen: set[str] = set()
        self._own: set[str] = set()
        self._missing: set[str] = set()

    @property
    def brought(self) -> frozenset[str]:
        """The inputs of the folder that came from this worker."""
        return frozenset(self._own)

    def sync(self) -> dict[str, bytes]:
        """Copy what the worker kept since the last call, which is returned; drop what it has replaced."""
        try:
            present = set(os.listdir(self._kept))
        except FileNotFoundError:
            return {}
        fresh: dict[str, bytes] = {}
        for name in present - self._seen:
            if (self._corpus / name).exists():
                self._seen.add(name)
                continue
            with contextlib.suppress(FileNotFoundError):  # replaced while we looked
                data = (self._kept / name).read_bytes()
                if corpus_store.sha1(data) != name:
                    continue  # half written: the next call takes it
                try:
                    corpus_store.add(self._corpus, data, durable=False)
                except OSError as error:
                    raise HarnessError(
                        f"cannot write the corpus {self._corpus}: {error.strerror}", hint=TAKEN_OVER
                    ) from error
                self._seen.add(name)
                self._own.add(name)
                fresh[name] = data
        self._drop((self._own & self._missing) - present)
        self._missing = self._own - present
        return fresh

    def _drop(self, names: set[str]) -> None:
        """Delete what was replaced, once that is written down."""
        if not names:
            return
        if self._log is not None:
            with self._log.open("a") as log:
                log.writelines(f"{self._corpus.name}/{name}\n" for name in sorted(names))
        for name in names:
            (self._corpus / name).unlink(missing_ok=True)
        self._own -= names
        self._seen -= names

    def give(self, name: str, data: bytes) -> None:
        """Hand the worker an input that another one kept; libFuzzer reads the folder again when it is told to (``-reload``)."""
        if name in self._seen or (self._kept / name).exists():
            return
        self._seen.add(name)
        self._given.write_bytes(data)
        # libFuzzer takes what is not older than its last look, by the second.
        later = time.time() + 1
        os.utime(self._given, (later, later))
        self._given.rename(self._kept / name)


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
