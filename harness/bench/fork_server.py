"""What it costs to run every input of a target in the forked child of :mod:`harness.engine.worker.fork_server`."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from harness.bench import runner

#: A target whose inputs are files and run in microseconds, and one whose inputs are programs.
TARGETS = ("deserialize", "slices")


def cost(parser: str, seeds: int, runs: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Executions per second of a run in process over those of the same run isolated, by target; and the edges of both.

    Seconds are of the clock here, in which the worker and its child take turns; the two runs of a seed follow each other.
    """
    found: dict[str, Any] = {}
    with runner.scratch() as folder:
        for target in TARGETS:
            ratios: list[float] = []
            edges: list[float] = []
            for seed in range(1, seeds + 1):
                inside, apart = (
                    runner.fuzz(target, parser, folder, seed=seed, runs=runs, isolated=isolated)
                    for isolated in (False, True)
                )
                ratios.append(apart.status["fuzzing_seconds"] / inside.status["fuzzing_seconds"])
                edges.append(apart.edges / inside.edges)
            median = statistics.median(ratios)
            found[target] = {"ratios": ratios, "median": median, "edges": edges}
            say(
                f"  {target}: isolated takes {median:.2f} times as long (median of {seeds} seeds); "
                f"{100 * statistics.median(edges):.0f} % of the edges"
            )
    return found
