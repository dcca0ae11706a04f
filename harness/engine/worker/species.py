"""The number of executions that touched each edge and semantic feature, for species-discovery statistics.

A sample of the executions is examined after each has run. An edge is a *species*, an execution a *sampling unit*. The incidence
of a species is the number of sampled executions that touched it (Chao and Jost 2012). Sampling draws no random number and
changes nothing that libFuzzer sees, so a run of N executions stays repeatable.

Edges of Python code are not counted: libFuzzer does not show those counters. Executions after the last status of a worker
that died are lost.
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
#: Largest number of executions per sample. A sample takes some 10 us, an execution of the fastest target 8 us.
MOST = 256
# Most seconds of sampling per second of running.
_SHARE = 0.01
_LOOK_S = 10e-6
#: Number of frequency classes in a summary: species touched once, twice, ...
CLASSES = 8
_HEADER = struct.Struct("<QIII")


def spacing(rate: float) -> int:
    """Executions per sample at ``rate`` executions per second: a power of two, at most :data:`MOST`."""
    wanted = rate * _LOOK_S / _SHARE
    every = 1
    while every < min(wanted, MOST):
        every *= 2
    return every


class Sampler:
    """The worker's side. ``every`` may change during the run, as long as it does not depend on the input."""

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
        """Sample the execution that has just ended."""
        self.sampled += 1
        numpy.not_equal(self._edges_now, 0, out=self._touched)
        numpy.add(self._edges, self._touched, out=self._edges)
        known = len(self._index)
        self._features[:known] += self._features_now[:known] != 0

    def write(self, path: Path) -> None:
        """Write the counts to ``path``, whole or not at all. Raises OSError."""
        for key in list(self._index)[len(self._names) :]:
            self._names.append(zlib.crc32(repr(key).encode()))
        known = len(self._names)
        header = _HEADER.pack(self.sampled, self.every, len(self._edges), known)
        names = numpy.array(self._names, numpy.uint32)
        counts = self._edges.tobytes() + names.tobytes() + self._features[:known].tobytes()
        write_atomic(path, header + counts, durable=False)


class Counts:
    """Incidences by species, summed over workers. Edges go by their index in the parser's table, features by a hash of their key."""

    def __init__(self) -> None:
        self.sampled = 0
        self.every = 0
        self.edges: NDArray[numpy.uint32] = numpy.zeros(0, numpy.uint32)
        self.features: dict[int, int] = {}

    def add(self, other: Counts) -> None:
        """Add another worker's counts."""
        self.sampled += other.sampled
        self.every = other.every or self.every
        if len(other.edges) > len(self.edges):
            self.edges = numpy.pad(self.edges, (0, len(other.edges) - len(self.edges)))
        self.edges[: len(other.edges)] += other.edges
        for key, count in other.features.items():
            self.features[key] = self.features.get(key, 0) + count

    def to_bytes(self) -> bytes:
        """The counts as :func:`of_bytes` reads them."""
        header = _HEADER.pack(self.sampled, self.every, len(self.edges), len(self.features))
        features = numpy.array([[*self.features], [*self.features.values()]], numpy.uint32)
        return header + self.edges.tobytes() + features.tobytes()

    def summary(self) -> dict[str, dict[str, Any]]:
        """The frequency counts by kind of species, for the ledger. Kinds without any species are left out."""
        kinds = {"edges": self.edges, "semantic": numpy.array([*self.features.values()], numpy.uint32)}
        return {
            kind: frequencies(counts, sampled=self.sampled, every=self.every)
            for kind, counts in kinds.items()
            if counts.any()
        }


def frequencies(counts: Sequence[int] | NDArray[numpy.uint32], *, sampled: int, every: int) -> dict[str, Any]:
    """The frequency counts of the incidences ``counts``: species seen, seen once, twice, ... up to :data:`CLASSES` times."""
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
    """Read the counts that :meth:`Sampler.write` wrote; None where the file is missing or cut."""
    try:
        return of_bytes(path.read_bytes())
    except OSError:
        return None


def of_bytes(raw: bytes) -> Counts | None:
    """The counts of a file of :meth:`Sampler.write`; None where it is cut."""
    try:
        found = Counts()
        found.sampled, found.every, edges, known = _HEADER.unpack_from(raw)
        values = numpy.frombuffer(raw, numpy.uint32, edges + 2 * known, _HEADER.size)
    except (ValueError, struct.error):
        return None
    found.edges = values[:edges].copy()
    found.features = dict(zip(values[edges : edges + known].tolist(), values[edges + known :].tolist(), strict=True))
    return found
