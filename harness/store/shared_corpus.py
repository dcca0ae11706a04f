"""The inputs of one target in a store, and the manifest of a parser's campaign.

Inputs are ``corpus/<target>/<sha1>``, and only the host that creates one gets credit for it. A *batch* is an object with the names
of some inputs, ``manifest/<target>/<parser>/<time>-<host>-<number>.json``. The names of batches follow the time, so that a reader
lists only batches that came after those it knows. Clocks of hosts differ, so it looks back :data:`SLACK_S` seconds.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from harness.corpus_store import MAX_SEED, is_name, sha1
from harness.store.objects import Entry, Objects

#: Seconds that a reader looks back. The clocks of two hosts may differ by half of it (:data:`SKEW_S`).
SLACK_S = 120.0
#: Most seconds between the clock of a host and that of the store.
SKEW_S = SLACK_S / 2
#: Most inputs in a batch.
BATCH = 1000
_BATCH_SIZE = 64 * BATCH
_REQUESTS = 8
_BATCH_NAME = re.compile(r"(\d{20})-[A-Za-z0-9._-]{1,80}-[0-9a-f]{8}\.json")
_HOST = re.compile(r"[^A-Za-z0-9._-]")


class SharedCorpus:
    """A target's inputs, as one host sees them. ``position`` is the time of the newest batch that it knows (ns, 20 digits)."""

    def __init__(self, objects: Objects, target: str, parser: str, position: str = "") -> None:
        """``parser``: the content hash of the build."""
        self._objects = objects
        self._inputs = f"corpus/{target}"
        self._manifest = f"manifest/{target}/{parser}"
        self.position = position
        # Batches within the slack that were read.
        self._read: set[str] = set()
        # The batches that :meth:`whole` has read.
        self._whole: list[str] = []

    def push(self, inputs: Mapping[str, bytes], host: str) -> frozenset[str]:
        """Store inputs, given by SHA-1, then a batch with their names. Returns those that this call created."""
        created = set[str]()
        names = sorted(inputs)
        for start in range(0, len(names), BATCH):
            part = names[start : start + BATCH]
            with ThreadPoolExecutor(_REQUESTS) as pool:
                made = pool.map(lambda name: self._objects.create(f"{self._inputs}/{name}", inputs[name]), part)
                created |= {name for name, new in zip(part, made, strict=True) if new}
            self.announce(part, host)
        return frozenset(created)

    def announce(self, names: Iterable[str], host: str) -> None:
        """Store a batch with the ``names`` of stored inputs."""
        label = _HOST.sub("-", host)[:80] or "host"
        path = f"{self._manifest}/{time.time_ns():020d}-{label}-{secrets.token_hex(4)}.json"
        self._objects.create(path, json.dumps(sorted(names)).encode())
        self._read.add(path.rsplit("/", 1)[-1])

    def fresh(self) -> set[str]:
        """The names in batches that this reader did not know, its own left out."""
        after = self.position
        if after:
            after = f"{self._manifest}/{max(int(after) - int(SLACK_S * 1e9), 0):020d}"
        found = set[str]()
        for entry in self._batches(after):
            if entry.name not in self._read:
                found |= self._names(entry.path)
                self._read.add(entry.name)
            self.position = max(self.position, entry.name[:20])
        horizon = f"{max(int(self.position or 0) - int(2 * SLACK_S * 1e9), 0):020d}"
        self._read = {name for name in self._read if name > horizon}
        return found

    def _batches(self, after: str = "") -> Iterator[Entry]:
        """The batches behind the path ``after``; others are refused."""
        now = time.time()
        for entry in self._objects.list(self._manifest, after):
            match = _BATCH_NAME.fullmatch(entry.name)
            if match is None or int(match[1]) > (now + SLACK_S) * 1e9:
                # A batch of the far future would hide all later ones.
                self._objects.refused.add(entry.path, "no name of a batch, or a time in the future")
            else:
                yield entry

    def _names(self, path: str) -> set[str]:
        """The names in one batch; none, with a refusal, where it is no list of names."""
        data = self._objects.read(path, _BATCH_SIZE)
        if data is None:
            return set()
        try:
            names = json.loads(data)
            if not isinstance(names, list) or len(names) > BATCH or not all(is_name(str(name)) for name in names):
                raise ValueError("no list of names")
        except (ValueError, RecursionError):
            self._objects.refused.add(path, "no list of names of inputs")
            return set()
        return {str(name) for name in names}

    def fetch(self, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """The inputs of these names that are there, each with its bytes. Others are refused: too large, or other bytes."""
        with ThreadPoolExecutor(_REQUESTS) as pool:
            for name, data in zip(names, pool.map(self._fetched, names), strict=True):
                if data is not None:
                    yield name, data

    def _fetched(self, name: str) -> bytes | None:
        path = f"{self._inputs}/{name}"
        data = self._objects.read(path, MAX_SEED)
        if data is not None and sha1(data) != name:
            self._objects.refused.add(path, "content does not match its name")
            return None
        return data

    def adopt(self, listed: Collection[str], host: str) -> set[str]:
        """Announce the stored inputs that are not in ``listed``, which are all names of all batches. Returns their names.

        A host that is killed between an input and its batch leaves such inputs. Lists the whole corpus.
        """
        left = set[str]()
        for entry in self._objects.list(self._inputs):
            if not is_name(entry.name) or entry.path != f"{self._inputs}/{entry.name}":
                self._objects.refused.add(entry.path, "no name of an input")
            elif entry.name not in listed:
                left.add(entry.name)
        names = sorted(left)
        for start in range(0, len(names), BATCH):
            self.announce(names[start : start + BATCH], host)
        return left

    def whole(self, host: str) -> set[str]:
        """The names of all inputs, for :meth:`prune` too. Inputs in no batch are announced first."""
        names = set[str]()
        self._whole = []
        # Only what was read may be replaced: two listings can differ.
        for entry in self._batches():
            names |= self._names(entry.path)
            self._whole.append(entry.path)
        return names | self.adopt(names, host)

    def prune(self, lost: Collection[str], kept: Mapping[str, bytes], host: str) -> None:
        """Delete the inputs ``lost``, and put batches with ``kept`` in the place of those that :meth:`whole` read.

        The new batches are written first, so a kill in between leaves a whole corpus. Inputs that hosts stored since then stay.
        Another pruning may have run at the same time with another choice: inputs of ``kept`` that are gone are stored again.
        """
        names = sorted(kept)
        for start in range(0, len(names), BATCH):
            self.announce(names[start : start + BATCH], host)
        self._objects.delete(self._whole)
        self._objects.delete([f"{self._inputs}/{name}" for name in sorted(lost)])
        there = {entry.name for entry in self._objects.list(self._inputs)}
        self.push({name: data for name, data in kept.items() if name not in there}, host)
