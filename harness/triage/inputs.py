"""Resolves ``ID|FILE`` to an input and the finding it belongs to; reads regular files of bounded size."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError
from harness.files import open_at_once
from harness.findings import crashes, store

#: Largest file that is read as a whole, in bytes: more than twice the limit of a header.
MAX_WHOLE = 256 << 20


@dataclass(frozen=True, slots=True)
class Named:
    """An input. ``id``, ``target`` and ``signature`` are "" for a file that belongs to no finding."""

    path: Path
    id: str = ""
    target: str = ""
    signature: str = ""
    parser: str = ""
    builds: tuple[str, ...] = ()

    def data(self) -> bytes:
        """The bytes. Raises HarnessError when the file cannot be read, is none, or is too large."""
        return read_whole(self.path)


def size_of(path: Path) -> int:
    """The size of a regular file in bytes. Raises HarnessError for everything else; never blocks."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise HarnessError(f"{path}: {reason}", hint="name a file that can be read") from error
    if stat.S_ISDIR(status.st_mode):
        raise HarnessError(f"{path} is a folder", hint=f"name the files in it: {path}/*.safetensors")
    if not stat.S_ISREG(status.st_mode):
        raise HarnessError(f"{path} is no regular file", hint="copy its content into a file first")
    return status.st_size


def read_whole(path: Path) -> bytes:
    """All of a regular file of at most MAX_WHOLE bytes. Raises HarnessError otherwise."""
    size = size_of(path)
    if size > MAX_WHOLE:
        hint = "harness check reads files of any size"
        raise HarnessError(f"{path} has {size} bytes; inputs are run up to {MAX_WHOLE}", hint=hint)
    try:
        # A pipe may have replaced the file.
        with open_at_once(path) as file:
            return file.read(size)
    except OSError as error:
        raise HarnessError(f"{path}: {error.strerror}", hint="name a file that can be read") from error


def resolve(name: str) -> Named:
    """The input called ``name``: a file, a finding's folder, or the id of a finding.

    Ids are looked up in crashes/ first, then in the campaigns, the latest first. A unique prefix of an id is enough.
    Raises HarnessError when nothing matches.
    """
    path = Path(name)
    if path.is_dir() and (found := _in_folder(path)) is not None:
        return found
    if path.exists():
        return _of_file(path)
    if (found := _by_id(name)) is not None:
        return found
    if os.sep in name:
        size_of(path)
    raise HarnessError(f"no file and no finding is called {name!r}", hint="harness findings lists the ids of a campaign; crashes/ holds the filed ones")  # fmt: skip


def _in_folder(folder: Path) -> Named | None:
    if (folder / crashes.ABOUT).is_file():
        return of_crash(crashes.load(folder.resolve()))
    if (folder / store.ABOUT).is_file():
        return of_stored(store.finding_at(folder))
    return None


def _of_file(path: Path) -> Named:
    """A file. The input of a finding has the finding's id, target and signature."""
    size_of(path)
    if path.name in (store.INPUT, crashes.INPUT):
        found = _in_folder(path.parent)
        if found is not None and found.path.name == path.name:
            return found
    return Named(path)


def of_crash(crash: crashes.Crash) -> Named:
    """A filed finding."""
    return Named(crash.input, crash.id, crash.target, crash.signature, builds=crash.builds)


def of_stored(stored: store.Stored) -> Named:
    """A campaign's finding."""
    return Named(stored.input, stored.id, stored.target, stored.signature, stored.parser)


def _by_id(name: str) -> Named | None:
    candidates: dict[str, Named] = {}
    for root in crashes.roots():
        for folder in sorted(root.glob("*/")):
            if folder.name.startswith(name) and (folder / crashes.ABOUT).is_file() and folder.name not in candidates:
                candidates[folder.name] = of_crash(crashes.load(folder))
    for campaign in store.campaigns():
        for folder in sorted((campaign / "findings").glob("*/")):
            if folder.name.startswith(name) and (folder / store.ABOUT).is_file() and folder.name not in candidates:
                candidates[folder.name] = of_stored(store.finding_at(folder))
    if name in candidates:
        return candidates[name]
    if len(candidates) > 1:
        raise HarnessError(
            f"{name!r} could be {', '.join(sorted(candidates)[:8])}", hint="give more characters of the id"
        )
    return next(iter(candidates.values()), None)
