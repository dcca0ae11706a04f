"""How many executions touched what: the counts that species-discovery statistics start from.

A sample of the executions is looked at when they have run: which of the parser's edges and which semantic features they
touched. An edge is a *species*, an execution a *sampling unit*: what is kept per species is its incidence, the number of
sampled executions that touched it (Chao and Jost 2012). Reading the counters draws no random number and changes nothing
that libFuzzer sees, so that a run of N executions repeats with it.

Edges of Python code are not in it: libFuzzer keeps those counters to itself. Neither are executions before the first
sample, nor those of a worker that died after its last status.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from harness.engine.worker.native import NativeCounters
from harness.engine.worker.semantics import SemanticCounters
from harness.files import write_atomic

FILE = "species"
MOST = 256
"""At most every so many executions one is looked at: a look takes some 10 us, an execution of the quickest target 8."""
#: Seconds of looking per second of running, at most.
_SHARE = 0.01
_LOOK_S = 10e-6
#: Frequency classes that a summary lists: species touched once, twice, ...
CLASSES = 8
_HEADER = struct.Struct("<QIII")


def spacing(rate: float) -> int:
    """Every how many executions one is looked at where ``rate`` of them run in a second: a power of two, at most ``MOST``."""
    wanted = rate * _LOOK_S / _SHARE
    every = 1
    while every < min(wanted, MOST):
        every *= 2
    return every


class Sampler:
    """A worker's side. ``every`` may change as the run goes on: the estimates need only that it does not look at the input."""

    def __init__(self, native: NativeCounters | None, semantic: SemanticCounters) -> None:
        self._index = semantic.index
        self._edges_now = numpy.frombuffer(native.view if native is not None else b"", numpy.uint8)
        self._features_now = numpy.frombuffer(semantic.table, numpy.uint8)
        self._edges = numpy.zeros(len(self._edges_now), numpy.uint32)
        self._features = numpy.zeros(len(self._features_now), numpy.uint32)
        self._touched = numpy.zeros(len(self._edges_now), numpy.bool_)
        self._names: list[int] = []
        self.every = MOST
        self.sampled = 0

    def take(self) -> None:
        """Look at the execution that has just ended."""
        self.sampled += 1
        numpy.not_equal(self._edges_now, 0, out=self._touched)
        numpy.add(self._edges, self._touched, out=self._edges)
        known = len(self._index)
        self._features[:known] += self._features_now[:known] != 0

    def write(self, path: Path) -> None:
        """Leave the counts in ``path`` for the supervisor, whole or not at all. Raises OSError."""
        for key in list(self._index)[len(self._names) :]:
            self._names.append(zlib.crc32(repr(key).encode()))
        known = len(self._names)
        header = _HEADER.pack(self.sampled, self.every, len(self._edges), known)
        names = numpy.array(self._names, numpy.uint32)
        counts = self._edges.tobytes() + names.tobytes() + self._features[:known].tobytes()
        write_atomic(path, header + counts, durable=False)


class Counts:
    """Incidences by species, summed over workers. Edges go by their place in the parser's table, features by a hash of their key."""

    def __init__(self) -> None:
        self.sampled = 0
        self.every = 0
        self.edges: NDArray[numpy.uint32] = numpy.zeros(0, numpy.uint32)
        self.features: dict[int, int] = {}

    def add(self, other: Counts) -> None:
        """Take in another worker's counts."""
        self.sampled += other.sampled
        self.every = other.every or self.every
        if len(other.edges) > len(self.edges):
            self.edges = numpy.pad(self.edges, (0, len(other.edges) - len(self.edges)))
        self.edges[: len(other.edges)] += other.edges
        for key, count in other.features.items():
            self.features[key] = self.features.get(key, 0) + count

    def summary(self) -> dict[str, dict[str, Any]]:
        """For the ledger: by kind of species, the frequency counts; kinds of which nothing was seen are left out."""
        kinds = {"edges": self.edges, "semantic": numpy.array([*self.features.values()], numpy.uint32)}
        return {
            kind: frequencies(counts, sampled=self.sampled, every=self.every)
            for kind, counts in kinds.items()
            if counts.any()
        }


def frequencies(counts: Sequence[int] | NDArray[numpy.uint32], *, sampled: int, every: int) -> dict[str, Any]:
    """The frequency counts of incidences ``counts``: how many species were seen, seen once, twice, ... up to ``CLASSES`` times."""
    incidences = numpy.asarray(counts, numpy.int64)
    classes = numpy.bincount(numpy.minimum(incidences, CLASSES + 1), minlength=CLASSES + 2).tolist()
    return {
        "sampled": sampled,
        "every": every,
        "seen": len(incidences) - classes[0],
        "singletons": classes[1],
        "doubletons": classes[2],
        "frequencies": classes[1 : CLASSES + 1],
    }


def read(path: Path) -> Counts | None:
    """What :meth:`Sampler.write` left; None where there is nothing, or not all of it."""
    try:
        raw = path.read_bytes()
        found = Counts()
        found.sampled, found.every, edges, known = _HEADER.unpack_from(raw)
        values = numpy.frombuffer(raw, numpy.uint32, edges + 2 * known, _HEADER.size)
    except (OSError, ValueError, struct.error):
        return None
    found.edges = values[:edges].copy()
    found.features = dict(zip(values[edges : edges + known].tolist(), values[edges + known :].tolist(), strict=True))
    return found
