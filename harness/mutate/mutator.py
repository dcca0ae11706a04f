"""The custom mutator: parses each base once, picks an operator, never raises."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from harness.format.tree import LENGTH, SHALLOW, SOUND, Doc, text
from harness.mutate.generate import generate
from harness.mutate.registry import OPERATORS
from harness.mutate.rng import Native, Rng
from harness.mutate.schedule import OperatorStats, Schedule, level

_DOCS: Final = 1024
"""Parsed bases in each of two generations, a dozen kilobytes each: more than a corpus has members."""
_MET: Final = 1 << 14
"""Hashes of bases that were met, in each of two generations."""
_MADE: Final = 1 << 16
"""Hashes of outputs that may get credit, in each of two generations."""
_STOCK: Final = 64
"""Derived inputs that stand in as bases."""
_ROUND: Final = 1024
"""Calls between two renewals of the stock."""
_ROUNDS: Final = 16
"""Rounds between two rebuilds of the schedule."""
_LARGE_BYTES: Final = 640
_BATCH: Final = 32
"""Mutations made at a time."""
_TRIES: Final = 10


class Base(Doc):
    """A parsed input with its ``level`` in the schedule.

    In ``stand_ins`` of eight calls another input stands in for it: a broken base mostly has broken mutations, and a flaw that
    the parser overlooks hides other flaws.
    """

    __slots__ = ("level", "stand_ins")

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.level = level(self.health, len(self.tensors), len(data) > _LARGE_BYTES)
        self.stand_ins = 7 if self.health == SHALLOW else 5 if self.flawed() else 1

    def flawed(self) -> bool:
        """Return whether it has one of the flaws that parsers overlook."""
        data = self.data
        names = [text(tensor.name) or "" for tensor in self.tensors]
        items = self.items()
        keys = {data[start:stop] for (start, stop), _ in items}
        return (
            data[LENGTH : LENGTH + 1] != b"{"
            or data[self.end - 1] not in b"} "
            or len(set(names)) < len(names)
            or any("\ud7ff" < character < "\ue000" for character in "".join(names))
            or len(keys) < len(items)
            or any(len(tensor.fields) > 3 for tensor in self.tensors)
        )


class Mutator:
    """A custom mutator for libFuzzer that works on the structure of the format.

    ``native`` is libFuzzer's own mutation (``atheris.Mutate``), None outside libFuzzer. ``disabled`` operators are left out;
    ValueError for an unknown name, or if none is left. Without
    ``learn`` all operators that fit have the same share. Run libFuzzer with ``-mutate_depth=1``: then every base is a corpus
    member and is parsed once. An output that comes back as a base was kept, and its operator gets credit.

    Equal calls in equal order give equal outputs. After a call, ``expect_valid`` is True for the output of an operator that
    keeps a sound file sound: in most cases a valid file.
    """

    def __init__(
        self,
        seeds: Sequence[bytes],
        *,
        native: Native | None = None,
        disabled: Collection[str] = (),
        learn: bool = True,
    ) -> None:
        strange = set(disabled) - OPERATORS.keys()
        if strange:
            raise ValueError(f"no such operator: {', '.join(sorted(strange))}")
        operators = [op for name, op in OPERATORS.items() if name not in disabled]
        if not operators:
            raise ValueError("every operator is disabled")
        self._schedule = Schedule(operators, learn=learn)
        self._tables = self._schedule.tables
        self._rng = Rng(0, native=native)
        #: New bases; the caller empties the list.
        self.fresh: list[bytes] = []
        self._young: dict[bytes, Base] = {}
        self._old: dict[bytes, Base] = {}
        self._met: set[int] = set()
        self._met_before: set[int] = set()
        self._made: dict[int, int] = {}
        self._made_before: dict[int, int] = {}
        self._left = _ROUND
        self._rounds = 0
        #: Outputs that are not handed out yet.
        self.ready: list[bytes] = []
        self._valid_from = 0
        self.expect_valid = False
        self._stock: list[Base] = []
        for seed in range(_STOCK):
            self._rng.reset(seed)
            self._stock.append(Base(generate(self._rng)))
        for data in seeds:
            base = self._base(data)
            if base.health == SOUND and base.stand_ins == 1:
                self._keep(base)

    def __call__(self, data: bytes, max_size: int, seed: int) -> bytes:
        """Return a mutation of ``data`` of at most ``max_size`` bytes."""
        ready = self.ready
        if ready:
            out = ready.pop()
            if len(out) <= max_size:
                self.expect_valid = len(ready) >= self._valid_from
                return out
        base = self._young.get(data)
        if base is None:
            base = self._base(data)
        return self._fill(base, max_size, seed)

    def _fill(self, base: Base, max_size: int, seed: int) -> bytes:
        """Make a batch of mutations of ``base`` by a few operators; return one, and leave the others ready.

        The first mutation of a batch takes several times as long as the next, as the parser empties the CPU's caches between
        calls. The other outputs answer calls with other bases, so libFuzzer's choice of bases is sampled.
        """
        doc = base if seed >> 12 & 7 >= base.stand_ins else self._stock[(seed >> 16) % _STOCK]
        rng = self._rng
        rng.reset(seed)
        # Inputs grow in one call of four: small inputs run faster.
        room = max_size if seed & 0x18000 == 0 else min(max_size, max(_LARGE_BYTES, len(doc.data)))
        table, made = self._tables[doc.level], self._made
        calls, uses = self._schedule.calls, self._schedule.uses
        ready: list[bytes] = []
        valid: list[bytes] = []
        sound = self._schedule.sound if doc.health == SOUND else ()
        apply, index = table[seed & 1023]
        for _ in range(_TRIES):
            try:
                outs = [out for out in apply(doc, rng) if len(out) <= room]
            except Exception:
                self._schedule.errors[index] += 1
                outs = []
            calls[index] += 1
            uses[index] += len(outs)
            made.update(dict.fromkeys(map(hash, outs), index))
            if index in sound:
                valid += outs
            else:
                ready += outs
            if len(ready) + len(valid) >= _BATCH:
                break
            apply, index = rng.choice(table)
        self._valid_from = len(ready)
        ready += valid
        self._left -= len(ready)
        if not ready:
            self.expect_valid = False
            # An input of the stock that fits, or a part of the base.
            fitting = [other.data for other in self._stock if len(other.data) <= max_size]
            return rng.choice(fitting or [base.data[:max_size]])
        self.ready = ready
        out = ready.pop()
        self.expect_valid = len(ready) >= self._valid_from
        if self._left <= 0:
            self._look_after(out)
        return out

    def stats(self) -> dict[str, OperatorStats]:
        """Return what each operator did so far, by name."""
        return self._schedule.stats()

    def _base(self, data: bytes) -> Base:
        """Return the parsed ``data``, which is not among the young."""
        base = self._old.get(data)
        if base is None:
            base = Base(data)
            self._meet(base)
        if len(self._young) >= _DOCS:
            self._old = self._young
            self._young = {}
        self._young[data] = base
        return base

    def _meet(self, base: Base) -> None:
        """Give credit for ``base``, a new member of the corpus, and learn from it, once."""
        key = hash(base.data)
        if key in self._met or key in self._met_before:
            return
        if len(self._met) >= _MET:
            self._met_before = self._met
            self._met = set()
        self._met.add(key)
        index = self._made.get(key, self._made_before.get(key))
        if index is not None:
            self._schedule.kept[index] += 1
        self.fresh.append(base.data)
        self._rng.bank.learn(base)

    def _look_after(self, out: bytes) -> None:
        """Renew a part of the stock, forget old outputs, and rebuild the schedule in one round of _ROUNDS."""
        self._left = _ROUND
        self._rounds += 1
        base = Base(out)
        if base.stand_ins == 1 and (base.health == SOUND or self._rounds % 4 == 0):
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
