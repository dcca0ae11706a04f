"""Time from an empty corpus until every reachable region of tensor.rs is covered, beside native libFuzzer.

Reachable are the regions that a measured campaign or the committed corpus has reached under ``deserialize``. A corpus is
replayed in the order it was found. Bisection finds the shortest prefix that reaches a share of the reachable regions.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from harness import corpus_store
from harness.bench import native, runner
from harness.bench.runner import Say
from harness.coverage.counts import Region
from harness.coverage.regions import Reach, measure
from harness.parsers.registry import Parser

# libFuzzer runs this input first where it has no corpus, and keeps it without a file.
_FIRST = (0.0, b"\n")
_SHARES = (0.9, 0.95, 0.99, 1.0)

Corpus = Sequence[tuple[float, bytes]]


def _reach(parser: Parser, corpus: Corpus) -> Reach:
    return measure(parser, "deserialize", [data for _, data in corpus])


def _prefix(parser: Parser, corpus: Corpus, wanted: frozenset[Region], share: float) -> float | None:
    """Seconds until ``share`` of ``wanted`` is reached; None where the whole corpus does not."""

    def enough(count: int) -> bool:
        return len(_reach(parser, corpus[:count]).reached & wanted) >= share * len(wanted)

    if not enough(len(corpus)):
        return None
    low, high = 0, len(corpus)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return corpus[high - 1][0]


def reach(parser: str, coverage: Parser, source: Parser, seeds: int, seconds: float, say: Say) -> dict[str, Any]:
    """Compare ``seeds`` runs of ours with as many of the peer, ``seconds`` each, both from an empty corpus."""
    program = native.build(source)
    ours: list[list[tuple[float, bytes]]] = []
    peers: list[list[tuple[float, bytes]]] = []
    cpu: list[float] = []
    with runner.scratch() as folder:
        for seed in range(1, seeds + 1):
            options: dict[str, Any] = {"seed_dirs": (), "options": ("-reduce_inputs=0",)}
            done = runner.fuzz("deserialize", parser, folder, seed=seed, seconds=seconds, **options)
            # Times are scaled to the CPU that the worker got of a shared machine.
            cpu.append(done.status.cpu_seconds / done.status.seconds)
            ours.append([_FIRST, *((at * cpu[-1], data) for at, data in done.corpus)])
            inputs, executions = native.run(program, seconds * cpu[-1], seed)
            peers.append([_FIRST, *inputs])
            say(
                f"  seed {seed}: {done.status.executions} executions, {len(ours[-1])} kept; "
                f"native {executions} executions, {len(inputs)} kept"
            )
    committed = [(0.0, data) for _, data in corpus_store.list_seeds(runner.seed_dirs("deserialize")[0]).seeds]
    evidence = _reach(coverage, committed)
    reaches = [_reach(coverage, corpus) for corpus in ours]
    wanted = evidence.reached.union(*(r.reached for r in reaches))
    entered = evidence.entered.union(*(r.entered for r in reaches))
    native_reached = [_reach(coverage, corpus).reached for corpus in peers]
    times = {share: [_prefix(coverage, corpus, wanted, share) for corpus in ours] for share in _SHARES}
    for share, found in times.items():
        reached = [at for at in found if at is not None]
        median = f"{statistics.median(reached):.1f} CPU-seconds" if 2 * len(reached) > len(found) else "not in most"
        say(f"  {100 * share:.0f} % of the reachable regions: {len(reached)} of {len(found)} seeds, median {median}")
    ratio = [len(r & wanted) / len(wanted) for r in native_reached]
    say(f"  native libFuzzer in the same CPU time: {100 * statistics.median(ratio):.0f} % of them")
    return {
        "seconds": seconds,
        "reachable_regions": len(wanted),
        "regions_of_entered_functions": len(entered),
        "cpu_share": cpu,
        "seconds_until": {str(share): found for share, found in times.items()},
        "reached_by_ours": [len(r.reached & wanted) for r in reaches],
        "reached_by_native": [len(r & wanted) for r in native_reached],
    }
