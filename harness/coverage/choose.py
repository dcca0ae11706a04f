"""Chooses the inputs to keep: all that they reach, within a cap, and no region of the parser lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.coverage import regions
from harness.coverage.cover import NO_CAP, Cap, cover, union, within
from harness.coverage.features import features_of
from harness.coverage.reached import CODE, REGIONS, Reached
from harness.coverage.regions import Regions
from harness.parsers.registry import Parser

#: Features that inputs are kept for: all, or those of code alone.
KINDS = ("all", "code")


@dataclass(frozen=True, slots=True)
class Terms:
    """Features that count (one of :data:`KINDS`), the cap, and whether regions are measured where they can be."""

    by: str = "all"
    cap: Cap = NO_CAP
    regions: bool = True


#: Everything, however much.
EVERYTHING = Terms()


@dataclass(slots=True, kw_only=True)
class Cost:
    """Cost of a choice: ``lost`` of all ``features``, ``lost_code`` of them features of code.

    ``regions_before`` are reached by all inputs, ``regions_after`` by the chosen ones; None for the reason ``unmeasured``.
    ``repaired`` inputs were added for regions that have no counter.
    """

    features: int = 0
    lost: int = 0
    lost_code: int = 0
    regions_before: int | None = None
    regions_after: int | None = None
    unmeasured: str = ""
    repaired: int = 0


@dataclass(slots=True, kw_only=True)
class Choice(Cost):
    """Indices of the inputs that were chosen, and of those that ended their process."""

    chosen: list[int] = field(default_factory=list)
    dead: list[int]


def choose(
    parser: Parser | None,
    target: str,
    inputs: Sequence[bytes],
    terms: Terms,
    *,
    settled: int = 0,
    pinned: Sequence[int] = (),
) -> Choice:
    """Choose inputs that together reach all that ``inputs`` reach.

    The first ``settled`` inputs stay within the cap, dead or not. The inputs of the indices ``pinned`` stay whatever the cap.
    Raises EngineError when no input can run.
    """
    return _Chooser(parser, target, inputs, terms, settled, pinned).choose()


class _Chooser:
    """Features and regions of all inputs, and of a choice among them."""

    def __init__(
        self,
        parser: Parser | None,
        target: str,
        inputs: Sequence[bytes],
        terms: Terms,
        settled: int,
        pinned: Sequence[int],
    ) -> None:
        self._target = target
        self._terms = terms
        self._pinned = pinned
        self._firm = [*range(settled), *(index for index in pinned if index >= settled)]
        self._reached, replayed = features_of(parser, target, inputs)
        self._alive = [i for i, bits in enumerate(self._reached.bits) if bits is not None]
        self._dead = [i for i, _ in replayed.deaths]
        self._inputs = inputs
        self._sizes = [len(data) for data in inputs]
        self._before: Regions = frozenset()
        self._build, self._unmeasured = regions.measuring_build(parser) if terms.regions else (None, "not asked for")
        if self._build is not None and self._alive:
            counts, self._before = regions.counted(self._build, target, [inputs[i] for i in self._alive])
            spread = Reached(len(inputs))
            spread.names = counts.names
            for i, bits in zip(self._alive, counts.bits, strict=True):
                spread.bits[i] = bits
            self._reached.add(spread)
        self._bits = [bits or 0 for bits in self._reached.bits]
        self._all = union(self._bits)
        self._code = self._reached.mask(*CODE) & self._all
        self._wanted = self._all if terms.by == "all" else self._code

    def choose(self) -> Choice:
        have = union([self._bits[i] for i in self._firm]) & self._wanted
        more = cover([bits & self._wanted for bits in self._bits], self._sizes, have)
        chosen = self._within([*self._firm, *more])
        made = Choice(dead=self._dead, features=self._wanted.bit_count(), unmeasured=self._unmeasured)
        if self._build is not None:
            lost = self._before - self._regions(chosen)
            firmly = self._reached.mask(*REGIONS) & self._all
            if lost and not firmly & ~union([self._bits[i] for i in chosen]):
                others = sorted(set(self._alive) - set(chosen))
                inputs = [self._inputs[i] for i in others]
                more = [others[i] for i in regions.those_that_reach(self._build, self._target, inputs, lost)]
                chosen = self._within([*more, *chosen], len(more))
                made.repaired = len(more)
                lost = self._before - self._regions(chosen)
            made.regions_before, made.regions_after = len(self._before), len(self._before) - len(lost)
        missing = self._wanted & ~union([self._bits[i] for i in chosen])
        made.chosen, made.lost, made.lost_code = sorted(chosen), missing.bit_count(), (missing & self._code).bit_count()
        return made

    def _within(self, chosen: list[int], first: int = 0) -> list[int]:
        """``chosen``, or the best inputs within the cap; the ``first`` of ``chosen`` before all others."""
        cap = self._terms.cap
        if cap.holds(sum(self._sizes[i] for i in chosen), len(chosen)):
            return chosen
        firmly = self._reached.mask(*REGIONS)
        tiers = (firmly & self._wanted, self._code & self._wanted, self._wanted)
        return within(self._bits, self._sizes, cap, tiers, chosen[:first], self._pinned)

    def _regions(self, chosen: Sequence[int]) -> Regions:
        assert self._build is not None
        alive = set(self._alive)
        return regions.regions_of(self._build, self._target, [self._inputs[i] for i in chosen if i in alive])
