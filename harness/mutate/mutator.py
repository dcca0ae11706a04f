"""The custom mutator: parses each base once, picks an operator, never raises."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from harness.format.tree import DEEP, LENGTH, SHALLOW, SOUND, Doc
from harness.mutate.generate import generate
from harness.mutate.registry import OPERATORS
from harness.mutate.rng import Native, Rng
from harness.mutate.schedule import OperatorStats, Schedule, level

_DOCS: Final = 4096
"""Parsed bases kept, in each of two generations."""
_MADE: Final = 1 << 14
"""Outputs remembered for credit, in each of two generations; a number each."""
_STOCK: Final = 64
"""Derived inputs that stand in as bases: mutations of mutations, parsed now and then."""
_ROUND: Final = 128
"""Calls between two looks after the stock."""
_ROUNDS: Final = 16
"""Rounds between two rebuilds of the schedule."""
_LARGE_BYTES: Final = 640
_TRIES: Final = 4


class Base(Doc):
    """A parsed input with its ``level`` in the schedule and the mutations of it that are ``ready``."""

    __slots__ = ("level", "ready")

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.level = level(self.health, len(self.tensors), len(data) > _LARGE_BYTES)
        self.ready: list[bytes] = []


class Mutator:
    """A custom mutator for libFuzzer that works on the structure of the format.

    ``native`` is libFuzzer's own mutation (``atheris.Mutate``), None outside libFuzzer. ``disabled`` names
    operators to leave out; ValueError for a name that is none, or if nothing is left. Run libFuzzer with
    ``-mutate_depth=1``: then every base is a corpus member, is parsed once, and the first time that an output
    comes back as a base proves it was kept, for which its operator is given credit.

    Equal calls in equal order give equal outputs.
    """

    def __init__(
        self,
        seeds: Sequence[bytes],
        *,
        native: Native | None = None,
        disabled: Collection[str] = (),
    ) -> None:
        strange = set(disabled) - OPERATORS.keys()
        if strange:
            raise ValueError(f"no such operator: {', '.join(sorted(strange))}")
        operators = [op for name, op in OPERATORS.items() if name not in disabled]
        if not operators:
            raise ValueError("every operator is disabled")
        self._schedule = Schedule(operators)
        self._tables = self._schedule.tables
        self._rng = Rng(0, native=native)
        self._young: dict[bytes, Base] = {}
        self._old: dict[bytes, Base] = {}
        self._made: dict[int, int] = {}
        self._made_before: dict[int, int] = {}
        self._left = _ROUND
        self._rounds = 0
        self._stock: list[Base] = []
        for seed in range(_STOCK):
            self._rng.reset(seed)
            self._stock.append(Base(generate(self._rng)))
        for data in seeds:
            base = self._base(data)
            if base.health == SOUND:
                self._keep(base)

    def __call__(self, data: bytes, max_size: int, seed: int) -> bytes:
        """Return a mutation of ``data`` of at most ``max_size`` bytes."""
        base = self._young.get(data)
        if base is None:
            base = self._base(data)
        if base.ready:
            out = base.ready.pop()
            if len(out) <= max_size:
                return out
        return self._fill(base, max_size, seed)

    def _fill(self, base: Base, max_size: int, seed: int) -> bytes:
        """Make a batch of mutations of ``base`` by one operator; return one, and leave the others ready.

        A batch shares what prepares it, and work done several times over has its code and data at hand.
        """
        doc = base
        if doc.health == SHALLOW:
            # A broken base mostly breeds broken offspring: another input does better.
            if seed & 0x7000:
                doc = self._stock[(seed >> 16) % _STOCK]
        elif not seed & 0x7000:
            doc = self._stock[(seed >> 16) % _STOCK]
        rng = self._rng
        rng.reset(seed)
        # Inputs grow now and then only: the smaller, the more of them can be tried.
        room = max_size if seed & 0x18000 == 0 else min(max_size, max(_LARGE_BYTES, len(doc.data)))
        table = self._tables[doc.level]
        apply, index = table[seed & 1023]
        outs: dict[bytes, None] = {}
        for _ in range(_TRIES):
            try:
                outs.update(dict.fromkeys(apply(doc, rng)))
            except Exception:
                self._schedule.errors[index] += 1
            if outs:
                break
            apply, index = rng.choice(table)
        ready = [out for out in outs if len(out) <= room] or self._fitting(base.data, outs, max_size)
        base.ready = ready
        self._schedule.uses[index] += len(ready)
        self._made.update(dict.fromkeys(map(hash, ready), index))
        self._left -= 1
        if not self._left:
            self._look_after(ready[-1])
        return ready.pop()

    def _fitting(self, data: bytes, outs: Iterable[bytes], max_size: int) -> list[bytes]:
        """Return what is small enough, whatever it is: some of ``outs``, inputs of the stock, or a part of ``data``."""
        fitting = [out for out in outs if len(out) <= max_size]
        if fitting:
            return fitting
        fitting = [other.data for other in self._stock if len(other.data) <= max_size]
        return [self._rng.choice(fitting or [data[:max_size]])]

    def stats(self) -> dict[str, OperatorStats]:
        """Return what each operator did so far, by name."""
        return self._schedule.stats()

    def _base(self, data: bytes) -> Base:
        """Return the parsed ``data``, which is not among the young."""
        base = self._old.get(data)
        if base is None:
            key = hash(data)
            index = self._made.get(key, self._made_before.get(key))
            if index is not None:
                self._schedule.kept[index] += 1
            base = Base(data)
            self._rng.bank.learn(base)
        if len(self._young) >= _DOCS:
            self._old = self._young
            self._young = {}
        self._young[data] = base
        return base

    def _look_after(self, out: bytes) -> None:
        """Renew a part of the stock, forget old outputs, and rebuild the schedule now and then."""
        self._left = _ROUND
        self._rounds += 1
        base = Base(out)
        if base.health == SOUND or (base.health == DEEP and self._rounds % 4 == 0):
            self._keep(base)
        if len(self._made) >= _MADE:
            self._made_before = self._made
            self._made = {}
        if self._rounds % _ROUNDS == 0:
            self._schedule.rebuild()
            self._tables = self._schedule.tables

    def _keep(self, base: Base) -> None:
        """Put ``base`` into the stock, in place of the oldest."""
        if LENGTH < len(base.data) <= 2 * _LARGE_BYTES:
            self._stock.append(base)
            del self._stock[0]
