"""How what workers keep in memory comes into a campaign's folder: file by file, as cheaply as that can be done.

A campaign copies some thousand inputs in its first minute: this is most of what its supervisor does. So it alone writes
to the folder (it holds its lock), remembers what is there, and looks only at folders in memory that have changed.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from harness import corpus_store
from harness.engine.worker.memory import TAKEN_OVER
from harness.errors import HarnessError

_SHA1 = re.compile(r"[0-9a-f]{40}")
_TEMPORARY = ".tmp-kept-"
_BLOCK = 1 << 16
# The times of files are those of the kernel's last tick: a folder that changed less than this ago may change unseen.
_TICKS_NS = 50_000_000
# How often a worker has to say that an input brought no edge.
_TIMES = 2


@dataclass(frozen=True, slots=True)
class Room:
    """How much of each target a campaign keeps: bytes, and files. Once either is there, only what brings new edges comes in."""

    size: int = 50_000_000
    files: int = 20_000


ROOM = Room()


class Kept:
    """A target's corpus in a campaign's folder, which nobody else writes to. Made at the first input."""

    def __init__(self, folder: Path, room: Room | None = None) -> None:
        """Look at what is there. Empty files are none: a power cut leaves some, and the next worker may have the input."""
        self.folder = folder
        self._path = str(folder)
        # Its own: no other object, thread or process writes to this name.
        self._temporary = f"{folder}/{_TEMPORARY}{secrets.token_hex(8)}"
        self._room = room
        #: How many inputs were not stored, as there was no room.
        self.passed_over = 0
        self._sizes: dict[str, int] = {}
        with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
            sizes = {entry.name: entry.stat().st_size for entry in entries if _SHA1.fullmatch(entry.name)}
            self._sizes = {name: size for name, size in sizes.items() if size}
        self._size = sum(self._sizes.values())

    def __contains__(self, name: str) -> bool:
        return name in self._sizes

    def full(self) -> bool:
        """Whether there is room for nothing but new edges."""
        return self._room is not None and (self._size >= self._room.size or len(self._sizes) >= self._room.files)

    def add(self, name: str, data: bytes) -> None:
        """Store ``data`` under its SHA-1, whole or not at all. Raises HarnessError where it cannot be written.

        Nobody waits for the disk: what a power cut spoils does not bear its name.
        """
        temporary = self._temporary
        try:
            try:
                _write(temporary, data)
            except FileNotFoundError:
                self.folder.mkdir(parents=True, exist_ok=True)
                _write(temporary, data)
            os.rename(temporary, f"{self._path}/{name}")
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise HarnessError(f"cannot write the corpus {self.folder}: {error.strerror}", hint=TAKEN_OVER) from error
        self._sizes[name] = len(data)
        self._size += len(data)

    def drop(self, name: str) -> None:
        """Delete it."""
        (self.folder / name).unlink(missing_ok=True)
        self._size -= self._sizes.pop(name, 0)


def _write(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = block = os.read(descriptor, _BLOCK)
        while len(block) == _BLOCK:
            block = os.read(descriptor, _BLOCK)
            data += block
    finally:
        os.close(descriptor)
    return data


@dataclass(slots=True)
class _Waiting:
    """An input without room: edges that its worker had reached before it came, when it spoke last since then, and how often."""

    known: int
    at: int = 0
    told: int = 0


class Mirror:
    """Keeps a campaign's corpus in step with what one worker keeps in memory.

    libFuzzer replaces its own inputs by smaller ones that show the same; what it replaced leaves the corpus too, if this
    worker brought it there. It deletes the old one before it writes the new one, so that an input must be missing twice
    in a row: a worker killed in between takes nothing with it. Where there is no room nothing is deleted: what took its place brings
    no edge, and is passed over.
    """

    def __init__(self, memory: Path, kept: Kept, replaced: Path | None = None) -> None:
        """``replaced`` is a file that takes a line for each input that left the corpus."""
        self._memory = memory / "corpus"
        self._given = memory / "given"
        self._kept = kept
        self._log = replaced
        #: Names that are in step, and of those the ones that this worker brought.
        self._seen: set[str] = set()
        self._own: set[str] = set()
        self._missing: set[str] = set()
        #: What waits for room.
        self._waiting: dict[str, _Waiting] = {}
        self._edges = 0
        #: When the folder in memory had changed last, where all that it held then is in step.
        self._settled = 0

    @property
    def brought(self) -> frozenset[str]:
        """The inputs of the corpus that came from this worker."""
        return frozenset(self._own)

    def knows(self, edges: int) -> None:
        """So many of the parser's edges the worker had reached when its seeds had run."""
        self._edges = edges

    def sync(self, edges: int = 0, at: int = 0, *, last: bool = False) -> dict[str, bytes]:
        """Copy what the worker kept since the last call, which is returned; drop what it has replaced.

        ``edges`` of the parser were those of the worker at the time ``at`` (in ns), ``last``: it has ended. Where there is no room, what is
        new waits until the worker has said twice how many edges it reaches with that: it is stored if they are more than
        before it came, whichever input they were of. What a worker that died had not said is stored.

        Twice, as a worker that speaks in the middle of an input has counted its semantic features, and not yet its edges.
        """
        before, self._edges = self._edges, edges
        try:
            changed = os.stat(self._memory).st_mtime_ns
            if changed == self._settled:
                return {}
            now = time.time_ns()
            present = set(os.listdir(self._memory))
        except FileNotFoundError:
            return {}
        fresh: dict[str, bytes] = {}
        whole, waited, self._waiting = True, self._waiting, {}
        for name in present - self._seen:
            if name in self._kept:
                self._seen.add(name)
            elif not self._kept.full():
                whole &= self._copy(name, fresh)
            else:
                found = waited.get(name) or _Waiting(before)
                if at > found.at and self._older(name, at):
                    found.at, found.told = at, found.told + 1
                more = edges > found.known
                if not last and (not found.told or (found.told < _TIMES and not more)):
                    self._waiting[name] = found
                elif found.told and not more:
                    self._seen.add(name)
                    self._kept.passed_over += 1
                else:
                    whole &= self._copy(name, fresh)
        replaced = (self._own & self._missing) - present
        if self._kept.full():
            self._own -= replaced
        else:
            self._drop(replaced)
        self._missing = self._own - present
        still = whole and not self._missing and not self._waiting and now > changed + _TICKS_NS
        self._settled = changed if still else 0
        return fresh

    def _older(self, name: str, at: int) -> bool:
        """Whether an input was there at that time for certain."""
        try:
            return at > os.stat(f"{self._memory}/{name}").st_mtime_ns + _TICKS_NS
        except FileNotFoundError:
            return False

    def _copy(self, name: str, fresh: dict[str, bytes]) -> bool:
        """Store an input, and add it to ``fresh``; whether it was whole: half written, the next call takes it."""
        with contextlib.suppress(FileNotFoundError):  # replaced while we looked
            data = _read(f"{self._memory}/{name}")
            if corpus_store.sha1(data) != name:
                return False
            self._kept.add(name, data)
            self._seen.add(name)
            self._own.add(name)
            fresh[name] = data
        return True

    def _drop(self, names: set[str]) -> None:
        """Delete what was replaced, once that is written down."""
        if not names:
            return
        if self._log is not None:
            with self._log.open("a") as log:
                log.writelines(f"{self._kept.folder.name}/{name}\n" for name in sorted(names))
        for name in names:
            self._kept.drop(name)
        self._own -= names
        self._seen -= names

    def give(self, name: str, data: bytes) -> None:
        """Hand the worker an input that another one kept; libFuzzer reads the folder again when it is told to (``-reload``)."""
        if name in self._seen or (self._memory / name).exists():
            return
        self._seen.add(name)
        self._given.write_bytes(data)
        # libFuzzer takes what is not older than its last look, by the second.
        later = time.time() + 1
        os.utime(self._given, (later, later))
        self._given.rename(self._memory / name)
