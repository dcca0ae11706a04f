"""Several mutations per execution of libFuzzer.

libFuzzer looks through all counters after each execution, which takes as long as a run of the fastest targets. So the mutations
of one batch run here first, and a few lines of C (novelty.c) look for buckets of counters that no run has shown. libFuzzer gets
the first input with a new bucket, or the last one of the batch.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from harness.engine.worker.native import NativeCounters
from harness.engine.worker.semantics import SIZE, SemanticCounters
from harness.engine.worker.settings import WorkerSettings
from harness.engine.worker.tally import Tally
from harness.parsers.registry import Parser
from harness.targets.base import Target

Mutate = Callable[[bytes, int, int], bytes]


class Batches(Protocol):
    """A mutator that makes several outputs at once."""

    @property
    def ready(self) -> Sequence[bytes]:
        """Outputs that are not handed out yet."""

    def __call__(self, data: bytes, max_size: int, seed: int) -> bytes:
        """The next output."""


def wrap(
    mutate: Mutate, execute: Callable[[bytes], None], mutator: Batches, tally: Tally, target: Target, parser: Parser,
    native: NativeCounters | None, semantic: SemanticCounters, settings: WorkerSettings,
) -> Mutate:  # fmt: skip
    """``mutate`` with the inner loop, where target, build and settings have it."""
    wanted = target.inner_loop and settings.inner_loop and settings.mutator == "grammar" and settings.semantics
    if native is None or not wanted or not parser.novelty.is_file():
        return mutate
    return InnerLoop(mutate, mutator, execute, Novelty(parser.novelty, native, semantic), tally)


class _Table(ctypes.Structure):
    """``struct table`` of novelty.c."""

    _fields_ = (("counters", ctypes.c_void_p), ("seen", ctypes.c_void_p), ("size", ctypes.c_size_t))


class Novelty:
    """The buckets that any run has shown, of the parser's counters and of the semantic ones."""

    def __init__(self, library: Path, native: NativeCounters, semantic: SemanticCounters) -> None:
        self._function = ctypes.PyDLL(str(library)).harness_novel
        self._function.argtypes = [ctypes.c_void_p]
        # These references pin the addresses.
        self._features = (ctypes.c_uint8 * SIZE).from_buffer(semantic.table)
        self._seen = (ctypes.c_uint8 * native.size)(), (ctypes.c_uint8 * SIZE)()
        edges, features = map(ctypes.addressof, self._seen)
        self._tables = (_Table * 2)(
            _Table(native.address, edges, native.size), _Table(ctypes.addressof(self._features), features, SIZE)
        )
        self._place = ctypes.addressof(self._tables)

    def clear(self) -> None:
        """Clear the counters. Runs of the slow oracles, which libFuzzer does not see, leave their edges there."""
        ctypes.memset(self._tables[0].counters, 0, self._tables[0].size)
        ctypes.memset(self._tables[1].counters, 0, SIZE)

    def take(self) -> bool:
        """Whether the counters have a bucket that is new. Clears them."""
        return bool(self._function(self._place))


class InnerLoop:
    """A mutator for libFuzzer around ``mutate``, which makes a batch by ``mutator`` where none is ready."""

    def __init__(
        self, mutate: Mutate, mutator: Batches, execute: Callable[[bytes], None], novelty: Novelty, tally: Tally
    ) -> None:
        self._mutate, self._mutator, self._execute = mutate, mutator, execute
        self._novelty, self._tally = novelty, tally

    def __call__(self, data: bytes, max_size: int, seed: int) -> bytes:
        """Run mutations of the batch. Returns the first that shows something new, or the last, which has not run."""
        mutator, execute, novel, tally = self._mutator, self._execute, self._novelty.take, self._tally
        timed, runs = tally.mutate_timed, tally.executions
        made = self._mutate(data, max_size, seed)
        self._novelty.clear()
        while mutator.ready:
            execute(made)
            if novel():
                break
            made = mutator(data, max_size, seed)
        if tally.mutate_timed > timed:
            # One call made the inputs of all these runs.
            tally.mutate_timed += tally.executions - runs
        return made
