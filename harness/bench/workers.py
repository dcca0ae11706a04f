"""What a second worker brings, and what the supervisor of them costs: real campaigns, side by side."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from harness.bench import runner
from harness.errors import EngineError
from harness.targets.registry import all_targets

Say = Callable[[str], None]


def campaign(parser: str, targets: tuple[str, ...], seconds: float, *, workers: int, seed: int = 1) -> dict[str, Any]:
    """One campaign from the committed seeds, in a process of its own; its session of the ledger. Raises EngineError."""
    chosen = [word for name in targets for word in ("--target", name)]
    with runner.scratch() as folder:
        command = [sys.executable, "-m", "harness", "fuzz", *chosen, "--parser", parser, "--time", f"{seconds:g}s"]
        command += ["--workers", str(workers), "--seed", str(seed), "--campaign", str(folder), "--no-ui", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode > 1:
        raise EngineError(f"the campaign ended with {done.returncode}: {done.stderr[-2000:]}")
    session: dict[str, Any] = json.loads(done.stdout)
    return session


def two(parser: str, seeds: int, seconds: float, say: Say) -> dict[str, Any]:
    """Two workers on ``deserialize`` against one, for the same time, in turns: executions and edges, by seed.

    ``ratio`` is over the clock, and so of this machine with all that runs on it; ``cpu`` says how many more CPU-seconds the
    two had, and ``ratio_cpu`` is what is left of the ratio for each of those.
    """
    rows = []
    for seed in range(1, seeds + 1):
        one, both = (
            campaign(parser, ("deserialize",), seconds, workers=workers, seed=seed)
            for workers in ((1, 2) if seed % 2 else (2, 1))
        )
        if not seed % 2:
            one, both = both, one
        ratio, cpu = both["executions"] / one["executions"], both["cpu_seconds"] / one["cpu_seconds"]
        edges = [session["per_target"]["deserialize"]["edges"] for session in (one, both)]
        rows.append({"seed": seed, "ratio": ratio, "cpu": cpu, "ratio_cpu": ratio / cpu, "edges": edges})
        say(
            f"  seed {seed}: {ratio:.2f} times the executions of one worker ({cpu:.2f} times its CPU-seconds); "
            f"edges {edges[0]} with one, {edges[1]} with two"
        )
    median = {name: statistics.median(row[name] for row in rows) for name in ("ratio", "cpu", "ratio_cpu")}
    say(f"  median {median['ratio']:.2f} times the executions, {median['cpu']:.2f} times the CPU-seconds")
    return {"seconds": seconds, "rows": rows, "median": median}


def supervisor(parser: str, seconds: float, say: Say) -> dict[str, Any]:
    """CPU of the supervisor's process over that of it and its workers, with two workers, on two targets and on all that run here.

    The top level is what came of the two, ``all`` what came of all. Beside other work workers have less time, and its share is larger.
    """
    everything = tuple(name for name, target in all_targets().items() if not target.missing())
    return _supervisor(parser, ("deserialize", "safe_open"), seconds, say) | {
        "all": _supervisor(parser, everything, seconds, say)
    }


def _supervisor(parser: str, targets: tuple[str, ...], seconds: float, say: Say) -> dict[str, Any]:
    session = campaign(parser, targets, seconds, workers=2)
    own, workers = session["supervisor_cpu_seconds"], session["cpu_seconds"]
    share = own / (own + workers)
    say(
        f"  on {len(targets)} targets the supervisor takes {own:.2f} of {own + workers:.1f} CPU-seconds: {100 * share:.1f} %"
    )
    return {"seconds": seconds, "supervisor_cpu_seconds": own, "cpu_seconds": workers, "share": share}
