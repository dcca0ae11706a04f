"""Adapter for the mutator of a target whose inputs are no files."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.mutate import OperatorStats


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
