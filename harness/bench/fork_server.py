"""The cost of running every input of a target in the fork server (:mod:`harness.engine.worker.fork_server`)."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from harness.bench import runner

#: A target whose inputs are files and run in microseconds, and one whose inputs are programs.
TARGETS = ("deserialize", "slices")


def cost(parser: str, seeds: int, runs: int, say: Callable[[str], None]) -> dict[str, Any]:
    """By target, the ratio of executions per second in process and in the fork server, and that of the edges.

    Seconds are of the clock, as the worker and its child take turns. The two runs of a seed follow each other.
    """
    found: dict[str, Any] = {}
    with runner.scratch() as folder:
        for target in TARGETS:
            ratios: list[float] = []
            edges: list[float] = []
            for seed in range(1, seeds + 1):
                inside, forked = (
                    runner.fuzz(target, parser, folder, seed=seed, runs=runs, fork_server=fork_server)
                    for fork_server in (False, True)
                )
                ratios.append(forked.status.fuzzing_seconds / inside.status.fuzzing_seconds)
                edges.append(forked.edges / inside.edges)
            median = statistics.median(ratios)
            found[target] = {"ratios": ratios, "median": median, "edges": edges}
            say(
                f"  {target}: the fork server takes {median:.2f} times as long (median of {seeds} seeds); "
                f"{100 * statistics.median(edges):.0f} % of the edges"
            )
    return found
