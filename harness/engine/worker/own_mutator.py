"""A target's own mutator, for inputs that are no files."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.mutate import OperatorStats


class OwnMutator:
    """A target's own mutator in the place of ours."""

    #: Nothing is known of what its mutations mean.
    expect_valid = False
    #: It makes one input at a time.
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
        """What it says of its operators; nothing where it does not."""
        own = getattr(self._mutate, "stats", None)
        return {} if own is None else dict(own())
