"""The mutator of a worker, and an adapter for that of a target whose inputs are no files."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.engine.worker.settings import WorkerSettings
from harness.mutate import Mutator, OperatorStats
from harness.mutate.rng import Native
from harness.programs.mutate import StepMutator
from harness.targets.base import Target


class OwnMutator:
    """A target's own mutator behind the interface of :class:`harness.mutate.Mutator`."""

    #: Such a mutator does not say whether an input is meant to be valid.
    expect_valid = False
    #: It has no batch of inputs in store.
    ready: Sequence[bytes] = ()

    def __init__(self, mutate: Callable[[bytes, int, int], bytes]) -> None:
        self._mutate = mutate
        self._seen: set[bytes] = set()
        self.fresh: list[bytes] = []

    def __call__(self, data: bytes, max_size: int, seed: int) -> bytes:
        """A mutation of ``data`` of at most ``max_size`` bytes."""
        if data not in self._seen:
            self._seen.add(data)
            self.fresh.append(data)
        return self._mutate(data, max_size, seed)

    def stats(self) -> dict[str, OperatorStats]:
        """Its statistics by operator; empty where it has none."""
        own = getattr(self._mutate, "stats", None)
        return {} if own is None else dict(own())


def mutator_of(
    settings: WorkerSettings, target: Target, seeds: Sequence[tuple[str, bytes]], native: Native
) -> Mutator | OwnMutator:
    """The mutator that the settings ask for. ``native`` is libFuzzer's own mutation of bytes."""
    if settings.mutator == "bytes":
        return OwnMutator(lambda data, size, _seed: bytes(native(data, size)))
    own = target.mutator()
    if own is None:
        files = [data for _, data in seeds]
        return Mutator(files, native=native, disabled=frozenset(settings.disabled), learn=settings.schedule)
    if isinstance(own, StepMutator):
        own.crossover = settings.crossover
    return OwnMutator(own)
