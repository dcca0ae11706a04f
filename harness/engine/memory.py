"""Folders in memory for running workers: libFuzzer writes and unlinks corpus files all the time, and disks are slow.

What lies there is copied to the campaign's folder about once a second. A campaign that was killed leaves its folders
behind; the next one of the same campaign takes over what they hold (:func:`abandoned`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from harness import corpus_store
from harness.errors import HarnessError

TAKEN_OVER = "free some disk and start it again: what was kept lies in memory, and the next campaign here takes it over"
"""What to do when a campaign's folder cannot be written."""
_PREFIX = "safetensors-harness-"
_OWNER = "owner"


def root() -> Path:
    """Where the folders lie: a memory file system where there is one."""
    shared = Path("/dev/shm")  # noqa: S108 - a memory file system, each folder is private to its user
    return shared if os.access(shared, os.W_OK) else Path(tempfile.gettempdir())


def create(campaign: Path, target: str) -> Path:
    """A new private folder for one worker of ``campaign``."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root()))
    (folder / _OWNER).write_text(f"{os.getpid()}\n{campaign}\n{target}\n")
    (folder / "corpus").mkdir()
    return folder


def owner(folder: Path) -> int:
    """The process that made a worker's folder."""
    return int((folder / _OWNER).read_text().split("\n", 1)[0])


def sync(memory: Path, corpus: Path, copied: set[str]) -> int:
    """Copy what libFuzzer kept since the last call to ``corpus``; drop what it replaced. Returns how many were new.

    ``copied`` holds the names this worker brought in; libFuzzer replaces its own larger inputs by smaller ones.
    """
    try:
        present = set(os.listdir(memory / "corpus"))
    except FileNotFoundError:
        return 0
    fresh = 0
    for name in present - copied:
        with contextlib.suppress(FileNotFoundError):  # replaced while we looked
            data = (memory / "corpus" / name).read_bytes()
            if corpus_store.sha1(data) != name:
                continue  # half written: the next call takes it
            try:
                corpus_store.add(corpus, data)
            except OSError as error:
                raise HarnessError(f"cannot write the corpus {corpus}: {error.strerror}", hint=TAKEN_OVER) from error
            copied.add(name)
            fresh += 1
    for name in copied - present:
        (corpus / name).unlink(missing_ok=True)
        copied.discard(name)
    return fresh


def remove(memory: Path) -> None:
    """Delete a worker's folder."""
    shutil.rmtree(memory, ignore_errors=True)


def abandoned(campaign: Path) -> list[tuple[Path, str]]:
    """What earlier runs of this campaign left in memory: each worker's folder, and its target.

    Folders that belong to no campaign any more are deleted.
    """
    found: list[tuple[Path, str]] = []
    for folder in sorted(root().glob(_PREFIX + "*")):
        try:
            pid, path, target = (folder / _OWNER).read_text().splitlines()
        except (OSError, ValueError):
            continue
        if Path(f"/proc/{pid}").exists():
            continue
        if Path(path) == campaign:
            found.append((folder, target))
        elif not Path(path).exists():
            remove(folder)
    return found
