"""``harness bench``: measures the harness itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from harness import paths
from harness.cli import _bench, _bench_bugs, _bench_peers, _options
from harness.errors import HarnessError
from harness.findings.finding import Finding
from harness.parsers import registry

PARTS = (
    "depth",
    "inner",
    "targets",
    "startup",
    "memory",
    "kills",
    "isolation",
    "workers",
    "supervisor",
    "reach",
    "programs",
)
_FORECAST = ("deserialize", "safe_open", "slices", "backends", "numpy", "parallel", "quantized", "writers", "shards")
_COSTS = ("bytes", "instructions", "copies", "space", "standstill")


@click.group(epilog="Example: harness bench speed --seeds 10")
def command() -> None:
    """Measure the harness: counts, and ratios against a peer in the same run."""


@command.command(epilog="Example: harness bench speed --seeds 10 --part depth --part reach")
@_options.parser()
@_bench.count("--seeds", 1, 100, 10, "Random seeds of a part that draws.")
@click.option("--runs", type=click.IntRange(min=1000), default=400_000, show_default=True, help="Executions per seed.")
@click.option("--seconds", type=click.FloatRange(min=1), default=30.0, show_default=True, help="Of each timed run.")
@click.option(
    "--memory-seconds", type=click.FloatRange(min=1), default=600.0, show_default=True, help="Of the part memory."
)
@click.option("--part", "parts", multiple=True, type=click.Choice(PARTS), help="Only this part; may be repeated.")
@_bench.as_json
def speed(
    parser: str | None, seeds: int, runs: int, seconds: float, memory_seconds: float, parts: tuple[str, ...], as_json: bool
) -> int:  # fmt: skip
    """Measure depth, speed, reach, start-up and memory. Takes about half an hour; writes build/bench/speed.json."""
    from harness.bench import programs, reach, workers
    from harness.bench import speed as measures

    say = _options.sayer(as_json)
    name = registry.find(parser).name
    few = max(runs // 20, 1000), max(runs // 10, 1000)
    every: dict[str, tuple[str, Callable[[], Any]]] = {
        "depth": (
            f"depth and speed of deserialize, {runs} executions per seed, beside the same inputs run bare",
            lambda: measures.depth_and_speed(name, seeds, runs, say),
        ),
        "inner": (
            f"deserialize with the inner loop, beside it without, {seconds:.0f} s each",
            lambda: measures.inner_loop(name, seeds, seconds, say),
        ),
        "targets": (f"other targets, {seconds:.0f} s each", lambda: measures.other_targets(name, seconds, say)),
        "startup": ("start-up", lambda: measures.start_up(name, 5, say)),
        "memory": (f"memory, {memory_seconds:.0f} s", lambda: measures.memory(name, memory_seconds, say)),
        "kills": (
            "throughput with three process-killing signatures known, beside none",
            lambda: measures.guarded(name, seeds, runs // 4, say),
        ),
        "isolation": (
            "every input in a forked child under limits, beside the same run in process",
            lambda: measures.fork_server(name, seeds, few[0], say),
        ),
        "workers": (f"two workers beside one, {seconds:.0f} s each", lambda: workers.two(name, seeds, seconds, say)),
        "supervisor": ("CPU time of the supervisor", lambda: workers.supervisor(name, seconds, say)),
        "reach": (
            f"regions of tensor.rs from an empty corpus, {seconds:.0f} s per seed, beside native libFuzzer",
            lambda: reach.reach(name, registry.find(name, "coverage"), registry.find(name), seeds, seconds, say),
        ),
        "programs": (
            f"programs on the fast path outside atheris, {few[1]} per seed, on the release wheel",
            lambda: programs.rates(registry.find(name, "wheel").name, seeds, few[1], say),
        ),
    }
    result: dict[str, Any] = {"parser": name, "at": _bench.now()}
    for part in (part for part in PARTS if part in parts or not parts):
        heading, measure = every[part]
        say(f"{heading}:")
        result[part] = measure()
    _bench.keep("speed", result, as_json)
    return 0


@command.command(epilog="Example: harness bench operators --operator dtype.swap --operator shape.zero")
@_options.parser()
@_bench.count("--seeds", 2, 100, 10, "Runs without each operator.")
@click.option("--runs", type=click.IntRange(min=1000), default=20_000, show_default=True, help="Executions per run.")
@_bench.only("--operator", "names", "operator")
@click.option("--together", is_flag=True, help="Disable the named operators all at once.")
@click.option(
    "--target",
    type=click.Choice(("deserialize", "safe_open")),
    default="deserialize",
    show_default=True,
    help="The target to run.",
)
@_bench.as_json
def operators(
    parser: str | None, seeds: int, runs: int, names: tuple[str, ...], together: bool, target: str, as_json: bool
) -> int:
    """Disable each mutation operator, and measure the loss. Takes about half an hour; writes build/bench/operators.json."""
    from harness.bench import operators as measure
    from harness.mutate import OPERATORS

    _bench.known("operator", names, OPERATORS, "docs/mutators.md lists them")
    if together and not names:
        raise HarnessError("--together needs the names of operators", hint="name each one with --operator")
    say = _options.sayer(as_json)
    result = measure.ablation(registry.find(parser).name, seeds, runs, names, say, target=target, together=together)
    _bench.keep("operators", result, as_json)
    return 0


@command.command(epilog="Example: harness bench findings --campaigns 3 --time 10m --filed")
@_bench.count("--campaigns", 0, 100, 3, "Number of campaigns, each with its own random seed.")
@_bench.count("--seed", 1, 2**31 - 101, 1, "Random seed of the first campaign; each later one adds 1.")
@_bench.time("10m")
@_options.targets()
@click.option("--filed", is_flag=True, help="Repeat and minimise all findings in crashes/ too.")
@_bench.only("--id", "names", "filed finding")
@_bench.count("--times", 1, 100, 10, "Fresh processes per filed finding.")
@_bench.as_json
def findings(
    campaigns: int,
    seed: int,
    seconds: float,
    targets: tuple[str, ...],
    filed: bool,
    names: tuple[str, ...],
    times: int,
    as_json: bool,
) -> int:
    """Repeat the findings of several campaigns, and the filed findings; writes build/bench/findings.json.

    Exit status 1: a finding does not repeat, a filed finding is not minimal, or the harness itself failed.
    """
    from harness.bench import findings as measure

    say = _options.sayer(as_json)
    result: dict[str, Any] = {}
    if campaigns:
        say(f"campaigns of {seconds:.0f} s with {campaigns} seeds:")
        result["campaigns"] = measure.campaigns(targets, range(seed, seed + campaigns), seconds, say)
    if filed or names:
        say("filed findings:")
        result["filed"] = measure.filed(names, times, say)
    _bench.keep("findings", result, as_json)
    wrong = [row for row in result.get("campaigns", {}).get("rows", ()) if row["lost"] or row["defects"]]
    wrong += [row for row in result.get("filed", {}).get("rows", ()) if row["held"] < times or not row["minimal"]]
    return int(bool(wrong))


@command.command(epilog="Example: harness bench survival --times 50")
@_options.parser()
@_bench.count("--times", 1, 1000, 50, "Campaigns, one kill each.")
@_bench.time("6s")
@_bench.count("--seed", 1, 2**31 - 1, 1, "Random seed of the kills.")
@_bench.as_json
def survival(parser: str | None, times: int, seconds: float, seed: int, as_json: bool) -> int:
    """Kill -9 one process of a campaign at a random moment, many times; writes build/bench/survival.json.

    Exit status 1: a stored file was lost or cannot be read, or the same command did not resume the campaign.
    """
    from harness.bench import survival as measure

    say = _options.sayer(as_json)
    say(f"{times} campaigns of {seconds:.0f} s on {' and '.join(measure.TARGETS)}, each with one process killed:")
    result = measure.survival(registry.find(parser).name, times, seconds, seed, say)
    _bench.keep("survival", result, as_json)
    return int(result["survived"] < times)


@command.command(epilog="Example: harness bench cluster --times 5 --time 60s --hosts 10 --hosts 100 --hosts 1000")
@_options.parser()
@click.option("--target", default="deserialize", show_default=True, metavar="T", help="Target to fuzz.")
@_bench.count("--times", 0, 100, 5, "Pairs of campaigns: one process with two workers, and two hosts with one.")
@_bench.time("60s")
@click.option("--hosts", multiple=True, type=click.IntRange(1, 10_000), help="Simulate so many hosts; may be repeated.")
@_bench.as_json
def cluster(parser: str | None, target: str, times: int, seconds: float, hosts: tuple[int, ...], as_json: bool) -> int:
    """Measure what hosts cost against one machine, and what a driver with many hosts costs; writes build/bench/cluster.json.

    Exit status 1: two hosts make fewer than 0.95 of the executions or edges of one machine per CPU-second.
    """
    from harness.bench import cluster as measure
    from harness.bench import simulated_hosts

    say, build = _options.sayer(as_json), registry.find(parser)
    result: dict[str, Any] = {}
    if times:
        say(f"{times} pairs of campaigns of {seconds:.0f} s on {target}:")
        result["pairs"] = measure.pairs(target, build.name, times, seconds, say)
    if hosts:
        say(f"a driver with simulated hosts, {seconds:.0f} s each:")
        result["simulated"] = simulated_hosts.scale(target, build, hosts, seconds, say)
    _bench.keep("cluster", result, as_json)
    medians = result.get("pairs", {}).get("medians", {})
    return int(any(medians.get(name, 1.0) < measure.LEAST for name in ("executions", "edges")))


@command.command(epilog="Example: harness bench resources --call get_tensor --family tensors --family other-data")
@_options.parser("Plain build (see `harness build --wheel`).")
@_bench.only("--call", "calls", "entry point")
@_bench.only("--family", "families", "family of files")
@click.option("--cost", "costs", multiple=True, type=click.Choice(_COSTS), help="Only this cost.")
@_options.campaign("The campaign that findings are stored in. Default: build/campaigns/resources.")
@_options.as_json("Print every series as JSON at the end.")
def resources(
    parser: str | None,
    calls: tuple[str, ...],
    families: tuple[str, ...],
    costs: tuple[str, ...],
    campaign: Path | None,
    as_json: bool,
) -> int:
    """Count the cost of each call: instructions and bytes on growing files, copies, memory, standstills of other threads.

    Takes some ten minutes, most of them for valgrind, which counts instructions. Prints the exponent of each growth, and the
    other costs beside those of the newest other release that is built as a wheel. Writes build/bench/resources.json. Exit
    status 1: a cost grows or breaks a limit, and no filed finding or verdict covers it.
    """
    from harness.bench import resources as measures
    from harness.mutate.growth import FAMILIES
    from harness.targets.known_findings import known
    from harness.targets.resources.calls import CALLS
    from harness.targets.resources.meter import valgrind
    from harness.targets.resources.oracle import COSTS
    from harness.text import columns

    _bench.known("call", calls, CALLS, f"there are: {', '.join(CALLS)}")
    _bench.known("family", families, FAMILIES, f"there are: {', '.join(FAMILIES)}")
    if "instructions" in (costs or COSTS):
        valgrind()
    build = registry.find(parser, flavour="wheel")
    growing, limited = ([cost for cost in costs or _COSTS if (cost in COSTS) is grows] for grows in (True, False))
    # A family names growing files alone.
    limited = [] if families and not costs else limited
    chosen_calls, say = calls or tuple(CALLS), _options.sayer(as_json=True)
    measured = measures.run(build, growing, chosen_calls, families or tuple(FAMILIES), say)
    compared = measures.compare(build, limited, chosen_calls, say)
    result = {"parser": build.name, "at": _bench.now(), "series": measures.as_json(measured)}
    result["limits"] = measures.limits_as_json(compared)
    whole = not (calls or families or costs)
    _bench.keep("resources" if whole else "resources-part", result, as_json)
    found = measures.distinct(measures.findings(measured))
    broken = measures.broken(compared)
    everything: list[tuple[Any, Finding]] = [*found, *broken]
    told = [(finding, known(finding.signature) is None) for _, finding in everything]
    folder = campaign or paths.campaigns_dir() / "resources"
    measures.keep(folder, build, [pair for pair, (_, new) in zip(everything, told, strict=True) if new])
    status = int(any(new for _, new in told))
    if as_json:
        return status
    for rows in (measures.table(measured) if measured else [], measures.limits(compared) if compared else []):
        for line in columns(rows):
            click.echo(line)
    for finding, new in told:
        click.echo(f"{'new' if new else 'known'}: {finding.id}: {finding.summary}")
    if status:
        click.echo(f"file the new ones: harness triage --campaign {folder}")
    return status


@command.command(epilog="Example: harness bench forecast --campaigns 10 --time 60s")
@_bench.count("--campaigns", 1, 100, 10, "Number of campaigns to record.")
@_bench.time("60s")
@_options.targets()
@_bench.count("--seed", 1, 2**31 - 101, 1, "Random seed of the first campaign; each later one adds 1.")
@click.option("--seeds", "with_seeds", is_flag=True, help="Start from the committed seeds, not from an empty corpus.")
@click.option(
    "--recorded",
    multiple=True,
    type=_options.PATH,
    metavar="DIR",
    help="Use this campaign, record none; may be repeated.",
)
@_bench.as_json
def forecast(
    campaigns: int,
    seconds: float,
    targets: tuple[str, ...],
    seed: int,
    with_seeds: bool,
    recorded: tuple[Path, ...],
    as_json: bool,
) -> int:
    """Predict the second half of campaigns from the first, and show the error; writes build/bench/forecast.json.

    Exit status 1: fewer than eight in ten measured numbers of new edges lie in the stated 90 % interval.
    """
    from harness.bench import forecast as measure

    say = _options.sayer(as_json)
    place = paths.build_dir() / "bench" / "forecast"
    folders = list(recorded)
    if not folders:
        say(f"{campaigns} campaigns of {seconds:.0f} s, in {place}:")
        folders = measure.record(targets or _FORECAST, campaigns, seconds, seed, place, say, empty=not with_seeds)
    result = measure.validate(folders)
    if "edges" not in result:
        raise HarnessError("no curve has eight points", hint="record longer campaigns: --time 60s")
    _bench.keep("forecast", result, as_json)
    for line in measure.table(result) if not as_json else ():
        click.echo(line)
    edges = result["edges"]
    return int(edges["inside"] < 0.8 * edges["campaigns"])


@command.command(epilog="Example: harness bench checkpoints --libraries build/checkpoints/site")
@click.option(
    "--libraries", type=_options.PATH, metavar="DIR", help="Folder with the libraries that write the checkpoints."
)
@_bench.only("--checkpoint", "names", "checkpoint")
@_bench.only("--break", "breakages", "breakage")
@_bench.as_json
def checkpoints(
    libraries: Path | None, names: tuple[str, ...], breakages: tuple[str, ...], as_json: bool
) -> int:  # fmt: skip
    """Check small checkpoints as transformers, diffusers, peft and others write them, sound and broken in ten ways or more.

    Checkpoints and broken copies stay in build/bench/checkpoints. Writes build/bench/checkpoints.json. Exit status 1: a
    sound checkpoint has a problem, or a broken one lacks the right one.
    """
    from harness.bench.checkpoints import breakages as ways
    from harness.bench.checkpoints import layout, measure

    say, every, every_way = _options.sayer(as_json), layout.every(), ways.every()
    _bench.known("checkpoint", names, every, f"there are: {', '.join(every)}")
    _bench.known("breakage", breakages, every_way, f"there are: {', '.join(every_way)}")
    chosen = [every_way[name] for name in breakages or every_way]
    done = measure.run(
        paths.build_dir() / "bench/checkpoints", libraries, [every[name] for name in names or every], chosen, say
    )
    _bench.keep(
        "checkpoints" if not (names or breakages) else "checkpoints-part",
        {"at": _bench.now(), **done.as_json()},
        as_json,
    )
    for line in done.lines() if not as_json else ():
        click.echo(line)
    return int(not done.good)


@command.command(epilog="Example: harness bench results --from build/weekly --page docs/results.md")
@click.option(
    "--from", "folder", type=_options.PATH, metavar="DIR", help="Folder with the results.  [default: build/bench]"
)
@click.option(
    "--page", "page", type=_options.PATH, metavar="FILE", help="Write the page here.  [default: build/bench/results.md]"
)
@_options.as_json("Print the figures as JSON.")
def results(folder: Path | None, page: Path | None, as_json: bool) -> int:
    """Make one page of what the benches measured: figures, intervals, goals, commands, machines, dates.

    Measures nothing. Exit status 1: a figure misses its goal.
    """
    from dataclasses import asdict

    from harness.bench import claims
    from harness.files import write_named

    place = folder or paths.build_dir() / "bench"
    found = claims.stored(place)
    page = page or place / "results.md"
    write_named(page, claims.page(found))
    every = claims.every(found)
    if as_json:
        _options.print_json([asdict(claim) for claim in every])
    else:
        click.echo(f"{len(every)} figures, {sum(claim.met is False for claim in every)} below their goal: {page}")
    return int(any(claim.met is False for claim in every))


for one in (
    _bench_bugs.attempts_at_range, _bench_bugs.locate, _bench_bugs.mutants, _bench_bugs.planted, _bench_bugs.releases,
    _bench_peers.peers,
):  # fmt: skip
    command.add_command(one)
