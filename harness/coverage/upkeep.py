"""Keeps the corpus small: counts seeds, and reduces them to a set that reaches the same."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from harness import corpus_store
from harness.coverage.choose import EVERYTHING, Choice, Cost, Terms, choose
from harness.coverage.intake import Sources, takes_files
from harness.errors import HarnessError
from harness.format.judge import judge
from harness.parsers.registry import Parser
from harness.targets.registry import get_target

Seeds = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Stats:
    """One target's seeds. ``sources`` counts them by origin, ``rules`` by the judge's answer."""

    target: str
    seeds: int
    size: int
    median: float
    largest: int
    sources: dict[str, int]
    rules: dict[str, int]
    skipped: list[str]


@dataclass(slots=True, kw_only=True)
class Change(Cost):
    """One target's seeds before and after a change, in files and in bytes. ``killed`` inputs ended their process."""

    target: str
    before: int
    after: int
    bytes_before: int
    bytes_after: int
    killed: int = 0


def stats(corpus: Path, target: str) -> Stats:
    """Count the seeds of ``target``."""
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
    )


def minimize(corpus: Path, target: str, parser: Parser | None, terms: Terms = EVERYTHING) -> Change:
    """Remove seeds of ``target`` that add no feature, that exceed the cap, or that end their process.

    The choice is complete before the first removal, so an interruption loses no needed seed. Files that are no seeds stay.
    Raises HarnessError when there are no seeds or another process changes them, EngineError when they cannot run.
    """
    if not corpus_store.list_seeds(corpus / target).seeds:
        raise HarnessError(f"no seeds for target {target} in {corpus}", hint="harness corpus stats lists the seeds")
    with corpus_store.locked(corpus / target) as folder:
        seeds = corpus_store.list_seeds(folder).seeds
        choice = choose(parser, target, [data for _, data in seeds], terms)
        return _keep(folder, target, seeds, {}, choice)


def merge(corpus: Path, target: str, sources: Sources, parser: Parser | None, terms: Terms = EVERYTHING) -> Change:
    """Add inputs of ``sources`` (by SHA-1) with a new feature to the seeds of ``target``.

    By code, only edges, lines, regions and answers count. Inputs that end their process are left out. Beyond the cap, the
    inputs with the least features per byte go, old or new. Raises HarnessError when another process changes the seeds,
    EngineError when they cannot run.
    """
    with corpus_store.locked(corpus / target) as folder:
        old = corpus_store.list_seeds(folder).seeds
        names = {name for name, _ in old}
        fresh = [(name, data) for name, (data, _) in sorted(sources.items()) if name not in names]
        choice = choose(parser, target, [data for _, data in (*old, *fresh)], terms, settled=len(old))
        return _keep(folder, target, old, {name: sources[name] for name, _ in fresh}, choice)


def _keep(folder: Path, target: str, old: Seeds, fresh: Sources, choice: Choice) -> Change:
    """Store the choice among ``old`` and ``fresh`` inputs, in this order, in the folder."""
    offered: Seeds = [*old, *((name, data) for name, (data, _) in fresh.items())]
    kept = [offered[i] for i in choice.chosen]
    names = {name for name, _ in kept}
    new: Sources = {name: fresh[name] for name in names & fresh.keys()}
    corpus_store.change(folder, new, [name for name, _ in old if name not in names])
    size_before, size_after = (sum(len(data) for _, data in seeds) for seeds in (old, kept))
    return Change(
        target=target,
        before=len(old),
        after=len(kept),
        bytes_before=size_before,
        bytes_after=size_after,
        killed=len(set(choice.dead) - set(choice.chosen)),
        **{part.name: getattr(choice, part.name) for part in fields(Cost)},
    )
