"""Keeps the corpus small: counts seeds, and reduces them to a set that reaches the same."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType

from harness import corpus_pins, corpus_store
from harness.corpus_pins import Pin
from harness.coverage.choose import EVERYTHING, Choice, Cost, Terms, choose
from harness.coverage.intake import Sources, takes_files
from harness.errors import HarnessError
from harness.format.judge import judge
from harness.parsers.registry import Parser
from harness.targets.registry import get_target

Seeds = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Stats:
    """One target's seeds. ``sources`` counts them by origin, ``rules`` by the judge's answer; ``pinned`` are by SHA-1."""

    target: str
    seeds: int
    size: int
    median: float
    largest: int
    sources: dict[str, int]
    rules: dict[str, int]
    skipped: list[str]
    pinned: dict[str, Pin]


@dataclass(frozen=True, slots=True)
class Dropped:
    """A seed that was removed: its SHA-1, its size in bytes, and its origin, "" if unknown."""

    name: str
    size: int
    origin: str


@dataclass(slots=True, kw_only=True)
class Change(Cost):
    """One target's seeds before and after a change, in files and in bytes. ``killed`` inputs ended their process.

    ``pinned`` seeds are kept whatever the cap; ``over_cap``: they alone exceed it. ``dropped`` seeds were removed.
    """

    target: str
    before: int
    after: int
    bytes_before: int
    bytes_after: int
    killed: int = 0
    pinned: int = 0
    over_cap: bool = False
    dropped: list[Dropped] = field(default_factory=list)


def stats(corpus: Path, target: str) -> Stats:
    """Count the seeds of ``target``. Raises HarnessError when a pinned one is gone."""
    listing = corpus_store.list_seeds(corpus / target)
    provenance = corpus_store.read_provenance(corpus / target)
    sizes = [len(data) for _, data in listing.seeds] or [0]
    files = listing.seeds if takes_files(get_target(target)) else []
    rules = Counter(judge(data).rule or "accepted" for _, data in files)
    sources = Counter(provenance[name].source if name in provenance else "unknown" for name, _ in listing.seeds)
    return Stats(
        target,
        len(listing.seeds),
        sum(sizes),
        statistics.median(sizes),
        max(sizes),
        dict(sources.most_common()),
        dict(rules.most_common()),
        listing.skipped,
        corpus_pins.of_seeds(corpus / target, {name for name, _ in listing.seeds}),
    )


def minimize(corpus: Path, target: str, parser: Parser | None, terms: Terms = EVERYTHING) -> Change:
    """Remove seeds of ``target`` that add no feature, that exceed the cap, or that end their process. Pinned seeds stay.

    The choice is complete before the first removal, so an interruption loses no needed seed. Files that are no seeds stay.
    Raises HarnessError when there are no seeds, a pinned one is gone, or another process changes them, EngineError when they
    cannot run.
    """
    if not (corpus_store.list_seeds(corpus / target).seeds or corpus_pins.read(corpus / target)):
        raise HarnessError(f"no seeds for target {target} in {corpus}", hint="harness corpus stats lists the seeds")
    with corpus_store.locked(corpus / target) as folder:
        offer = _Offer.of(folder, {}, {})
        return _keep(folder, offer, choose(parser, target, offer.inputs, terms, pinned=offer.pinned), terms)


def merge(
    corpus: Path,
    target: str,
    sources: Sources,
    parser: Parser | None,
    terms: Terms = EVERYTHING,
    pins: Mapping[str, Pin] = MappingProxyType({}),
) -> Change:
    """Add inputs of ``sources`` (by SHA-1) with a new feature to the seeds of ``target``.

    By code, only edges, lines, regions and answers count. Inputs that end their process are left out. Beyond the cap, the
    inputs with the least features per byte go, old or new. Pinned seeds stay. Inputs that ``pins`` names come with their pins.
    Raises HarnessError when another process changes the seeds or a pinned one is gone, EngineError when they cannot run.
    """
    with corpus_store.locked(corpus / target) as folder:
        offer = _Offer.of(folder, sources, pins)
        settled = len(offer.old)
        choice = choose(parser, target, offer.inputs, terms, settled=settled, pinned=offer.pinned)
        return _keep(folder, offer, choice, terms)


@dataclass(frozen=True, slots=True)
class _Offer:
    """The ``old`` seeds of a folder and ``fresh`` inputs to choose among, in this order, with the pins of both."""

    old: Seeds
    fresh: Sources
    pins: dict[str, Pin]

    @classmethod
    def of(cls, folder: Path, sources: Sources, pins: Mapping[str, Pin]) -> _Offer:
        """The folder's seeds beside ``sources`` and their ``pins``. A pin of the folder's own comes first."""
        old = corpus_store.list_seeds(folder).seeds
        names = {name for name, _ in old}
        fresh = {name: source for name, source in sorted(sources.items()) if name not in names}
        taken = {name: pin for name, pin in pins.items() if name in sources}
        return cls(old, fresh, {**taken, **corpus_pins.of_seeds(folder, names)})

    @property
    def seeds(self) -> Seeds:
        """All of them, with their names."""
        return [*self.old, *((name, data) for name, (data, _) in self.fresh.items())]

    @property
    def inputs(self) -> list[bytes]:
        """All of them."""
        return [data for _, data in self.seeds]

    @property
    def pinned(self) -> list[int]:
        """Indices of those that stay in any case."""
        return [index for index, (name, _) in enumerate(self.seeds) if name in self.pins]


def _keep(folder: Path, offer: _Offer, choice: Choice, terms: Terms) -> Change:
    """Store the choice in the folder."""
    seeds = offer.seeds
    kept = [seeds[i] for i in choice.chosen]
    names = {name for name, _ in kept}
    new: Sources = {name: offer.fresh[name] for name in names & offer.fresh.keys()}
    origins = corpus_store.read_provenance(folder)
    dropped = [Dropped(name, len(data), str(origins.get(name, ""))) for name, data in offer.old if name not in names]
    corpus_store.change(folder, new, [seed.name for seed in dropped])
    if offer.pins != corpus_pins.read(folder):
        corpus_pins.write(folder, offer.pins)
    size_before, size_after = (sum(len(data) for _, data in some) for some in (offer.old, kept))
    return Change(
        target=folder.name,
        before=len(offer.old),
        after=len(kept),
        bytes_before=size_before,
        bytes_after=size_after,
        killed=len(set(choice.dead) - set(choice.chosen)),
        pinned=len(offer.pins),
        over_cap=not terms.cap.holds(size_after, len(kept)),
        dropped=dropped,
        **{part.name: getattr(choice, part.name) for part in fields(Cost)},
    )
