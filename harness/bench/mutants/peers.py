"""Other judges of the same mutants, to compare with: upstream's own tests, and the same replay with crashes alone."""

from __future__ import annotations

import contextlib
import shutil
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

from harness.bench.mutants.build import Slot
from harness.bench.mutants.kill import CRASHES, Judge
from harness.bench.mutants.mutant import Mutant
from harness.parsers import upstream_tests
from harness.parsers.upstream_tests import CRATE, PYTHON, Results

#: Seconds for a suite on a mutant: it takes some ten, and a mutant may loop.
_PATIENCE_S = 120.0


class Peer(ABC):
    """A judge. ``name`` is that of its column."""

    name: str

    @abstractmethod
    def prepare(self, slot: Slot) -> None:
        """Look at the parser without a mutant, which is in ``slot``."""

    @abstractmethod
    def kills(self, mutant: Mutant, slot: Slot) -> str:
        """The test or signature that kills the ``mutant`` in ``slot``, or ""."""

    @abstractmethod
    def stop(self) -> None:
        """End all that runs, from another thread."""


class CrashOnly(Peer):
    """The replay of the committed corpus, as a fuzzer sees it that waits for crashes, hangs and lack of memory."""

    name = "crash-only"

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    def prepare(self, slot: Slot) -> None:
        """The judge has looked at it already."""

    def stop(self) -> None:
        """The judge is stopped by itself."""

    def kills(self, mutant: Mutant, slot: Slot) -> str:
        """The signature of the first crash."""
        kill = self._judge.verdict(mutant, slot.parser, CRASHES).kill
        return "" if kill is None else kill.signature


class Upstream(Peer):
    """``cargo test`` of the crate where the crate has the mutant, and pytest of the bindings."""

    name = "upstream"

    def __init__(self) -> None:
        self._before: dict[str, Results] = {}
        self._lock = threading.Lock()
        self._kills: set[Callable[[], None]] = set()

    def prepare(self, slot: Slot) -> None:
        """Run both suites on the parser without a mutant."""
        self._before = {suite: self._run(suite, slot) for suite in (CRATE, PYTHON)}

    def kills(self, mutant: Mutant, slot: Slot) -> str:
        """The first test that the mutant breaks, or the reason why a suite no longer runs."""
        for suite in (CRATE, PYTHON) if mutant.of_crate else (PYTHON,):
            compared = upstream_tests.compare(suite, self._before[suite], self._run(suite, slot))
            if compared.broken:
                name, why = next(iter(sorted(compared.broken.items())))
                return f"{suite}: {name or why}"[:200]
        return ""

    def stop(self) -> None:
        """Kill the suites that run."""
        with self._lock:
            for kill in self._kills:
                kill()

    def _run(self, suite: str, slot: Slot) -> Results:
        work = slot.folder / "upstream"
        try:
            return upstream_tests.run(
                suite,
                slot.source,
                slot.parser.site,
                work,
                self._live,
                target=f"upstream-{slot.number}",
                patience=_PATIENCE_S,
            )
        finally:
            shutil.rmtree(work, ignore_errors=True)

    @contextlib.contextmanager
    def _live(self, kill: Callable[[], None]) -> Iterator[None]:
        with self._lock:
            self._kills.add(kill)
        try:
            yield
        finally:
            with self._lock:
                self._kills.discard(kill)


#: The names of all peers.
NAMES = (Upstream.name, CrashOnly.name)


def make(name: str, judge: Judge) -> Peer:
    """The peer of a name."""
    return Upstream() if name == Upstream.name else CrashOnly(judge)
