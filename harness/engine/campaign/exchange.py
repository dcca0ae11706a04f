"""Exchanges inputs, findings and guards between a campaign's folder and a store, in a thread beside the workers.

The folder is the spool: all in it that the store does not have yet waits there, through kills too. Where the store gives no
answer, the thread waits longer each time, and the workers go on. In ``FOLDER/store`` are ``pushed.txt`` with the names of stored
inputs, ``seeds/<target>/`` with inputs of other hosts, ``<target>.position`` in the manifest, and ``status.json``.
"""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

from harness import corpus_store
from harness.engine.campaign import deaths
from harness.errors import HarnessError
from harness.files import write_atomic
from harness.findings import store
from harness.store import records
from harness.store.objects import Objects
from harness.store.shared_corpus import BATCH, SharedCorpus

PLACE = "store"
STATUS = "status.json"
#: Seconds between two exchanges.
EVERY_S = 5.0
# Most seconds between two attempts.
_PATIENCE_S = 60.0


class Exchange:
    """The exchange of one folder. Use as a context manager, after :meth:`seed`. ``say`` gets changes of the state in words."""

    def __init__(
        self, objects: Objects, folder: Path, host: str, parser: str, say: Callable[[str], object] = lambda _: None
    ) -> None:
        """``parser``: the content hash of the build. Takes up what earlier processes left in the folder."""
        self.objects = objects
        self._folder = folder
        self._place = folder / PLACE
        self._place.mkdir(parents=True, exist_ok=True)
        self._host, self._parser, self._say = host, parser, say
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="exchange", daemon=True)
        self._corpora: dict[str, SharedCorpus] = {}
        self._pushed = self._stored()
        self._waiting = {path.name: self._left(path) for path in folder.glob("corpus/*") if path.is_dir()}
        self._received: dict[str, dict[str, bytes]] = {}
        # Names in batches that were read, whose inputs are not here yet.
        self._wanted: dict[str, set[str]] = {}
        self._since = time.monotonic()
        self._failures = 0
        #: Inputs by target, and findings, that this host was the first to store.
        self.created: dict[str, set[str]] = {}
        self.first: set[str] = set()
        self.pulled: Counter[str] = Counter()
        #: Why the store could not be used the last time, "" where it could.
        self.problem = ""

    def _stored(self) -> set[str]:
        with contextlib.suppress(FileNotFoundError):
            return set((self._place / "pushed.txt").read_text().split())
        return set()

    def _left(self, folder: Path) -> set[str]:
        """The inputs of a target that an earlier process did not push."""
        names = {path.name for path in folder.iterdir() if corpus_store.is_name(path.name)}
        return {name for name in names if f"{folder.name}/{name}" not in self._pushed}

    def seed(self, target: str) -> Path:
        """Get all inputs of a target that the store has. Returns the folder with them, which later ones are added to.

        A folder that begins also announces inputs of killed hosts. Raises HarnessError.
        """
        place = self.seeds(target)
        position = self._place / f"{target}.position"
        known = position.read_text() if position.is_file() else ""
        corpus = self._corpora[target] = SharedCorpus(self.objects, target, self._parser, known)
        names = corpus.fresh()
        if not known:
            names |= corpus.adopt(names, self._host)
        self._fetch(target, names)
        self.received(target)
        return place

    def seeds(self, target: str) -> Path:
        """The folder with the inputs of other hosts."""
        place = self._place / "seeds" / target
        place.mkdir(parents=True, exist_ok=True)
        self._corpora.setdefault(target, SharedCorpus(self.objects, target, self._parser))
        return place

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def offer(self, target: str, names: Iterable[str]) -> None:
        """Push inputs of the folder ``corpus/<target>`` at the next exchange."""
        with self._lock:
            self._waiting.setdefault(target, set()).update(names)

    def received(self, target: str) -> dict[str, bytes]:
        """Inputs of other hosts since the last call."""
        with self._lock:
            return self._received.pop(target, {})

    def finish(self, patience: float, hurry: Callable[[], bool] = lambda: False) -> None:
        """Push all that waits, for at most ``patience`` seconds. Raises the error of the store where something still waits.

        Call it after the ``with`` block.
        """
        deadline = time.monotonic() + patience
        # A unit takes over the inputs of its killed predecessor as it starts.
        for path in self._folder.glob("corpus/*"):
            self.offer(path.name, self._left(path))
        while True:
            error = self._attempt()
            if error is None and not self.waiting():
                return
            if error is not None and (hurry() or time.monotonic() > deadline):
                raise HarnessError(
                    f"{error}; {self.waiting()} inputs wait in {self._folder}",
                    hint=f"run the same command again: it stores them ({getattr(error, 'hint', '')})",
                )
            if error is not None:
                time.sleep(min(1.0, self._pause()))

    def waiting(self) -> int:
        """The number of inputs that the store does not have yet."""
        with self._lock:
            return sum(map(len, self._waiting.values()))

    def state(self) -> dict[str, Any]:
        """Figures for people and for the result. ``lag_seconds``: how long inputs wait that could not be stored."""
        return {
            "address": self.objects.address,
            "waiting": self.waiting(),
            "lag_seconds": round(time.monotonic() - self._since, 1) if self.problem else 0.0,
            "created": sum(map(len, self.created.values())),
            "pulled": self.pulled.total(),
            "refused": dict(self.objects.refused.counts),
            "refused_names": dict(self.objects.refused.named),
            "requests": dict(self.objects.requests),
            "problem": self.problem,
        }

    def _run(self) -> None:
        while not self._over.wait(self._pause()):
            self._attempt()

    def _pause(self) -> float:
        """Seconds to the next exchange: longer with each failure, and not the same on all hosts."""
        return min(EVERY_S * (1 << min(self._failures, 8)), _PATIENCE_S) * random.uniform(0.75, 1.25)

    def _attempt(self) -> HarnessError | OSError | None:
        """One exchange. Returns the error, if there was one; all that was not stored waits on."""
        before, error = self.problem, None
        try:
            self._exchange()
        except (HarnessError, OSError) as failed:
            error = failed
        self._failures = self._failures + 1 if error else 0
        self.problem = str(error or "")
        if not error:
            self._since = time.monotonic()
        if error and not before:
            self._say(f"{self.problem}; fuzzing goes on, {self.waiting()} inputs wait in {self._folder}")
        if before and not error:
            self._say(f"the store {self.objects.address} answers again: all inputs are stored")
        with contextlib.suppress(OSError):
            write_atomic(self._place / STATUS, json.dumps(self.state(), indent=1), durable=False)
        return error

    def _exchange(self) -> None:
        for target in list(self._waiting):
            self._push(target)
        for stored in store.findings(self._folder):
            self._push_finding(stored)
        for target in list(self._corpora):
            self._fetch(target, self._corpora[target].fresh())

    def _push(self, target: str) -> None:
        corpus = self._corpora.setdefault(target, SharedCorpus(self.objects, target, self._parser))
        while names := sorted(self._waiting[target])[:BATCH]:
            inputs: dict[str, bytes] = {}
            for name in names:
                # libFuzzer may have replaced it by a smaller one.
                with contextlib.suppress(FileNotFoundError):
                    data = (self._folder / "corpus" / target / name).read_bytes()
                    inputs |= {name: data} if corpus_store.sha1(data) == name else {}
            created = corpus.push(inputs, self._host) if inputs else frozenset[str]()
            self.created.setdefault(target, set()).update(created)
            self._note(*(f"{target}/{name}" for name in inputs))
            with self._lock:
                self._waiting[target].difference_update(names)

    def _note(self, *names: str) -> None:
        """Note that the store has these."""
        with (self._place / "pushed.txt").open("a") as file:
            file.writelines(f"{name}\n" for name in names)
        self._pushed.update(names)

    def _push_finding(self, stored: store.Stored) -> None:
        guard, found = f"guard:{stored.id}", f"finding:{stored.id}:{stored.size}"
        if stored.guard and guard not in self._pushed:
            records.put_guard(self.objects, stored.target, stored.guard)
            self._note(guard)
        # A worker may replace the input at any time by a smaller one.
        if found not in self._pushed and len(data := stored.data()) == stored.size:
            if records.put_finding(self.objects, stored.fields, data):
                self.first.add(stored.id)
            self._note(found)

    def _fetch(self, target: str, names: Iterable[str]) -> None:
        """Get the inputs that the folder lacks, then note the position."""
        place, corpus = self.seeds(target), self._corpora[target]
        own = self._folder / "corpus" / target
        wanted = self._wanted.setdefault(target, set())
        wanted.update(name for name in names if not (place / name).is_file() and not (own / name).is_file())
        for name, data in corpus.fetch(sorted(wanted)):
            corpus_store.add(place, data, durable=False)
            wanted.discard(name)
            self.pulled[target] += 1
            with self._lock:
                self._received.setdefault(target, {})[name] = data
        wanted.clear()
        if corpus.position:
            write_atomic(self._place / f"{target}.position", corpus.position, durable=False)

    def guards(self, target: str) -> tuple[str, ...]:
        """The guards of all hosts for a target. Raises HarnessError."""
        return tuple(dict.fromkeys([*deaths.guards(self._folder), *records.get_guards(self.objects, target)]))
