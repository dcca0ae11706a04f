"""Which target gets the next slice of worker time, and how long: by what the last slices yielded.

Each target earns credit as worker time passes anywhere, at its share; what runs pays for it. The next slice goes to the
largest credit. A share is a floor that every target has, and a part of the rest in proportion to the target's
recent yield per second. No randomness, no clock: the same answers give the same plan.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Part of the time that is spread evenly, whatever anything yields.
FLOOR = 0.25
#: Part of a slice that may go to starting up: loading the parser, and running the corpus.
START_UP = 0.03
#: Seconds of start-up of a target that has not run yet.
_UNKNOWN_S = 0.5
#: Slices that each target is to get at least, where start-up allows for so many: the plan can change as often.
_ROUNDS = 32
#: What a slice yielded counts this much in the next look, and as much less again in the one after.
_FADE = 0.6
#: No first slice is shorter than this, even where the time is over.
_LEAST_S = 1.0


@dataclass(frozen=True)
class Yield:
    """What a slice brought that the campaign did not have; ``edges`` are libFuzzer's, which hold our semantic features too."""

    members: int = 0
    edges: int = 0
    signatures: int = 0

    @property
    def worth(self) -> float:
        """In new corpus members. A new edge or semantic feature, rarer, counts 4; a new signature that nothing covers 50."""
        return self.members + 4.0 * self.edges + 50.0 * self.signatures


@dataclass
class _Account:
    """One target's."""

    credit: float = 0.0
    slices: int = 0
    seconds: float = 0.0
    start_s: float = _UNKNOWN_S
    #: Recent yield, and the seconds that it took.
    worth: float = 0.0
    took: float = 0.0

    @property
    def rate(self) -> float:
        return self.worth / self.took if self.took else 0.0


class Shares:
    """The plan of one campaign of ``seconds`` on the clock with that many ``workers`` at a time."""

    def __init__(self, targets: tuple[str, ...], workers: int, seconds: float) -> None:
        self._accounts = {name: _Account() for name in targets}
        self._workers = workers
        self._equal = seconds * workers / max(len(targets), 1)

    def shares(self) -> dict[str, float]:
        """Each target's part of the time from now on; they sum up to 1."""
        count = len(self._accounts)
        rates = {name: account.rate for name, account in self._accounts.items()}
        whole = sum(rates.values())
        if not whole:
            return dict.fromkeys(rates, 1 / max(count, 1))
        return {name: FLOOR / count + (1 - FLOOR) * rate / whole for name, rate in rates.items()}

    def next(self, left: float) -> tuple[str, float] | None:
        """Target and seconds of the next slice, with ``left`` seconds to go; None where it would be spent on starting up.

        Every target gets a first slice before any gets a second.
        """
        waiting = [name for name, account in self._accounts.items() if not account.slices]
        if waiting:
            # Slices of the same length, so that the last one gets its own.
            even = left / math.ceil(len(waiting) / self._workers)
            wanted = self._wanted(waiting[0])
            chosen, seconds = waiting[0], max(_LEAST_S, even if even < 1.5 * wanted else wanted)
        else:
            worth_it = [name for name, account in self._accounts.items() if 2 * account.start_s < left]
            if not worth_it:
                return None
            chosen = max(worth_it, key=lambda name: self._accounts[name].credit)
            wanted = self._wanted(chosen)
            # No rest that is too short for anything.
            seconds = left if left < 1.5 * wanted else wanted
        self._accounts[chosen].slices += 1
        self._pay(chosen, seconds)
        return chosen, seconds

    def _wanted(self, target: str) -> float:
        """As long as start-up asks for, and no longer than is good for changing the plan."""
        if len(self._accounts) == 1:
            return math.inf
        return max(self._accounts[target].start_s / START_UP, self._equal / _ROUNDS)

    def _pay(self, target: str, seconds: float) -> None:
        for name, share in self.shares().items():
            self._accounts[name].credit += share * seconds
        self._accounts[target].credit -= seconds

    def finished(self, target: str, planned: float, seconds: float, start_s: float, brought: Yield) -> None:
        """A slice of ``planned`` seconds ended after ``seconds``; ``start_s``: before its first mutation, 0 where none came."""
        account = self._accounts.get(target)
        if account is None:
            return
        self._pay(target, seconds - planned)
        account.seconds += seconds
        account.start_s = start_s or max(account.start_s, seconds)
        account.worth = _FADE * account.worth + brought.worth
        account.took = _FADE * account.took + seconds

    def drop(self, target: str) -> None:
        """The target cannot be driven: the others share its time."""
        self._accounts.pop(target, None)

    def slices(self, target: str) -> int:
        """How many slices a target was given."""
        account = self._accounts.get(target)
        return account.slices if account else 0
