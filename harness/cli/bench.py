"""``harness bench``: what the harness itself is worth, measured."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from harness import paths
from harness.errors import HarnessError
from harness.files import write_atomic
from harness.parsers import registry


@click.group()
def command() -> None:
    """Measure the harness: figures and ratios against a peer in the same run.

    Example: harness bench speed --seeds 10
    """


PARTS = ("depth", "targets", "startup", "memory", "kills", "isolation", "reach")


@command.command(epilog="Example: harness bench speed --seeds 10 --part depth --part reach")
@click.option("--parser", metavar="NAME", help="Instrumented parser (see `harness build`).")
@click.option(
    "--seeds", type=click.IntRange(1, 100), default=10, show_default=True, help="Random seeds where one matters."
)
@click.option("--runs", type=click.IntRange(min=1000), default=400_000, show_default=True, help="Executions per seed.")
@click.option("--seconds", type=click.FloatRange(min=1), default=30.0, show_default=True, help="Of each timed run.")
@click.option("--memory-seconds", type=click.FloatRange(min=1), default=600.0, show_default=True)
@click.option("--part", "parts", multiple=True, type=click.Choice(PARTS), help="Only this part; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON at the end.")
def speed(
    parser: str | None,
    seeds: int,
    runs: int,
    seconds: float,
    memory_seconds: float,
    parts: tuple[str, ...],
    as_json: bool,
) -> int:
    """Depth, speed at that depth, reach, start-up, memory. Takes about half an hour; writes build/bench/speed.json."""
    from harness.bench import isolation, kills, reach
    from harness.bench import speed as measures

    def say(text: str) -> None:
        click.echo(text, err=as_json)

    name = registry.find(parser).name
    chosen = parts or PARTS
    result: dict[str, Any] = {"parser": name, "at": datetime.now(UTC).isoformat(timespec="seconds")}
    if "depth" in chosen:
        say(f"depth and speed of deserialize, {runs} executions per seed, beside the same inputs run bare:")
        result["depth"] = measures.depth_and_speed(name, seeds, runs, say)
        _depth(result["depth"], say)
    if "targets" in chosen:
        say(f"other targets, {seconds:.0f} s each:")
        result["targets"] = measures.other_targets(name, seconds, say)
    if "startup" in chosen:
        result["startup"] = measures.start_up(name, 5, say)
    if "memory" in chosen:
        result["memory"] = measures.memory(name, memory_seconds, say)
    if "kills" in chosen:
        say("throughput with three process-killing signatures known, beside none:")
        result["kills"] = kills.guarded(name, seeds, runs // 4, say)
    if "isolation" in chosen:
        say("every input in a forked child under limits, beside the same run in process:")
        result["isolation"] = isolation.cost(name, seeds, max(runs // 20, 1000), say)
    if "reach" in chosen:
        say(f"regions of tensor.rs from an empty corpus, {seconds:.0f} s per seed, beside native libFuzzer:")
        coverage = registry.find(name, "coverage")
        result["reach"] = reach.reach(name, coverage, registry.find(name), seeds, seconds, say)
    _keep(result, paths.build_dir() / "bench" / "speed.json")
    if as_json:
        click.echo(json.dumps(result, indent=1))
    return 0


@command.command(epilog="Example: harness bench operators --operator dtype.swap --operator shape.zero")
@click.option("--parser", metavar="NAME", help="Instrumented parser (see `harness build`).")
@click.option("--seeds", type=click.IntRange(2, 100), default=10, show_default=True)
@click.option("--runs", type=click.IntRange(min=1000), default=20_000, show_default=True, help="Executions per run.")
@click.option("--operator", "names", multiple=True, metavar="NAME", help="Only this one; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON at the end.")
def operators(parser: str | None, seeds: int, runs: int, names: tuple[str, ...], as_json: bool) -> int:
    """Switch each mutation operator off, and see what is missed. About half an hour; writes build/bench/operators.json."""
    from harness.bench import operators as measure
    from harness.mutate import OPERATORS

    strange = sorted(set(names) - set(OPERATORS))
    if strange:
        raise HarnessError(f"no operator is called {strange[0]!r}", hint="docs/mutators.md lists them")

    def say(text: str) -> None:
        click.echo(text, err=as_json)

    result = measure.ablation(registry.find(parser).name, seeds, runs, names, say)
    _keep(result, paths.build_dir() / "bench" / "operators.json")
    if as_json:
        click.echo(json.dumps(result, indent=1))
    return 0


def _keep(result: dict[str, Any], path: Path) -> None:
    """Merge into the stored result, so that parts can be measured one at a time."""
    try:
        stored = json.loads(path.read_text())
    except (OSError, ValueError):
        stored = {}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json.dumps(stored | result, indent=1))


def _depth(result: dict[str, Any], say: Any) -> None:
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
