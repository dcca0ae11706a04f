"""``harness bench peers``: other ways to fuzz the same parser, in equal CPU time."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli import _bench, _options
from harness.cli._bench_bugs import Share
from harness.cli.fuzz import Duration


@click.command(epilog="Example: harness bench peers --peer ours --peer libfuzzer --trials 3 --budget 1m")
@_bench.only("--peer", "names", "peer")
@_bench.count("--trials", 1, 1000, 10, "Trials of each peer, each with its own random seed.")
@click.option(
    "--budget", type=Duration(), default="3m", show_default=True, help="CPU time of a trial, all processes together."
)
@_bench.count("--seed", 1, 2**31 - 10_001, 1, "Random seed of the first trial; each later one adds 1.")
@click.option("--shard", type=Share(), default="1/1", metavar="K/N", help="Only the part K of N of the trials.")
@click.option("--libraries", type=_options.PATH, metavar="DIR", help="Folder with cargo-afl.  [default: on PATH]")
@click.option("--fresh", is_flag=True, help="Forget earlier trials.")
@_bench.as_json
def peers(
    names: tuple[str, ...], trials: int, budget: float, seed: int, shard: tuple[int, int], libraries: Path | None, fresh: bool,
    as_json: bool,
) -> int:  # fmt: skip
    """Fuzz the 32 bugs of `harness bench range` by other fuzzers, and by ours with one part off, in equal CPU time.

    All begin from an empty corpus, on one core. The defaults take about seven hours of CPU; a command that was ended goes on
    with the next trial. `.ci/peers measure` installs AFL++ and runs it. Writes build/bench/peers.json and the page
    build/bench/peers/index.html. Exit status 1: for a peer, the chance that it takes longer than ours is below 0.8.
    """
    from harness.bench.peers import measure, page, results
    from harness.bench.peers.peer import folder
    from harness.bench.range import bugs

    every = measure.every(libraries)
    _bench.known("peer", names, every, f"there are: {', '.join(every)}")
    say = _options.sayer(as_json)
    result = measure.measure(names, budget, trials, seed, say, part=shard, fresh=fresh, libraries=libraries)
    part = bool(names) or shard != (1, 1)
    _bench.keep("peers-part" if part else "peers", {"at": _bench.now(), **result}, as_json)
    page.write(folder() / ("part.html" if part else "index.html"), result)
    for line in results.lines(result, bugs.bugs()) if not as_json else ():
        click.echo(line)
    return int(results.below_goal(result))
