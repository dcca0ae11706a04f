"""Copies the inputs of workers from memory to a campaign's folder, cheaply.

A campaign copies some thousand inputs in its first minute, most of its supervisor's work. The supervisor alone writes to the
folder, whose lock it holds. It remembers the folder's content, and reads only memory folders that have changed.
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
_TEMPORARY = ".tmp-corpus-"
# File times are those of the kernel's last tick. A folder that changed less than this ago may change again at the same time.
_TICKS_NS = 50_000_000
# Statuses without a new edge before an input is passed over.
_STATUSES = 2


@dataclass(frozen=True, slots=True)
class Quota:
    """Limits of a target's corpus in a campaign, in bytes and in files. Beyond either, only inputs with new edges are saved."""

    size: int = 50_000_000
    files: int = 20_000


QUOTA = Quota()


class CampaignCorpus:
    """A target's corpus in a campaign's folder, with one writer. The first input creates the folder."""

    def __init__(self, folder: Path, quota: Quota | None = None) -> None:
        """Read the folder. Empty files do not count: a power cut leaves some, and a worker may write the input again."""
        self.folder = folder
        self._path = str(folder)
        # A name of its own: no other object, thread or process writes to it.
        self._temporary = f"{folder}/{_TEMPORARY}{secrets.token_hex(8)}"
        self._quota = quota
        #: Number of inputs that were not saved because of the quota.
        self.passed_over = 0
        self._sizes: dict[str, int] = {}
        with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
            sizes = {entry.name: entry.stat().st_size for entry in entries if _SHA1.fullmatch(entry.name)}
            self._sizes = {name: size for name, size in sizes.items() if size}
        self._size = sum(self._sizes.values())

    def __contains__(self, name: str) -> bool:
        return name in self._sizes

    def full(self) -> bool:
        """Whether the quota is used up."""
        return self._quota is not None and (self._size >= self._quota.size or len(self._sizes) >= self._quota.files)

    def add(self, name: str, data: bytes) -> None:
        """Store ``data`` under its SHA-1, whole or not at all. Raises HarnessError where it cannot be written.

        The write is not flushed to the disk: a file that a power cut spoils does not match its name.
        """
        temporary = self._temporary
        try:
            if not self._sizes:
                self.folder.mkdir(parents=True, exist_ok=True)
            with open(temporary, "wb") as file:
                file.write(data)
            os.rename(temporary, f"{self._path}/{name}")
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise HarnessError(f"cannot write the corpus {self.folder}: {error.strerror}", hint=TAKEN_OVER) from error
        self._sizes[name] = len(data)
        self._size += len(data)

    def drop(self, name: str) -> None:
        """Delete an input."""
        (self.folder / name).unlink(missing_ok=True)
        self._size -= self._sizes.pop(name, 0)


@dataclass(slots=True)
class _Waiting:
    """An input beyond the quota: its worker's edges before it, and the last status since then with the number of them."""

    edges_before: int
    at: int = 0
    statuses: int = 0


class CorpusSync:
    """Keeps a campaign's corpus in step with one worker's corpus in memory.

    libFuzzer replaces its inputs by smaller ones with the same features. A replaced input leaves the campaign's corpus too, if it
    came from this worker. libFuzzer deletes the old input before it writes the new one, so an input must be missing twice in a
    row: a worker that is killed in between loses nothing. Beyond the quota nothing is deleted, because the replacement brings no
    edge and is not saved.
    """

    def __init__(self, memory: Path, corpus: CampaignCorpus, replaced: Path | None = None) -> None:
        """``replaced``: a file that gets a line for each input that left the corpus."""
        self._memory = memory / "corpus"
        self._given = memory / "given"
        self._corpus = corpus
        self._log = replaced
        # Names in step, and those among them that this worker brought.
        self._seen: set[str] = set()
        self._own: set[str] = set()
        self._missing: set[str] = set()
        # Inputs beyond the quota whose edges are not known yet.
        self._waiting: dict[str, _Waiting] = {}
        self._edges = 0
        # Time of the last change of the folder in memory, if all of its content is in step.
        self._in_step = 0

    @property
    def brought(self) -> frozenset[str]:
        """Names of the inputs in the corpus that came from this worker."""
        return frozenset(self._own)

    def start_with(self, edges: int) -> None:
        """Set the number of the parser's edges after the worker's seeds."""
        self._edges = edges

    def sync(self, edges: int = 0, at: int = 0, *, last: bool = False) -> dict[str, bytes]:
        """Copy the worker's new inputs, which are returned by name, and drop replaced ones.

        ``edges`` is the worker's number of edges in its status of the time ``at`` (ns); ``last``: the worker has ended. Beyond the
        quota, a new input waits for two later statuses. It is saved if their number of edges is higher than before it, whichever
        input they came from. It is also saved where its worker died before a later status.

        A single status is not enough: written in the middle of an input, it counts the semantic features but not yet the edges.
        """
        before, self._edges = self._edges, edges
        try:
            changed = os.stat(self._memory).st_mtime_ns
            if changed == self._in_step:
                return {}
            now = time.time_ns()
            present = set(os.listdir(self._memory))
        except FileNotFoundError:
            return {}
        fresh: dict[str, bytes] = {}
        whole, waited, self._waiting = True, self._waiting, {}
        for name in present - self._seen:
            if name in self._corpus:
                self._seen.add(name)
            elif not self._corpus.full():
                whole &= self._copy(name, fresh)
            else:
                found = waited.get(name) or _Waiting(before)
                if at > found.at and self._older(name, at):
                    found.at, found.statuses = at, found.statuses + 1
                more = edges > found.edges_before
                if not last and (not found.statuses or (found.statuses < _STATUSES and not more)):
                    self._waiting[name] = found
                elif found.statuses and not more:
                    self._seen.add(name)
                    self._corpus.passed_over += 1
                else:
                    whole &= self._copy(name, fresh)
        replaced = (self._own & self._missing) - present
        if self._corpus.full():
            self._own -= replaced
        else:
            self._drop(replaced)
        self._missing = self._own - present
        still = whole and not self._missing and not self._waiting and now > changed + _TICKS_NS
        self._in_step = changed if still else 0
        return fresh

    def _older(self, name: str, at: int) -> bool:
        """Whether an input certainly existed at the time ``at``."""
        try:
            return at > os.stat(f"{self._memory}/{name}").st_mtime_ns + _TICKS_NS
        except FileNotFoundError:
            return False

    def _copy(self, name: str, fresh: dict[str, bytes]) -> bool:
        """Store an input and add it to ``fresh``; False where it is half written, and the next call must read it again."""
        with contextlib.suppress(FileNotFoundError):  # libFuzzer has replaced it meanwhile
            data = (self._memory / name).read_bytes()
            if corpus_store.sha1(data) != name:
                return False
            self._corpus.add(name, data)
            self._seen.add(name)
            self._own.add(name)
            fresh[name] = data
        return True

    def _drop(self, names: set[str]) -> None:
        """Delete replaced inputs, after their names are in the log."""
        if not names:
            return
        if self._log is not None:
            with self._log.open("a") as log:
                log.writelines(f"{self._corpus.folder.name}/{name}\n" for name in sorted(names))
        for name in names:
            self._corpus.drop(name)
        self._own -= names
        self._seen -= names

    def give(self, name: str, data: bytes) -> None:
        """Give the worker an input of another one. libFuzzer reads it from the folder with ``-reload``."""
        if name in self._seen or (self._memory / name).exists():
            return
        self._seen.add(name)
        self._given.write_bytes(data)
        # libFuzzer reads files that are not older than its last look, in whole seconds.
        later = time.time() + 1
        os.utime(self._given, (later, later))
        self._given.rename(self._memory / name)
