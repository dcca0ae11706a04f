"""Time from an empty corpus until every reachable region of tensor.rs is covered, beside native libFuzzer.

What is reachable is taken from evidence: regions that any of the measured campaigns or the committed corpus has
reached under ``deserialize``. A campaign's corpus is replayed in the order it was found, and the shortest prefix that
reaches a share of those regions is looked for by bisection; its last input's time is the answer.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from harness import corpus_store
from harness.bench import native, runner
from harness.coverage.counts import Region
from harness.coverage.measure import Reach, measure
from harness.parsers.registry import Parser

Say = Callable[[str], None]
# What libFuzzer runs first where it is given no corpus, and keeps without writing it to disk.
_FIRST = (0.0, b"\n")
_SHARES = (0.9, 0.95, 0.99, 1.0)


def _prefix(
    parser: Parser, corpus: Sequence[tuple[float, bytes]], wanted: frozenset[Region], share: float
) -> float | None:
    """Seconds until ``share`` of ``wanted`` is reached; None where the whole corpus does not."""
    inputs = [data for _, data in corpus]
    need = share * len(wanted)

    def enough(count: int) -> bool:
        return len(measure(parser, "deserialize", inputs[:count]).reached & wanted) >= need

    if not inputs or not enough(len(inputs)):
        return None
    low, high = 0, len(inputs)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return corpus[high - 1][0]


def reach(parser: str, coverage: Parser, source: Parser, seeds: int, seconds: float, say: Say) -> dict[str, Any]:
    """The whole comparison: ``seeds`` runs of ours and of the peer, ``seconds`` each, both from nothing."""
    program = native.build(source)
    ours: list[list[tuple[float, bytes]]] = []
    peers: list[list[tuple[float, bytes]]] = []
    cpu: list[float] = []
    with runner.scratch() as folder:
        for seed in range(1, seeds + 1):
            done = runner.fuzz(
                "deserialize",
                parser,
                folder,
                seed=seed,
                seconds=seconds,
                seed_dirs=(),
                options=("-reduce_inputs=0",),
            )
            # The clock of a shared machine runs on while we do not: times are scaled to the CPU the worker got.
            cpu.append(done.status.cpu_seconds / done.status.seconds)
            ours.append([_FIRST, *((at * cpu[-1], data) for at, data in done.corpus)])
            inputs, executions = native.run(program, seconds * cpu[-1], seed)
            peers.append([_FIRST, *inputs])
            say(
                f"  seed {seed}: {done.status.executions} executions, {len(ours[-1])} kept; "
                f"native {executions} executions, {len(inputs)} kept"
            )
    committed = [data for _, data in corpus_store.list_seeds(runner.seed_dirs("deserialize")[0]).seeds]
    evidence = measure(coverage, "deserialize", committed)
    reaches: list[Reach] = [measure(coverage, "deserialize", [data for _, data in corpus]) for corpus in ours]
    wanted = evidence.reached.union(*(r.reached for r in reaches))
    entered = evidence.entered.union(*(r.entered for r in reaches))
    native_reached = [measure(coverage, "deserialize", [data for _, data in corpus]).reached for corpus in peers]
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
