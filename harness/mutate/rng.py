"""Sources of an operator: random numbers from libFuzzer's seed, parts of other inputs, libFuzzer's mutations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from harness.mutate.bank import Bank

T = TypeVar("T")
Native = Callable[[bytes, int], bytes]
"""``atheris.Mutate``: bytes and a maximal size in, bytes of at most that size out."""

BATCH = 8
"""Mutations made at a time."""
_MASK = 0xFFFFFFFFFFFFFFFF
_ODD = 0x9E3779B97F4A7C15


class Rng:
    """Random numbers from one seed.

    Each draw divides the state, at half the cost of a generator step; a small state is refilled. ``bank`` holds parts of
    corpus members, ``native`` libFuzzer's byte mutations, None outside libFuzzer.
    """

    __slots__ = ("bank", "native", "seed", "state")

    def __init__(self, seed: int, bank: Bank | None = None, native: Native | None = None) -> None:
        self.bank = Bank() if bank is None else bank
        self.native = native
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """Start again, from any integer."""
        self.seed = seed & _MASK
        # libFuzzer's seeds have 31 bits, and the schedule uses the low ones: spread them.
        self.state = ((seed + 1) * _ODD & _MASK) >> 7

    def below(self, limit: int) -> int:
        """Return a number from 0 to ``limit - 1``; limit is at least 1 and should stay under 2**24."""
        state = self.state
        if state < 0x40000000:
            state = self._refill()
        self.state = state // limit
        return state % limit

    def choice(self, options: Sequence[T]) -> T:
        """Return one of ``options``, which may not be empty."""
        state = self.state
        if state < 0x40000000:
            state = self._refill()
        limit = len(options)
        self.state = state // limit
        return options[state % limit]

    def some(self, options: Sequence[T]) -> Sequence[T]:
        """Return up to BATCH neighbours among ``options``, which may not be empty."""
        at = self.below(len(options))
        return options[at : at + BATCH]

    def _refill(self) -> int:
        # splitmix64 (Steele, Lea, Flood 2014).
        self.seed = seed = (self.seed + _ODD) & _MASK
        mixed = (seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB & _MASK
        return (mixed ^ (mixed >> 31)) | 0x4000000000000000
