"""``harness bench``: the harness' power to find bugs and their places."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from harness.cli import _bench, _options
from harness.cli.fuzz import Duration
from harness.parsers import registry


class Share(click.ParamType[tuple[int, int]]):
    """A part of the work: "2/8" is the second of eight."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Number and count. Fails on anything else."""
        match = re.fullmatch(r"(\d{1,4})/(\d{1,4})", str(value))
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            self.fail(f"{value!r} is no part: 2/8 is the second of eight", param, ctx)
        return int(match[1]), int(match[2])


@click.command(epilog="Example: harness bench mutants --libraries build/mutants --only slice.rs")
@_options.parser()
@click.option(
    "--libraries", type=_options.PATH, metavar="DIR", required=True, help="Folder with cargo-mutants and cosmic-ray."
)
@_bench.only("--only", "only", "part of the mutants: those with this text in their name")
@click.option("--shard", type=Share(), default="1/1", metavar="K/N", help="Only the part K of N.")
@click.option("--fresh", is_flag=True, help="Judge again what was judged earlier.")
@click.option(
    "--beside", multiple=True, type=click.Choice(("upstream", "crash-only")),
    help="Judge the same mutants by upstream's tests, or by crashes alone; may be repeated.",
)  # fmt: skip
@click.option("--campaign", type=Duration(), help="Then fuzz each survivor for so long.  [default: not at all]")
@_bench.count("--seed", 1, 2**31 - 1, 1, "Random seed of these campaigns.")
@click.option("--record", is_flag=True, help="Keep the killers: later measurements try them first.")
@_bench.as_json
def mutants(
    parser: str | None, libraries: Path, only: tuple[str, ...], shard: tuple[int, int], fresh: bool, beside: tuple[str, ...],
    campaign: float | None, seed: int, record: bool, as_json: bool,
) -> int:  # fmt: skip
    """Make each small mistake in the parser that two libraries of mutations list, and replay the corpus on it.

    Takes about an hour; a command that was ended goes on where it stopped. `.ci/mutants measure` installs the libraries and
    runs it. Writes build/bench/mutants.json. Exit status 1: a mutant survives without a reason.
    """
    from harness.bench.mutants import measure, page

    say = _options.sayer(as_json)
    base = registry.find(parser, "sancov")
    result = measure.measure(
        base, libraries, say, only=only, part=shard, fresh=fresh, beside=beside, campaign=campaign or 0, seed=seed,
        record=record,
    )  # fmt: skip
    _bench.keep("mutants" if not only and shard == (1, 1) else "mutants-part", {"at": _bench.now(), **result}, as_json)
    for line in page.lines(result) if not as_json else ():
        click.echo(line)
    return int(any(not one["reason"] for one in result["survivors"]))


@click.command(epilog="Example: harness bench planted --bug lock-held")
@_bench.only("--bug", "names", "planted bug")
@click.option(
    "--set",
    "chosen",
    type=click.Choice(("own", "blind", "third", "fourth")),
    default="own",
    show_default=True,
    help="The bugs.",
)
@click.option(
    "--time",
    "seconds",
    type=Duration(),
    default="3m",
    show_default=True,
    help="Of each campaign, with its worker alone on a core.",
)
@_bench.count("--seed", 1, 2**31 - 1, 1, "Random seed of the campaigns.")
@_bench.as_json
def planted(names: tuple[str, ...], chosen: str, seconds: float, seed: int, as_json: bool) -> int:
    """Plant bugs in the parser, and count those that a campaign with one worker finds; writes build/bench/planted.json.

    Takes up to an hour and a half: a bug that is found ends its campaign. Exit status 1: fewer than 22 in 24 are found.
    """
    from harness.bench import planted as measure

    every = {bug.name: bug for bug in measure.bugs(chosen)}
    _bench.known("planted bug", names, every, f"harness/bench/planted_{chosen}.toml lists them")
    say = _options.sayer(as_json)
    result = measure.measure([every[name] for name in names or every], seconds, seed, say)
    say(f"{result['found']} of {len(result['rows'])} found")
    _bench.keep("planted" if chosen == "own" else f"planted-{chosen}", result, as_json)
    return int(result["found"] < measure.TARGET * len(result["rows"]))


@click.command(epilog="Example: harness bench locate --all")
@_bench.only("--defect", "names", "fixed defect")
@click.option("--all", "every", is_flag=True, help="Locate all findings of each defect, not the smallest alone.")
@_bench.as_json
def locate(names: tuple[str, ...], every: bool, as_json: bool) -> int:
    """Count the fixed defects of which `harness locate` names an edited function; writes build/bench/locate.json.

    Takes about ten seconds per finding. Exit status 1: it names one for fewer than seven in ten defects.
    """
    from harness.bench import locate as measure
    from harness.findings import defects

    _bench.known("defect", names, (one.name for one in defects.defects() if one.edits), "only records with edits count")
    say = _options.sayer(as_json)
    result = measure.measure(names, say, every=every)
    say(f"defects: {result['defects_named']} of {result['defects']}; "
        f"findings: {result['findings_named']} of {result['findings']}; {result['not_run']} cannot run here")  # fmt: skip
    _bench.keep("locate", result, as_json)
    return int(result["defects_named"] < measure.TARGET * result["defects"])


@click.command(epilog="Example: harness bench releases --release 0.3.0 --time 2m")
@_bench.only("--release", "names", "release")
@_bench.time("2m")
@_bench.count("--seed", 1, 2**31 - 1, 1, "Random seed of the campaigns.")
@_bench.as_json
def releases(names: tuple[str, ...], seconds: float, seed: int, as_json: bool) -> int:
    """Fuzz older releases, and count the defects that later releases fixed; writes build/bench/releases.json.

    Takes about three quarters of an hour. Exit status 1: fewer than 14 fixed defects are found.
    """
    from harness.bench import releases as measure

    _bench.known("release", names, measure.RELEASES, f"there are: {', '.join(measure.RELEASES)}")
    say = _options.sayer(as_json)
    result = measure.measure(names or measure.RELEASES, seconds, seed, say)
    _bench.keep("releases" if not names else "releases-part", {"at": _bench.now(), **result}, as_json)
    for line in measure.lines(result) if not as_json else ():
        click.echo(line)
    say(f"{result['found']} of {len(result['defects'])} fixed defects found")
    return int(result["found"] < measure.TARGET)


@click.command("range", epilog="Example: harness bench range --attempts 3 --budget 2m")
@_bench.count("--attempts", 1, 1000, 10, "Attempts for each budget, each with its own random seed.")
@click.option(
    "--budget", "budgets", type=Duration(), multiple=True, default=("2m", "6m", "20m"), show_default="2m, 6m and 20m",
    help="CPU time of an attempt, all processes together; may be repeated.",
)  # fmt: skip
@_bench.count("--seed", 1, 2**31 - 10_001, 1, "Random seed of the first attempt; each later one adds 1.")
@click.option("--shard", type=Share(), default="1/1", metavar="K/N", help="Only the part K of N of the attempts.")
@_bench.only("--bug", "names", "bug; the others are off")
@click.option("--empty-corpus", is_flag=True, help="Do not load the committed seeds.")
@click.option("--examples", is_flag=True, help="Make no attempt: check that the smallest example of each bug shows it.")
@click.option("--fresh", is_flag=True, help="Forget earlier attempts.")
@click.option(
    "--price",
    type=click.FloatRange(min=0),
    default=0.05,
    show_default=True,
    help="Price of a CPU-hour, in any currency.",
)
@_bench.as_json
def attempts_at_range(
    attempts: int, budgets: tuple[float, ...], seed: int, shard: tuple[int, int], names: tuple[str, ...],
    empty_corpus: bool, examples: bool, fresh: bool, price: float, as_json: bool,
) -> int:  # fmt: skip
    """Plant 32 bugs in one build, and count those that a campaign with one worker on one core detects.

    The defaults take about five hours of CPU. An attempt ends early when it has detected all bugs; a command that was ended
    goes on with the next attempt. Writes build/bench/range.json and the page build/bench/range/index.html. Exit status 1: the
    mean is below the goal (28 at 2 minutes, 32 at 20), or an example does not show its bug.
    """
    from harness.bench.range import bugs, measure, page, results
    from harness.bench.range import examples as shown
    from harness.bench.range.attempt import folder

    every = {bug.name: bug for bug in bugs.bugs()}
    _bench.known("planted bug", names, every, "harness/bench/range/bugs.toml lists them")
    chosen = [bug for bug in every.values() if not names or bug.name in names]
    say = _options.sayer(as_json)
    if examples:
        found = shown.check(bugs.parser(say), chosen)
        for bug in chosen:
            say(f"  {bug.number} {bug.name}: {'shows' if found[bug.number].holds else 'DOES NOT SHOW'}")
        if as_json:
            _options.print_json({bug.name: found[bug.number].holds for bug in chosen})
        return int(not all(one.holds for one in found.values()))
    result = measure.measure(
        chosen, budgets, attempts, seed, say, part=shard, fresh=fresh, empty=empty_corpus, price=price
    )
    part = names or empty_corpus or shard != (1, 1)
    _bench.keep("range-part" if part else "range", {"at": _bench.now(), **result}, as_json)
    page.write(folder() / ("part.html" if part else "index.html"), result)
    for line in results.lines(result) if not as_json else ():
        click.echo(line)
    return int(results.below_goal(result))
