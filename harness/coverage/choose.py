"""Which of many inputs to keep: all that they reach, within a cap, and no region of the parser lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.coverage import regions
from harness.coverage.cover import NO_CAP, Cap, cover, union, within
from harness.coverage.features import features_of
from harness.coverage.reached import CODE, REGIONS, Reached
from harness.coverage.regions import Regions
from harness.parsers.registry import Parser

#: What inputs are kept for: everything that a campaign is paid for, or what they reach of the code alone.
KINDS = ("all", "code")


@dataclass(frozen=True, slots=True)
class Terms:
    """What inputs are kept for (one of :data:`KINDS`), how many, and whether regions are measured where they can be."""

    by: str = "all"
    cap: Cap = NO_CAP
    regions: bool = True


#: Everything, however much.
EVERYTHING = Terms()


@dataclass(frozen=True, slots=True)
class Choice:
    """Inputs that were chosen and those that ended their process, by index, and what the choice costs.

    ``features`` is how many the inputs have, ``lost`` how many of them the chosen ones have not, ``lost_code`` how many of
    these stand for code. ``regions`` is how many all inputs reach and how many the chosen ones do, None where that was not
    measured, for the reason ``unmeasured``; ``repaired`` inputs were added for regions that have no counter of their own.
    """

    chosen: list[int]
    dead: list[int]
    features: int
    lost: int = 0
    lost_code: int = 0
    regions: tuple[int, int] | None = None
    unmeasured: str = ""
    repaired: int = 0


def choose(parser: Parser | None, target: str, inputs: Sequence[bytes], terms: Terms, *, settled: int = 0) -> Choice:
    """Choose among ``inputs`` those that together reach what all do.

    The first ``settled`` ones stay, dead or not, unless the cap says otherwise. Raises EngineError when nothing can be run.
    """
    return _Chooser(parser, target, inputs, terms, settled).choose()


class _Chooser:
    """What all inputs reach, and what a choice among them does."""

    def __init__(self, parser: Parser | None, target: str, inputs: Sequence[bytes], terms: Terms, settled: int) -> None:
        self._target = target
        self._terms = terms
        self._settled = settled
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
        chosen = self._within(self._cover())
        measured: tuple[int, int] | None = None
        repaired = 0
        if self._build is not None:
            lost = self._before - self._regions(chosen)
            firmly = self._reached.mask(*REGIONS) & self._all
            if lost and not firmly & ~union([self._bits[i] for i in chosen]):
                more = self._repair(self._build, chosen, lost)
                chosen = self._within([*more, *chosen], len(more))
                repaired = len(more)
                lost = self._before - self._regions(chosen)
            measured = len(self._before), len(self._before) - len(lost)
        missing = self._wanted & ~union([self._bits[i] for i in chosen])
        return Choice(
            sorted(chosen),
            self._dead,
            self._wanted.bit_count(),
            missing.bit_count(),
            (missing & self._code).bit_count(),
            measured,
            self._unmeasured,
            repaired,
        )

    def _cover(self) -> list[int]:
        """Enough for everything, without regard to the cap."""
        have = union(self._bits[: self._settled])
        wanted = [bits & self._wanted for bits in self._bits]
        return [*range(self._settled), *cover(wanted, self._sizes, have & self._wanted)]

    def _within(self, chosen: list[int], first: int = 0) -> list[int]:
        """``chosen``, or where that is too much, the best that the cap has room for; the ``first`` of them before all."""
        cap = self._terms.cap
        if cap.holds(sum(self._sizes[i] for i in chosen), len(chosen)):
            return chosen
        firmly = self._reached.mask(*REGIONS)
        tiers = (firmly & self._wanted, self._code & self._wanted, self._wanted)
        return within(self._bits, self._sizes, cap, tiers, chosen[:first])

    def _regions(self, chosen: Sequence[int]) -> Regions:
        assert self._build is not None
        alive = set(self._alive)
        return regions.regions_of(self._build, self._target, [self._inputs[i] for i in chosen if i in alive])

    def _repair(self, build: Parser, chosen: Sequence[int], lost: Regions) -> list[int]:
        """Inputs that reach what has no counter of its own."""
        others = sorted(set(self._alive) - set(chosen))
        found = regions.those_that_reach(build, self._target, [self._inputs[i] for i in others], lost)
        return [others[i] for i in found]
