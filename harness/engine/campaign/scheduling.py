"""Chooses target and length of the next slice of worker time by the yield of earlier slices.

Every target earns credit for worker time that passes anywhere, in proportion to its share. A running target pays for its time.
The next slice goes to the largest credit. A share is a floor for every target, plus a part of the rest in proportion to the
target's recent yield per second. There is no randomness and no clock: the same results give the same plan.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Part of the time that is spread evenly.
FLOOR = 0.25
#: Most of a slice that start-up may take: loading the parser, and running the corpus.
START_UP = 0.03
# Assumed seconds of start-up of a target that has not run yet.
_UNKNOWN_S = 0.5
# Least number of slices of each target, where start-up allows so many. The plan can change as often.
_ROUNDS = 32
# Weight of a yield at the next slice of its target; it shrinks by this factor each time.
_FADE = 0.6
# Least length of a first slice, even where the time is over.
_LEAST_S = 1.0


@dataclass(frozen=True)
class Yield:
    """New results of a slice. ``edges`` are libFuzzer's, which include semantic features."""

    members: int = 0
    edges: int = 0
    signatures: int = 0

    @property
    def worth(self) -> float:
        """The value in corpus members. A new edge or semantic feature counts 4, a new signature that nothing covers 50."""
        return self.members + 4.0 * self.edges + 50.0 * self.signatures


@dataclass
class _Account:
    """One target's credit and spending."""

    credit: float = 0.0
    slices: int = 0
    start_s: float = _UNKNOWN_S
    # Recent yield, and its seconds.
    worth: float = 0.0
    took: float = 0.0

    @property
    def rate(self) -> float:
        return self.worth / self.took if self.took else 0.0


class Shares:
    """The plan of a campaign of ``seconds`` of the clock with ``workers`` at a time."""

    def __init__(self, targets: tuple[str, ...], workers: int, seconds: float, *, floor: float = FLOOR) -> None:
        self._floor = floor
        self._accounts = {name: _Account() for name in targets}
        self._workers = workers
        self._equal = seconds * workers / max(len(targets), 1)

    def shares(self) -> dict[str, float]:
        """Each target's share of the time from now on. The shares sum up to 1."""
        count = len(self._accounts)
        rates = {name: account.rate for name, account in self._accounts.items()}
        whole = sum(rates.values())
        if not whole:
            return dict.fromkeys(rates, 1 / max(count, 1))
        return {name: self._floor / count + (1 - self._floor) * rate / whole for name, rate in rates.items()}

    def next(self, left: float) -> tuple[str, float] | None:
        """Target and seconds of the next slice, with ``left`` seconds to go; None where start-up would take all of it.

        Every target gets a first slice before any gets a second.
        """
        waiting = [name for name, account in self._accounts.items() if not account.slices]
        if waiting:
            # First slices have the same length, so that the last target gets one too.
            even = left / math.ceil(len(waiting) / self._workers)
            wanted = self._wanted(waiting[0])
            chosen, seconds = waiting[0], max(_LEAST_S, even if even < 1.5 * wanted else wanted)
        else:
            worth_it = [name for name, account in self._accounts.items() if 2 * account.start_s < left]
            if not worth_it:
                return None
            chosen = max(worth_it, key=lambda name: self._accounts[name].credit)
            wanted = self._wanted(chosen)
            # A rest that is too short for a slice is added to this one.
            seconds = left if left < 1.5 * wanted else wanted
        self._accounts[chosen].slices += 1
        self._pay(chosen, seconds)
        return chosen, seconds

    def _wanted(self, target: str) -> float:
        """Seconds of a slice: long compared with start-up, short enough to change the plan."""
        if len(self._accounts) == 1:
            return math.inf
        return max(self._accounts[target].start_s / START_UP, self._equal / _ROUNDS)

    def _pay(self, target: str, seconds: float) -> None:
        for name, share in self.shares().items():
            self._accounts[name].credit += share * seconds
        self._accounts[target].credit -= seconds

    def finished(self, target: str, planned: float, seconds: float, start_s: float, brought: Yield) -> None:
        """Credit a slice that took ``seconds`` instead of ``planned``, ``start_s`` of them before its first mutation (0: none)."""
        account = self._accounts.get(target)
        if account is None:
            return
        self._pay(target, seconds - planned)
        account.start_s = start_s or max(account.start_s, seconds)
        account.worth = _FADE * account.worth + brought.worth
        account.took = _FADE * account.took + seconds

    def drop(self, target: str) -> None:
        """Remove a target that cannot be driven. The others share its time."""
        self._accounts.pop(target, None)
