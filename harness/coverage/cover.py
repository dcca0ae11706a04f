"""A small set of inputs that has every feature of a large one."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

# An input is worth its new features per byte; this much is added to each size, so that the number of files counts too.
_FILE_COST = 64


def cover(
    features: Sequence[AbstractSet[str]], sizes: Sequence[int], have: AbstractSet[str] = frozenset()
) -> list[int]:
    """Indices of inputs that together have every feature that is not in ``have``, in the order they were taken.

    Greedy: the input with the most missing features per byte first (ties: the earlier one); inputs that later ones
    have made superfluous are dropped again. The same arguments give the same answer.
    """
    missing = set().union(*features) - have if features else set()
    heap = [(-len(f & missing) / (sizes[i] + _FILE_COST), i) for i, f in enumerate(features)]
    heapq.heapify(heap)
    taken: list[int] = []
    while missing:
        score, index = heapq.heappop(heap)
        now = -len(features[index] & missing) / (sizes[index] + _FILE_COST)
        if now > score:
            # Worth less than when it was put in; worth only shrinks, so the first that did not change is the best.
            if now < 0:
                heapq.heappush(heap, (now, index))
            continue
        taken.append(index)
        missing -= features[index]
    return _without_superfluous(features, sizes, have, taken)


def _without_superfluous(
    features: Sequence[AbstractSet[str]], sizes: Sequence[int], have: AbstractSet[str], taken: list[int]
) -> list[int]:
    times = Counter(f for index in taken for f in features[index] if f not in have)
    dropped = set()
    for index in sorted(taken, key=lambda i: -sizes[i]):
        own = [f for f in features[index] if f not in have]
        if all(times[f] > 1 for f in own):
            dropped.add(index)
            times.subtract(own)
    return [index for index in taken if index not in dropped]
