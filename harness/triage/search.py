"""Shared by all passes of the minimiser: the best input so far, the order of inputs, removal of items."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
Keep = Callable[[bytes], bool]
Progress = Callable[[int, int], None]

#: Bytes of the length prefix.
LENGTH = 8
# Refused candidates that are remembered: near the end the passes repeat themselves.
_MEMORY = 1 << 18


def remove_most(items: Sequence[T], offer: Callable[[list[T]], bool]) -> list[T]:
    """The rest of ``items`` when no chunk, down to a single item, can go. ``offer`` accepts or refuses a rest."""
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
    """Sort key, the smaller input first: by length, by length prefix (little-endian), by the bytes that follow."""
    return len(data), data[LENGTH - 1 :: -1] if len(data) >= LENGTH else b"", data


class Search:
    """The smallest input so far, and the candidates that were refused."""

    def __init__(self, data: bytes, keep: Keep, progress: Progress | None) -> None:
        self.best = data
        self.asked = 0
        self._keep = keep
        self._progress = progress
        self._refused: set[bytes] = set()

    def offer(self, candidate: bytes) -> bool:
        """Whether ``candidate`` is smaller and still shows the finding. If so, it becomes the best."""
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
    """Smaller values in rising order: 0, then halves of the distance to ``value``."""
    step = value
    while step:
        yield value - step
        step //= 2
