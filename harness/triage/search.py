"""What every pass of the minimiser shares: the best input so far, the order of inputs, and taking out what can go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
Keep = Callable[[bytes], bool]
Progress = Callable[[int, int], None]

#: Bytes of the length prefix.
LENGTH = 8
# Candidates remembered: the passes repeat themselves near the end.
_MEMORY = 1 << 18


def remove_most(items: Sequence[T], offer: Callable[[list[T]], bool]) -> list[T]:
    """What is left of ``items`` when no chunk, down to a single item, can go; ``offer`` says whether a rest will do."""
    left = list(items)
    chunk = len(left)
    while chunk:
        start = len(left) - chunk
        removed = False
        while start > -chunk:
            rest = left[: max(start, 0)] + left[start + chunk :]
            if len(rest) < len(left) and offer(rest):
                left, removed = rest, True
            start -= chunk
        if chunk == 1 and not removed:
            break
        chunk = max(min(chunk, len(left)) // 2, 1) if left else 0
    return left


def _order(data: bytes) -> tuple[int, bytes, bytes]:
    """Of two inputs the one that comes first is smaller: by length, by length prefix (little-endian), by what follows."""
    return len(data), data[LENGTH - 1 :: -1] if len(data) >= LENGTH else b"", data


class Search:
    """The smallest input so far, and every question asked on the way there."""

    def __init__(self, data: bytes, keep: Keep, progress: Progress | None) -> None:
        self.best = data
        self.asked = 0
        self._keep = keep
        self._progress = progress
        self._refused: set[bytes] = set()

    def offer(self, candidate: bytes) -> bool:
        """Whether ``candidate`` is smaller and still shows the finding; it is then the best."""
        if _order(candidate) >= _order(self.best) or candidate in self._refused:
            return False
        self.asked += 1
        kept = self._keep(candidate)
        if kept:
            self.best = candidate
        elif len(self._refused) < _MEMORY:
            self._refused.add(candidate)
        if self._progress is not None:
            self._progress(len(self.best), self.asked)
        return kept


def below(value: int) -> Iterator[int]:
    """Smaller values, the smallest first: 0, then ever nearer below ``value``."""
    step = value
    while step:
        yield value - step
        step //= 2
