"""``harness bench speed``: depth, speed at that depth, the other targets' rates, start-up, memory.

Every figure is a ratio against something measured in the same run, or a count per CPU-second beside one: this kind of
machine is shared and noisy.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable
from typing import Any

from harness.bench import runner
from harness.targets.registry import all_targets

Say = Callable[[str], None]


def depth_and_speed(parser: str, seeds: int, runs: int, say: Say) -> dict[str, Any]:
    """How deep executions on ``deserialize`` get, and what mutator and judge cost.

    For each of ``seeds`` random seeds: a campaign of ``runs`` executions whose last inputs are recorded, then a process
    of the same build that executes the recorded inputs, round and round, with no mutator and no judge. Both counted in
    executions per CPU-second, start-up left out of both.
    """
    rows: list[dict[str, Any]] = []
    stages: Counter[str] = Counter()
    rules: Counter[str] = Counter()
    with runner.scratch() as folder:
        for seed in range(1, seeds + 1):
            record = folder / f"inputs-{seed}"
            full = runner.fuzz("deserialize", parser, folder, seed=seed, runs=runs, record=record)
            bare = runner.fuzz(
                "deserialize",
                parser,
                folder,
                seed=seed,
                runs=runs,
                record=record,
                mutator="replay",
                oracles=False,
                semantics=False,
            )
            stages.update(full.status.stages)
            rules.update(full.status.rules)
            spent, whole_ns = sum(full.status.ns.values()), 1e9 / full.rate
            rows.append(
                {
                    "seed": seed,
                    "deep": full.share("deep"),
                    "accepted": full.share("accepted"),
                    "rate": full.rate,
                    "bare_rate": bare.rate,
                    "ratio": full.rate / bare.rate,
                    "oracles_share": full.status.ns["oracles"] / whole_ns,
                    "mutate_share": full.status.ns["mutate"] / whole_ns,
                    "sampled_ns": spent,
                    "median_size": full.status.median_size,
                    "edges": full.edges,
                    "semantic_features": full.status.semantic_features,
                }
            )
            row = rows[-1]
            say(
                f"  seed {seed}: {row['rate']:.0f} executions per CPU-second, {row['ratio']:.2f} of bare; "
                f"{100 * row['deep']:.0f} % deep, {100 * row['accepted']:.0f} % accepted"
            )
            record.unlink()
    whole = sum(stages.values())
    return {
        "runs": runs,
        "rows": rows,
        "median": {
            name: statistics.median(row[name] for row in rows) for name in rows[0] if name not in ("seed", "sampled_ns")
        },
        "stages": {name: count / whole for name, count in stages.most_common()},
        "rules_judged": dict(rules.most_common()),
    }


def other_targets(parser: str, seconds: float, say: Say) -> dict[str, Any]:
    """Rate, depth and memory of the other targets that can run here, one worker each.

    Of programs, the share that is valid to the last call counts as accepted.
    """
    found: dict[str, Any] = {}
    names = [name for name, target in all_targets().items() if name != "deserialize" and not target.missing()]
    with runner.scratch() as folder:
        for target in names:
            done = runner.fuzz(target, parser, folder, seconds=seconds)
            found[target] = {
                "rate": done.rate,
                "rate_wall": done.status.executions / done.status.seconds,
                "deep": done.share("deep"),
                "accepted": done.share("accepted"),
                "rss_mb": done.status.rss_mb,
            }
            say(
                f"  {target}: {done.rate:.0f} executions per CPU-second, {100 * done.share('accepted'):.0f} % accepted, "
                f"{done.status.rss_mb} MB resident"
            )
    return found


def start_up(parser: str, times: int, say: Say) -> dict[str, Any]:
    """Seconds of one worker from its start to its first execution's end, and its CPU-seconds; parser built."""
    seen: list[tuple[float, float]] = []
    with runner.scratch() as folder:
        for seed in range(1, times + 1):
            done = runner.fuzz("deserialize", parser, folder, seed=seed, runs=1)
            seen.append((done.status.since_exec, done.status.cpu_seconds))
    wall, cpu = statistics.median(s[0] for s in seen), statistics.median(s[1] for s in seen)
    say(f"  start-up of a worker: {wall:.2f} s on the clock, {cpu:.2f} CPU-seconds")
    return {"wall_seconds": wall, "cpu_seconds": cpu, "times": times}


def memory(parser: str, seconds: float, say: Say) -> dict[str, Any]:
    """Resident memory of one ``deserialize`` worker over time: is it flat?"""
    with runner.scratch() as folder:
        done = runner.fuzz("deserialize", parser, folder, seconds=seconds)
    history = done.status.rss_history
    say(f"  resident memory over {seconds:.0f} s: " + ", ".join(f"{mb} MB at {at:.0f} s" for at, mb in history[-6:]))
    return {"seconds": seconds, "history": history, "executions": done.status.executions}
