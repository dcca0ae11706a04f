"""A small set of inputs that has every feature of a large one. Sets of features are integers, a bit for each."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

# The worth of an input is its new features per byte. This is added to each size, so that the number of files counts.
_FILE_COST = 64


@dataclass(frozen=True, slots=True)
class Cap:
    """Limits of a set of inputs, in bytes and in files; None for no limit."""

    size: int | None = None
    files: int | None = None

    def holds(self, size: int, files: int) -> bool:
        """Whether so many bytes in so many files are within it."""
        return (self.size is None or size <= self.size) and (self.files is None or files <= self.files)


NO_CAP = Cap()


def union(sets: Sequence[int]) -> int:
    """Everything that is in one of ``sets``."""
    return reduce(or_, sets, 0)


def members(features: int) -> Iterator[int]:
    """The numbers of the bits that are set, from the lowest on."""
    while features:
        lowest = features & -features
        yield lowest.bit_length() - 1
        features ^= lowest


def cover(features: Sequence[int], sizes: Sequence[int], have: int = 0) -> list[int]:
    """Indices of inputs that together have every feature that is not in ``have``, in the order they were taken.

    Greedy: the input with the most missing features per byte first (ties: the earlier one). Inputs that later ones make
    superfluous are dropped. The answer is deterministic.
    """
    missing = union(features) & ~have
    heap = [(-(f & missing).bit_count() / (sizes[i] + _FILE_COST), i) for i, f in enumerate(features)]
    heapq.heapify(heap)
    taken: list[int] = []
    while missing:
        score, index = heapq.heappop(heap)
        now = -(features[index] & missing).bit_count() / (sizes[index] + _FILE_COST)
        if now > score:
            # Worth only shrinks, so the first input with an unchanged worth is the best.
            if now < 0:
                heapq.heappush(heap, (now, index))
            continue
        taken.append(index)
        missing &= ~features[index]
    return _without_superfluous(features, sizes, have, taken)


def _without_superfluous(features: Sequence[int], sizes: Sequence[int], have: int, taken: list[int]) -> list[int]:
    own = {index: list(members(features[index] & ~have)) for index in taken}
    times = Counter(feature for index in taken for feature in own[index])
    dropped = set()
    for index in sorted(taken, key=lambda i: -sizes[i]):
        if all(times[feature] > 1 for feature in own[index]):
            dropped.add(index)
            times.subtract(own[index])
    return [index for index in taken if index not in dropped]


def within(
    features: Sequence[int],
    sizes: Sequence[int],
    cap: Cap,
    tiers: Sequence[int],
    first: Sequence[int] = (),
    pinned: Sequence[int] = (),
) -> list[int]:
    """Indices of inputs within ``cap``: ``first``, then cover each of ``tiers`` in turn as far as there is room.

    The ``pinned`` are taken before all others, whatever the cap.
    """
    taken = list(pinned)
    size = sum(sizes[index] for index in taken)
    have = union([features[index] for index in taken])

    def take(indices: Sequence[int]) -> bool:
        nonlocal size, have
        before = len(taken)
        for index in indices:
            if cap.holds(size + sizes[index], len(taken) + 1):
                taken.append(index)
                size += sizes[index]
                have |= features[index]
        return len(taken) > before

    take([index for index in first if index not in pinned])
    for tier in tiers:
        more = True
        while more:
            # A smaller input may have a part of the features of an input that did not fit.
            fitting = [cap.holds(size + s, len(taken) + 1) for s in sizes]
            wanted = [f & tier if fits else 0 for f, fits in zip(features, fitting, strict=True)]
            more = take(cover(wanted, sizes, have & tier))
    return taken
