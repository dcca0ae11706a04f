"""Keeping the corpus: what is in it, and the small set that reaches the same."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import corpus_store
from harness.corpus_store import Provenance
from harness.coverage.choose import EVERYTHING, Choice, Terms, choose
from harness.coverage.intake import Sources, takes_files
from harness.errors import HarnessError
from harness.format.judge import judge
from harness.parsers.registry import Parser
from harness.targets.registry import get_target

Seeds = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Stats:
    """One target's seeds. ``sources`` counts them by where they came from, ``rules`` by the judge's answer."""

    target: str
    seeds: int
    size: int
    median: float
    largest: int
    sources: dict[str, int]
    rules: dict[str, int]
    skipped: list[str]


@dataclass(frozen=True, slots=True)
class Change:
    """What an operation did to one target's seeds, in files and in bytes."""

    target: str
    before: int
    after: int
    bytes_before: int
    bytes_after: int
    features: int
    killed: int = 0
    #: Features that the cap cost, and how many of them stand for code.
    lost: int = 0
    lost_code: int = 0
    #: Regions of the parser that all inputs reached and that those kept reach; None where ``unmeasured`` says why.
    regions_before: int | None = None
    regions_after: int | None = None
    unmeasured: str = ""
    #: Inputs added for regions that no counter stands for.
    repaired: int = 0


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
    """Remove the seeds of ``target`` that add nothing to the rest, those past the cap, and those that end their process.

    Nothing is removed before all is known, so an interruption leaves every seed that is needed. Files that are no
    seeds stay. Raises HarnessError when there are no seeds or another process changes them, EngineError when they
    cannot be run.
    """
    if not corpus_store.list_seeds(corpus / target).seeds:
        raise HarnessError(f"no seeds for target {target} in {corpus}", hint="harness corpus stats shows what there is")
    with corpus_store.locked(corpus / target) as folder:
        seeds = corpus_store.list_seeds(folder).seeds
        choice = choose(parser, target, [data for _, data in seeds], terms)
        return _keep(folder, target, seeds, {}, choice)


def merge(corpus: Path, target: str, sources: Sources, parser: Parser | None, terms: Terms = EVERYTHING) -> Change:
    """Add to the seeds of ``target`` those of ``sources`` (by SHA-1) that reach what no seed reaches yet.

    By code only edges, lines, regions and answers count: a program may combine what is known in a thousand ways that
    a campaign is paid for and nobody needs to keep. Inputs that end their process are left out. Where seeds and
    newcomers together are past the cap, those that are worth least go, old or new. Raises HarnessError when another
    process changes the seeds, EngineError when they cannot be run.
    """
    with corpus_store.locked(corpus / target) as folder:
        old = corpus_store.list_seeds(folder).seeds
        names = {name for name, _ in old}
        fresh = [(name, data) for name, (data, _) in sorted(sources.items()) if name not in names]
        choice = choose(parser, target, [data for _, data in (*old, *fresh)], terms, settled=len(old))
        return _keep(folder, target, old, {name: sources[name] for name, _ in fresh}, choice)


def _keep(folder: Path, target: str, old: Seeds, fresh: Sources, choice: Choice) -> Change:
    """Make the folder hold what was chosen of its seeds and of ``fresh`` ones, which come after them in order."""
    offered: Seeds = [*old, *((name, data) for name, (data, _) in fresh.items())]
    kept = [offered[i] for i in choice.chosen]
    names = {name for name, _ in kept}
    new: dict[str, tuple[bytes, Provenance]] = {name: fresh[name] for name in names & fresh.keys()}
    corpus_store.change(folder, new, [name for name, _ in old if name not in names])
    before, after = choice.regions or (None, None)
    size_before, size_after = (sum(len(data) for _, data in seeds) for seeds in (old, kept))
    return Change(
        target, len(old), len(kept), size_before, size_after, choice.features,
        len(set(choice.dead) - set(choice.chosen)),
        choice.lost, choice.lost_code, before, after, choice.unmeasured, choice.repaired,
    )  # fmt: skip
