"""The gain of a second worker and the cost of the supervisor, in real campaigns side by side."""

from __future__ import annotations

from typing import Any

from harness.bench import runner
from harness.bench.runner import Say
from harness.targets.registry import all_targets


def _campaign(parser: str, targets: tuple[str, ...], seconds: float, workers: int, seed: int = 1) -> dict[str, Any]:
    with runner.scratch() as folder:
        return runner.campaign(folder, targets, seconds, seed, "--parser", parser, "--workers", str(workers))


def two(parser: str, seeds: int, seconds: float, say: Say) -> dict[str, Any]:
    """Two workers on ``deserialize`` against one, for the same time, in turns: executions and edges, by seed.

    ``ratio`` is executions of two over one. ``cpu`` is the same for CPU-seconds, ``ratio_cpu`` is ``ratio`` over ``cpu``.
    """
    rows = []
    for seed in range(1, seeds + 1):
        order = (1, 2) if seed % 2 else (2, 1)
        sessions = {workers: _campaign(parser, ("deserialize",), seconds, workers, seed) for workers in order}
        one, both = sessions[1], sessions[2]
        ratio, cpu = both["executions"] / one["executions"], both["cpu_seconds"] / one["cpu_seconds"]
        edges = [session["per_target"]["deserialize"]["edges"] for session in (one, both)]
        rows.append({"seed": seed, "ratio": ratio, "cpu": cpu, "ratio_cpu": ratio / cpu, "edges": edges})
        say(
            f"  seed {seed}: {ratio:.2f} times the executions of one worker ({cpu:.2f} times its CPU-seconds); "
            f"edges {edges[0]} with one, {edges[1]} with two"
        )
    median = runner.medians(rows, ("ratio", "cpu", "ratio_cpu"))
    say(f"  median {median['ratio']:.2f} times the executions, {median['cpu']:.2f} times the CPU-seconds")
    return {"seconds": seconds, "rows": rows, "median": median}


def supervisor(parser: str, seconds: float, say: Say) -> dict[str, Any]:
    """Share of the supervisor in the CPU-seconds of a campaign with two workers.

    The top level is for two targets, ``all`` for all targets that run here.
    """
    everything = tuple(name for name, target in all_targets().items() if not target.missing())
    two_targets = _supervisor(parser, ("deserialize", "safe_open"), seconds, say)
    return two_targets | {"all": _supervisor(parser, everything, seconds, say)}


def _supervisor(parser: str, targets: tuple[str, ...], seconds: float, say: Say) -> dict[str, Any]:
    session = _campaign(parser, targets, seconds, workers=2)
    own, workers = session["supervisor_cpu_seconds"], session["cpu_seconds"]
    share = own / (own + workers)
    say(
        f"  on {len(targets)} targets the supervisor takes {own:.2f} of {own + workers:.1f} CPU-seconds: {100 * share:.1f} %"
    )
    return {"seconds": seconds, "supervisor_cpu_seconds": own, "cpu_seconds": workers, "share": share}
