"""``harness bench speed``: depth, speed, rates of the other targets, start-up, memory, guards, the fork server.

Every figure is a count per CPU-second, or a ratio against a peer in the same run: machines are shared and noisy.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from typing import Any

from harness.bench import runner
from harness.bench.runner import Say
from harness.targets.registry import all_targets

# Guards as dead workers leave them: words that a header must hold, all of them. They stand for no defect of any
# release. Pairs of dtypes are about as rare as the tokens of a minimised input that kills.
GUARDS = (("F8_E8M0", "F6_E2M3"), ("C64", "F4", "__metadata__"), ("F8_E5M2FNUZ", "U64"))
#: A target of files, which run in microseconds, and a target of programs.
FORKED = ("deserialize", "slices")


def depth_and_speed(parser: str, seeds: int, runs: int, say: Say) -> dict[str, Any]:
    """Depth of executions on ``deserialize``, and the cost of mutator and judge.

    For each of ``seeds`` random seeds, a worker runs ``runs`` executions and records its last inputs. A bare worker then
    runs the recorded inputs in a loop, without mutator and judge. Both count executions per CPU-second after start-up.
    """
    rows: list[dict[str, Any]] = []
    stages: Counter[str] = Counter()
    rules: Counter[str] = Counter()
    with runner.scratch() as folder:
        for seed in range(1, seeds + 1):
            record = folder / f"inputs-{seed}"
            full = runner.fuzz("deserialize", parser, folder, seed=seed, runs=runs, record=record)
            plain = {"mutator": "replay", "oracles": False, "semantics": False}
            bare = runner.fuzz("deserialize", parser, folder, seed=seed, runs=runs, record=record, **plain)
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
    result: dict[str, Any] = {
        "runs": runs,
        "rows": rows,
        "median": runner.medians(rows, rows[0].keys() - {"seed", "sampled_ns"}),
        "stages": {name: count / whole for name, count in stages.most_common()},
        "rules_judged": dict(rules.most_common()),
    }
    _say_depth(result, say)
    return result


def _say_depth(result: dict[str, Any], say: Say) -> None:
    median = result["median"]
    say(
        f"  median: {median['rate']:.0f} per CPU-second, {median['ratio']:.2f} of bare ({median['bare_rate']:.0f}); "
        f"deep {100 * median['deep']:.1f} %, accepted {100 * median['accepted']:.1f} %; oracles "
        f"{100 * median['oracles_share']:.0f} % of CPU, mutator {100 * median['mutate_share']:.0f} %; "
        f"median input {median['median_size']:.0f} bytes"
    )
    for name, share in result["stages"].items():
        say(f"    {name:16} {'#' * round(40 * share):40} {100 * share:5.1f} %")
    judged = sum(result["rules_judged"].values())
    say("  judged in full, by rule:")
    for name, count in result["rules_judged"].items():
        say(f"    {name:32} {100 * count / judged:5.1f} %")


def inner_loop(parser: str, seeds: int, seconds: float, say: Say) -> dict[str, Any]:
    """``deserialize`` with several mutations per execution of libFuzzer, beside one: rate, edges and features in equal time.

    For each of ``seeds`` random seeds, both run for ``seconds``, in turns.
    """
    rows: list[dict[str, float]] = []
    with runner.scratch() as folder:
        for seed in range(1, seeds + 1):
            done = {}
            for inner in (True, False) if seed % 2 else (False, True):
                done[inner] = runner.fuzz("deserialize", parser, folder, seed=seed, seconds=seconds, inner_loop=inner)
            with_it, without = done[True], done[False]
            row = {
                "rate": with_it.rate / without.rate,
                "edges": with_it.edges / without.edges,
                "features": with_it.status.features / without.status.features,
                "semantic": with_it.status.semantic_features / without.status.semantic_features,
                "cpu": with_it.status.fuzzing_cpu_seconds / without.status.fuzzing_cpu_seconds,
            }
            rows.append({"seed": seed, **row})
            say(f"  seed {seed}: " + ", ".join(f"{name} {value:.3f}" for name, value in row.items()))
    median = runner.medians(rows, rows[0].keys() - {"seed"})
    say("  median: " + ", ".join(f"{name} {median[name]:.3f}" for name in row))
    return {"seconds": seconds, "rows": rows, "median": median}


def other_targets(parser: str, seconds: float, say: Say) -> dict[str, Any]:
    """Rate, depth and memory of the other targets that can run here, one worker each.

    A program counts as accepted when it is valid to the last call.
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
    """Seconds from the start of a worker to the end of its first execution, and its CPU-seconds."""
    seen: list[tuple[float, float]] = []
    with runner.scratch() as folder:
        for seed in range(1, times + 1):
            done = runner.fuzz("deserialize", parser, folder, seed=seed, runs=1)
            seen.append((done.status.since_exec, done.status.cpu_seconds))
    wall, cpu = statistics.median(s[0] for s in seen), statistics.median(s[1] for s in seen)
    say(f"  start-up of a worker: {wall:.2f} s on the clock, {cpu:.2f} CPU-seconds")
    return {"wall_seconds": wall, "cpu_seconds": cpu, "times": times}


def memory(parser: str, seconds: float, say: Say) -> dict[str, Any]:
    """Resident memory of one ``deserialize`` worker over time."""
    with runner.scratch() as folder:
        done = runner.fuzz("deserialize", parser, folder, seconds=seconds)
    history = done.status.rss_history
    say(f"  resident memory over {seconds:.0f} s: " + ", ".join(f"{mb} MB at {at:.0f} s" for at, mb in history[-6:]))
    return {"seconds": seconds, "history": history, "executions": done.status.executions}


def guarded(parser: str, seeds: int, runs: int, say: Say) -> dict[str, Any]:
    """Executions per CPU-second with :data:`GUARDS` in force over the same without, by seed.

    Skipped inputs are not counted as executed. The CPU time to make and skip them is counted.
    """
    ratios: list[float] = []
    skipped: list[float] = []
    guards = tuple(json.dumps(words) for words in GUARDS)
    with runner.scratch() as folder:
        for seed in range(1, seeds + 1):
            without = runner.fuzz("deserialize", parser, folder, seed=seed, runs=runs)
            known = runner.fuzz("deserialize", parser, folder, seed=seed, runs=runs, guards=guards)
            ratios.append(known.rate / without.rate)
            skipped.append(known.status.guarded / (known.status.guarded + runs))
    median = statistics.median(ratios)
    say(f"  median {median:.2f} of the throughput without; {100 * statistics.median(skipped):.1f} % of inputs skipped")
    return {"ratios": ratios, "median": median, "skipped": skipped}


def fork_server(parser: str, seeds: int, runs: int, say: Say) -> dict[str, Any]:
    """Seconds with every input in the fork server's child over seconds in process, by target; and the edges of both.

    Seconds are of the clock, as worker and child take turns. The two runs of a seed follow each other.
    """
    found: dict[str, Any] = {}
    with runner.scratch() as folder:
        for target in FORKED:
            ratios: list[float] = []
            edges: list[float] = []
            for seed in range(1, seeds + 1):
                inside = runner.fuzz(target, parser, folder, seed=seed, runs=runs)
                forked = runner.fuzz(target, parser, folder, seed=seed, runs=runs, fork_server=True)
                ratios.append(forked.status.fuzzing_seconds / inside.status.fuzzing_seconds)
                edges.append(forked.edges / inside.edges)
            median = statistics.median(ratios)
            found[target] = {"ratios": ratios, "median": median, "edges": edges}
            say(
                f"  {target}: the fork server takes {median:.2f} times as long (median of {seeds} seeds); "
                f"{100 * statistics.median(edges):.0f} % of the edges"
            )
    return found
