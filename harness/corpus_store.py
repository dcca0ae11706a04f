"""Folders of seeds: one file per input, named by the SHA-1 of its bytes, and where each came from.

``corpus/<target>/<sha1>`` holds the inputs, as libFuzzer names them; ``corpus/<target>/provenance.toml`` says for
each where it came from. Readers skip all else in such a folder and name it to the caller: notes, folders,
half-written or renamed files, files past the size cap. A foreign file never ends a run.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import stat
import time
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import HarnessError
from harness.files import write_atomic

#: Largest file taken as a seed, in bytes: past it a mutation costs more than it finds.
MAX_SEED = 64 * 1024

#: The file beside the seeds that says where they came from.
PROVENANCE = "provenance.toml"
#: The file beside the seeds that says which of them stay, and why (:mod:`harness.corpus_pins`).
PINS = "pins.toml"

# Age in seconds of a temporary file that its writer has abandoned.
_ABANDONED_S = 3600.0

_SHA1 = re.compile(r"[0-9a-f]{40}")
# Files that belong in a corpus folder and are no seeds.
_EXPECTED = frozenset({PROVENANCE, PINS, "README.md", ".gitkeep"})


@dataclass(frozen=True, slots=True)
class SeedListing:
    """The seeds of a folder as ``(sha1, bytes)``, ordered by name, and why each other entry was ``skipped``."""

    seeds: list[tuple[str, bytes]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def warning(self) -> str:
        """One line for people on what was skipped; "" when nothing was."""
        if not self.skipped:
            return ""
        more = f" and {len(self.skipped) - 3} more" if len(self.skipped) > 3 else ""
        files = "file" if len(self.skipped) == 1 else "files"
        return f"skipped {len(self.skipped)} foreign {files}: {'; '.join(self.skipped[:3])}{more}"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a seed came from.

    ``source`` is "generator" (``detail`` names it, ``seed`` is its random seed), "campaign" (``detail`` is the
    campaign's folder name, ``seed`` its random seed) or "import" (``detail`` is the file's name).
    """

    source: str
    detail: str
    seed: int | None = None

    def __str__(self) -> str:
        return f"{self.source} {self.detail}" + ("" if self.seed is None else f" seed {self.seed}")


def sha1(data: bytes) -> str:
    """The name of a seed: 40 hex digits."""
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def is_name(text: str) -> bool:
    """Whether ``text`` may be the name of a seed."""
    return _SHA1.fullmatch(text) is not None


def list_seeds(folder: Path, *, max_size: int = MAX_SEED) -> SeedListing:
    """The seeds in ``folder`` of at most ``max_size`` bytes, ordered by name; a missing folder has none.

    Only regular files whose name is the SHA-1 of their content count. Raises HarnessError when ``folder`` is there
    but is no folder that can be read.
    """
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return SeedListing()
    except OSError as error:
        raise HarnessError(
            f"cannot read the corpus folder {folder}: {error.strerror}", hint="name a folder of seeds"
        ) from error
    listing = SeedListing()
    for name in names:
        if name in _EXPECTED or name.startswith(".tmp-"):
            continue
        problem, data = _read_seed(folder / name, max_size)
        if problem:
            listing.skipped.append(f"{name} ({problem})")
        else:
            listing.seeds.append((name, data))
    return listing


def _read_seed(path: Path, max_size: int) -> tuple[str, bytes]:
    """``(what is wrong, b"")`` or ``("", content)``."""
    if not is_name(path.name):
        return "name is no SHA-1", b""
    try:
        # Non-blocking: a FIFO of that name must not stop the run; for regular files the flag means nothing.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return "no regular file", b""
            if status.st_size > max_size:
                return f"{status.st_size} bytes, the limit is {max_size}", b""
            data = file.read(max_size + 1)
    except IsADirectoryError:
        return "no regular file", b""
    except OSError as error:
        return str(error.strerror), b""
    if sha1(data) != path.name:
        return "content does not match its name", b""
    return "", data


def add(folder: Path, data: bytes, *, durable: bool = True) -> Path:
    """Store ``data`` under its SHA-1 and return the path; makes the folder, keeps a file that is already there.

    Without ``durable`` a power cut may spoil the file. Readers then pass over it, because its name is the hash of other
    bytes; the next call with the same ``data`` writes it again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / sha1(data)
    if not path.is_file() or path.stat().st_size != len(data):
        write_atomic(path, data, durable=durable)
    return path


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[Path]:
    """``folder``, made where it is missing, for one process that changes it at a time.

    The lock is on the folder itself and ends with the process. Raises HarnessError when another process holds it, or
    holds all of the corpus that it is in (:func:`locked_whole`), or the folder cannot be used.
    """
    with _flocked(folder.parent, fcntl.LOCK_SH), _flocked(folder, fcntl.LOCK_EX):
        yield folder


@contextlib.contextmanager
def locked_whole(corpus: Path) -> Iterator[Path]:
    """``corpus``, a folder with one per target, for one process: a campaign, whose own it is. Raises as :func:`locked` does."""
    with _flocked(corpus, fcntl.LOCK_EX):
        yield corpus


@contextlib.contextmanager
def _flocked(folder: Path, kind: int) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise HarnessError(f"cannot use {folder}: {error.strerror}", hint="name a folder of seeds") from error
    try:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except OSError as error:
            raise HarnessError(
                f"another process is changing the seeds in {folder}", hint="wait until it is done, and say it again"
            ) from error
        yield
    finally:
        os.close(descriptor)


def change(folder: Path, new: Mapping[str, tuple[bytes, Provenance]], remove: Collection[str] = ()) -> None:
    """Add seeds with their provenance (by SHA-1) and remove others, so that a kill leaves a whole corpus at any moment.

    Every seed in the folder has its provenance there. A new seed's provenance is written before the seed, that of a removed
    seed goes after the seed. No seed is removed before all new ones are there. Raises HarnessError when the disk is full.
    """
    old = read_provenance(folder)
    both = {**{name: entry for name, (_, entry) in new.items()}, **old}
    try:
        if new:
            write_provenance(folder, both)
        for data, _ in new.values():
            add(folder, data)
        for name in remove:
            (folder / name).unlink(missing_ok=True)
        present = _tidied(folder)
        if not both.keys() <= present:
            write_provenance(folder, {name: entry for name, entry in both.items() if name in present})
    except OSError as error:
        raise HarnessError(
            f"cannot change the seeds in {folder}: {error.strerror}",
            hint="free some room; no seed that was needed is gone",
        ) from error


def _tidied(folder: Path) -> set[str]:
    """The names in ``folder``, without the half files that killed processes left."""
    names = set(os.listdir(folder))
    for name in [name for name in names if name.startswith(".tmp-")]:
        with contextlib.suppress(OSError):
            # A young one may still be in the making.
            if time.time() - (folder / name).stat().st_mtime > _ABANDONED_S:
                (folder / name).unlink()
    return names


def read_provenance(folder: Path) -> dict[str, Provenance]:
    """SHA-1 to provenance of the seeds in ``folder``; empty where nothing is recorded.

    Raises HarnessError naming the file when it is damaged.
    """
    path = folder / PROVENANCE
    try:
        table = tomllib.loads(path.read_text())
        return {
            name: Provenance(entry["source"], entry["detail"], entry.get("seed"))
            for name, entry in table.items()
            if is_name(name)
        }
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise HarnessError(
            f"{path} is damaged: {error}", hint="restore it from version control, or delete it to start anew"
        ) from error


def write_provenance(folder: Path, provenance: Mapping[str, Provenance]) -> None:
    """Record where the seeds of ``folder`` came from: one line each, ordered by name, so that diffs stay small."""
    lines = ["# Where each seed came from; kept by `harness corpus`."]
    for name, entry in sorted(provenance.items()):
        fields = f"source = {_quote(entry.source)}, detail = {_quote(entry.detail)}"
        if entry.seed is not None:
            fields += f", seed = {entry.seed}"
        lines.append(f'"{name}" = {{ {fields} }}')
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / PROVENANCE, "\n".join(lines) + "\n")


def _quote(text: str) -> str:
    """A TOML basic string: JSON's, with raw characters past ASCII and without DEL and lone surrogates (file names)."""
    clean = text.replace("\x7f", "?").encode("utf-8", "replace").decode()
    return json.dumps(clean, ensure_ascii=False)
