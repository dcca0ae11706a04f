"""``harness bench``: what the harness itself is worth, measured."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from harness import paths
from harness.cli.fuzz import Duration
from harness.errors import HarnessError
from harness.files import write_atomic
from harness.parsers import registry


@click.group()
def command() -> None:
    """Measure the harness: figures and ratios against a peer in the same run.

    Example: harness bench speed --seeds 10
    """


PARTS = ("depth", "targets", "startup", "memory", "kills", "isolation", "workers", "supervisor", "reach", "programs")


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
    from harness.bench import fork_server, kills, programs, reach, workers
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
        result["isolation"] = fork_server.cost(name, seeds, max(runs // 20, 1000), say)
    if "workers" in chosen:
        say(f"two workers beside one, {seconds:.0f} s each:")
        result["workers"] = workers.two(name, seeds, seconds, say)
    if "supervisor" in chosen:
        result["supervisor"] = workers.supervisor(name, seconds, say)
    if "reach" in chosen:
        say(f"regions of tensor.rs from an empty corpus, {seconds:.0f} s per seed, beside native libFuzzer:")
        coverage = registry.find(name, "coverage")
        result["reach"] = reach.reach(name, coverage, registry.find(name), seeds, seconds, say)
    if "programs" in chosen:
        wheel = registry.find(name, "wheel").name
        say(f"programs on the fast path outside atheris, {max(runs // 10, 1000)} per seed, parser {wheel}:")
        result["programs"] = programs.rates(wheel, seeds, max(runs // 10, 1000), say)
    _keep(result, paths.build_dir() / "bench" / "speed.json")
    if as_json:
        click.echo(json.dumps(result, indent=1))
    return 0


@command.command(epilog="Example: harness bench operators --operator dtype.swap --operator shape.zero")
@click.option("--parser", metavar="NAME", help="Instrumented parser (see `harness build`).")
@click.option("--seeds", type=click.IntRange(2, 100), default=10, show_default=True)
@click.option("--runs", type=click.IntRange(min=1000), default=20_000, show_default=True, help="Executions per run.")
@click.option("--operator", "names", multiple=True, metavar="NAME", help="Only this one; may be repeated.")
@click.option("--together", is_flag=True, help="Switch the named ones off all at once.")
@click.option("--target", type=click.Choice(("deserialize", "safe_open")), default="deserialize", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON at the end.")
def operators(
    parser: str | None, seeds: int, runs: int, names: tuple[str, ...], together: bool, target: str, as_json: bool
) -> int:
    """Switch each mutation operator off, and see what is missed. About half an hour; writes build/bench/operators.json."""
    from harness.bench import operators as measure
    from harness.mutate import OPERATORS

    strange = sorted(set(names) - set(OPERATORS))
    if strange:
        raise HarnessError(f"no operator is called {strange[0]!r}", hint="docs/mutators.md lists them")

    def say(text: str) -> None:
        click.echo(text, err=as_json)

    if together and not names:
        raise HarnessError("--together needs to know which operators", hint="name each one with --operator")
    result = measure.ablation(registry.find(parser).name, seeds, runs, names, say, target=target, together=together)
    _keep(result, paths.build_dir() / "bench" / "operators.json")
    if as_json:
        click.echo(json.dumps(result, indent=1))
    return 0


@command.command(epilog="Example: harness bench findings --campaigns 3 --time 10m --filed")
@click.option("--campaigns", type=click.IntRange(0, 100), default=3, show_default=True, help="One per random seed.")
@click.option("--time", "seconds", type=Duration(), default="10m", show_default=True, help="Of each campaign.")
@click.option("--target", "targets", multiple=True, metavar="T", help="Only this target; may be repeated.")
@click.option("--filed", is_flag=True, help="Repeat and minimise everything in crashes/ too.")
@click.option("--id", "names", multiple=True, metavar="ID", help="Of what is filed, only this; may be repeated.")
@click.option(
    "--times", type=click.IntRange(1, 100), default=10, show_default=True, help="Fresh processes per filed finding."
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON at the end.")
def findings(
    campaigns: int,
    seconds: float,
    targets: tuple[str, ...],
    filed: bool,
    names: tuple[str, ...],
    times: int,
    as_json: bool,
) -> int:
    """Are findings what they say? Repeat what campaigns of several seeds find, and what is filed; writes build/bench/findings.json.

    Ends with 1 when a finding does not repeat, is not minimal, or the harness itself did something wrong.
    """
    from harness.bench import findings as measure

    def say(text: str) -> None:
        click.echo(text, err=as_json)

    result: dict[str, Any] = {}
    if campaigns:
        say(f"campaigns of {seconds:.0f} s with {campaigns} seeds:")
        result["campaigns"] = measure.campaigns(targets, campaigns, seconds, say)
    if filed or names:
        say("filed findings:")
        result["filed"] = measure.filed(names, times, say)
    _keep(result, paths.build_dir() / "bench" / "findings.json")
    if as_json:
        click.echo(json.dumps(result, indent=1))
    wrong = [row for row in result.get("campaigns", {}).get("rows", ()) if row["lost"] or row["defects"]]
    wrong += [row for row in result.get("filed", {}).get("rows", ()) if row["held"] < times or not row["minimal"]]
    return int(bool(wrong))


@command.command(epilog="Example: harness bench survival --times 50")
@click.option("--parser", metavar="NAME", help="Instrumented parser (see `harness build`).")
@click.option("--times", type=click.IntRange(1, 1000), default=50, show_default=True, help="Campaigns, one kill each.")
@click.option("--time", "seconds", type=Duration(), default="6s", show_default=True, help="Of each campaign.")
@click.option("--seed", type=click.IntRange(1, 2**31 - 1), default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON at the end.")
def survival(parser: str | None, times: int, seconds: float, seed: int, as_json: bool) -> int:
    """Does a campaign survive kill -9? One process of a real one is killed at a random moment; writes build/bench/survival.json.

    Ends with 1 when something that was stored was lost, could not be read, or the same command did not resume.
    """
    from harness.bench import survival as measure

    def say(text: str) -> None:
        click.echo(text, err=as_json)

    say(f"{times} campaigns of {seconds:.0f} s on {' and '.join(measure.TARGETS)}, each with one process killed:")
    result = measure.survival(registry.find(parser).name, times, seconds, seed, say)
    _keep(result, paths.build_dir() / "bench" / "survival.json")
    if as_json:
        click.echo(json.dumps(result, indent=1))
    return int(result["survived"] < times)


@command.command(epilog="Example: harness bench resources --call get_tensor --family tensors --family other-data")
@click.option("--parser", metavar="NAME", help="Plain build (see `harness build --wheel`).")
@click.option("--call", "calls", multiple=True, metavar="NAME", help="Only this entry point; may be repeated.")
@click.option("--family", "families", multiple=True, metavar="NAME", help="Only these files; may be repeated.")
@click.option("--cost", "costs", multiple=True, type=click.Choice(("bytes", "instructions")), help="Only this cost.")
@click.option(
    "--campaign",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where findings go. Default: build/campaigns/resources.",
)
@click.option("--json", "as_json", is_flag=True, help="Print every series as JSON at the end.")
def resources(
    parser: str | None,
    calls: tuple[str, ...],
    families: tuple[str, ...],
    costs: tuple[str, ...],
    campaign: Path | None,
    as_json: bool,
) -> int:
    """Count what each call costs on files that grow in one thing: instructions and allocated bytes, no clock.

    Some ten minutes, nearly all of them for instructions, which valgrind counts. Prints the exponent of each growth and
    writes build/bench/resources.json. Ends with 1 when a cost grows that is not known to, else with 0.
    """
    from harness.bench import resources as measures
    from harness.mutate.growth import FAMILIES
    from harness.targets.known_findings import known
    from harness.targets.resources.calls import CALLS
    from harness.targets.resources.meter import valgrind
    from harness.targets.resources.oracle import COSTS

    for asked, there in ((calls, list(CALLS)), (families, list(FAMILIES))):
        if strange := sorted(set(asked) - set(there)):
            raise HarnessError(f"nothing to measure is called {strange[0]!r}", hint=f"there are: {', '.join(there)}")
    if "instructions" in (costs or COSTS):
        valgrind()
    build = registry.find(parser, flavour="wheel")
    measured = measures.run(
        build,
        costs or COSTS,
        calls or tuple(CALLS),
        families or tuple(FAMILIES),
        lambda text: click.echo(text, err=True),
    )
    result = {
        "parser": build.name,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "series": measures.as_json(measured),
    }
    whole = not (calls or families or costs)
    path = paths.build_dir() / "bench" / ("resources.json" if whole else "resources-part.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json.dumps(result, indent=1))
    found = measures.distinct(measures.findings(measured))
    names = [finding.id for _, finding in found]
    new = [known(finding.signature) is None for _, finding in found]
    folder = campaign or paths.campaigns_dir() / "resources"
    measures.keep(folder, build, [pair for pair, is_new in zip(found, new, strict=True) if is_new])
    if as_json:
        click.echo(json.dumps(result, indent=1))
        return int(any(new))
    rows = measures.table(measured)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    for name, is_new, (_, finding) in zip(names, new, found, strict=True):
        click.echo(f"{'new' if is_new else 'known'}: {name}: {finding.summary}")
    if any(new):
        click.echo(f"file the new ones: harness triage --campaign {folder}")
    return int(any(new))


_FORECAST = ("deserialize", "safe_open", "slices", "backends", "numpy", "parallel", "quantized", "writers", "shards")


@command.command(epilog="Example: harness bench forecast --campaigns 10 --time 60s")
@click.option("--campaigns", type=click.IntRange(1, 100), default=10, show_default=True, help="To record.")
@click.option("--time", "seconds", type=Duration(), default="60s", show_default=True, help="Of each campaign.")
@click.option("--target", "targets", multiple=True, metavar="T", help="Only this target; may be repeated.")
@click.option(
    "--seed",
    type=click.IntRange(1, 2**31 - 101),
    default=1,
    show_default=True,
    help="Of the first; then one more each.",
)
@click.option("--seeds", "with_seeds", is_flag=True, help="Start from the committed seeds, not from nothing.")
@click.option(
    "--recorded",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="This campaign, in place of new ones.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON at the end.")
def forecast(
    campaigns: int,
    seconds: float,
    targets: tuple[str, ...],
    seed: int,
    with_seeds: bool,
    recorded: tuple[Path, ...],
    as_json: bool,
) -> int:
    """Hold back the second half of campaigns, predict it, and show the error; writes build/bench/forecast.json.

    Ends with 1 when fewer than eight in ten real numbers of new edges lie in the stated 90 % interval.
    """
    from harness.bench import forecast as measure

    def say(text: str) -> None:
        click.echo(text, err=as_json)

    place = paths.build_dir() / "bench" / "forecast"
    folders = list(recorded)
    if not folders:
        say(f"{campaigns} campaigns of {seconds:.0f} s, in {place}:")
        folders = measure.record(targets or _FORECAST, campaigns, seconds, seed, place, say, empty=not with_seeds)
    result = measure.validate(folders)
    if "edges" not in result:
        raise HarnessError("no curve is long enough to be cut in two", hint="record longer campaigns: --time 60s")
    _keep(result, paths.build_dir() / "bench" / "forecast.json")
    if as_json:
        click.echo(json.dumps(result, indent=1))
    else:
        for line in measure.table(result):
            click.echo(line)
    edges = result["edges"]
    return int(edges["inside"] < 0.8 * edges["campaigns"])


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
