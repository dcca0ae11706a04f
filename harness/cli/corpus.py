"""``harness corpus``: keeps the seeds few, small and telling."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from harness import paths
from harness.cli._size import Size
from harness.coverage import intake, upkeep
from harness.coverage.choose import KINDS, Terms
from harness.coverage.cover import Cap
from harness.coverage.upkeep import Change, Stats
from harness.errors import HarnessError
from harness.parsers import registry
from harness.parsers.registry import Parser
from harness.targets.registry import get_target
from harness.text import percent

_RULES_SHOWN = 8
# Bytes of one target that are worth a word: copying and loading them costs each campaign seconds.
_LARGE = 10_000_000

_target = click.option("--target", "chosen", multiple=True, help="Only this target (may be repeated); default: all.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the table.")
_parser = click.option("--parser", "name", help="The instrumented parser to run seeds on; default: the newest release.")
_corpus = click.option(
    "--corpus", type=click.Path(path_type=Path), help="The folder with one folder per target; default: corpus."
)


_max_bytes = click.option("--max-bytes", type=Size(), help="At most so many bytes per target (500k, 50M).")
_max_files = click.option("--max-files", type=click.IntRange(min=1), help="At most so many seeds per target.")


def _choosing(function: Callable[..., None]) -> Callable[..., None]:
    """The options that say what is kept, as one argument ``terms``."""

    @click.option(
        "--by",
        type=click.Choice(KINDS),
        default="all",
        show_default=True,
        help="Keep what reaches something new, or only what reaches new code, not what combines the known.",
    )
    @_max_bytes
    @_max_files
    @click.option(
        "--regions/--no-regions",
        default=True,
        help="Measure regions before and after, where there is a coverage build; default: yes.",
    )
    @functools.wraps(function)
    def wrapped(by: str, max_bytes: int | None, max_files: int | None, regions: bool, **rest: Any) -> None:
        function(terms=Terms(by, Cap(max_bytes, max_files), regions), **rest)

    return wrapped


@click.group(name="corpus")
def command() -> None:
    """Look after the seeds that campaigns start from.

    \b
    Example:  harness corpus stats
              harness corpus import my-models/
              harness corpus merge build/campaigns/main
              harness corpus minimize
    """  # noqa: D301 - click's mark for "leave this paragraph as it is" is a backspace


def _chosen(names: tuple[str, ...], default: list[str]) -> list[str]:
    for name in names:
        get_target(name)
    return list(names) or default


def _able(names: tuple[str, ...], found: list[str]) -> list[str]:
    """The targets named, else those of ``found`` that can run here; says which cannot."""
    if names:
        return _chosen(names, [])
    for target in found:
        if reason := get_target(target).missing():
            click.echo(f"{target} is left as it is: {reason}", err=True)
    return [target for target in found if not get_target(target).missing()]


def _parser_for(target: str, name: str | None) -> Parser | None:
    """The build that ``target`` runs on; None for a target that runs none."""
    return registry.find(name, flavour="sancov") if get_target(target).uses_parser else None


@command.command(name="stats")
@_target
@_corpus
@_max_bytes
@_max_files
@_json
def show_stats(
    chosen: tuple[str, ...], corpus: Path | None, max_bytes: int | None, max_files: int | None, as_json: bool
) -> None:
    """Count seeds and bytes, by origin and by the judge's rule, and say how near a cap they are.

    \b
    Example:  harness corpus stats --target deserialize
              harness corpus stats --corpus build/campaigns/main/corpus --max-bytes 5M
    """  # noqa: D301
    folder = corpus or paths.corpus_dir()
    all_stats = [upkeep.stats(folder, target) for target in _chosen(chosen, intake.targets_in(folder))]
    if as_json:
        click.echo(json.dumps([asdict(s) for s in all_stats], indent=1))
        return
    console = Console(highlight=False)
    if not all_stats:
        console.print(f"no seeds in {folder}", markup=False)
    for s in all_stats:
        console.print(f"[bold]{s.target}[/]  {s.seeds} seeds, {s.size} bytes, median {s.median:g}, largest {s.largest}")
        console.print(f"  from   {_counted(s.sources)}", markup=False)
        if s.rules:
            console.print(f"  judged {_counted(s.rules, _RULES_SHOWN)}", markup=False)
        for text in _fullness(s, max_bytes, max_files):
            console.print(f"  {text}", style="yellow", markup=False)
        for entry in s.skipped:
            console.print(f"  skipped {entry}", style="yellow", markup=False)


def _fullness(s: Stats, max_bytes: int | None, max_files: int | None) -> Iterator[str]:
    """How near the caps the seeds are; without a cap, a word where they are many bytes."""
    for what, has, most in (("bytes", s.size, max_bytes), ("files", s.seeds, max_files)):
        if most:
            over = ": harness corpus minimize with the same cap makes it fit" if has > most else ""
            yield f"{percent(has, most)} of {most} {what}{over}"
    if not max_bytes and s.size > _LARGE:
        yield f"more than {_LARGE // 1_000_000} MB: harness corpus minimize makes it smaller"


def _counted(counts: dict[str, int], most: int = 100) -> str:
    shown = [f"{name} {count}" for name, count in list(counts.items())[:most]]
    return ", ".join(shown) + (f", and {len(counts) - most} more" if len(counts) > most else "")


@command.command(name="minimize")
@_target
@_corpus
@_choosing
@_parser
@_json
def minimize(chosen: tuple[str, ...], corpus: Path | None, terms: Terms, name: str | None, as_json: bool) -> None:
    """Remove seeds that reach nothing the others do not.

    Edges and regions of the parser, rules and answers, dtypes and ranks are all kept. Past a cap the seeds go that are
    worth least per byte, those that alone reach a region last of all. Nothing is removed before all is known.

    \b
    Example:  harness corpus minimize --target deserialize
    """  # noqa: D301
    folder = corpus or intake.own_corpus()
    found = intake.targets_in(folder)
    if not found and not chosen:
        raise HarnessError(f"no seeds in {folder}", hint="harness corpus import FILE... adds some")
    targets = _able(chosen, found)
    _report(targets, lambda target: upkeep.minimize(folder, target, _parser_for(target, name), terms), as_json)


@command.command(name="merge")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DIR...")
@_target
@_corpus
@_choosing
@_parser
@_json
def merge(
    folders: tuple[Path, ...],
    chosen: tuple[str, ...],
    corpus: Path | None,
    terms: Terms,
    name: str | None,
    as_json: bool,
) -> None:
    """Take in what campaigns (or other corpora) reached and the corpus did not.

    \b
    Example:  harness corpus merge build/campaigns/main
              harness corpus merge night-1/ night-2/ --corpus cache/ --max-bytes 5M
              harness corpus merge cache/ --by code
    """  # noqa: D301
    folder = corpus or intake.own_corpus()
    found = [intake.corpus_in(source) for source in folders]
    targets = _able(chosen, sorted({target for source in found for target in intake.targets_in(source)}))

    def merge_one(target: str) -> Change:
        sources: intake.Sources = {}
        for source in folders:
            more, skipped = intake.read_sources(source, target)
            sources |= more
            if skipped:
                click.echo(f"{source}: skipped {len(skipped)} foreign files for {target}", err=True)
        return upkeep.merge(folder, target, sources, _parser_for(target, name), terms)

    _report(targets, merge_one, as_json)


@command.command(name="generate")
@click.option("--count", type=click.IntRange(min=1), default=400, show_default=True, help="Candidates per target.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="The first random seed.")
@_target
@_corpus
@_parser
@_json
def generate(
    count: int, seed: int, chosen: tuple[str, ...], corpus: Path | None, name: str | None, as_json: bool
) -> None:
    """Make valid files over the whole format and keep those that reach something new.

    \b
    Example:  harness corpus generate --target deserialize --count 1000
    """  # noqa: D301
    folder = corpus or intake.own_corpus()

    def make(target: str) -> Change:
        return upkeep.merge(folder, target, intake.generated(target, count, seed), _parser_for(target, name))

    _report(_able(chosen, intake.file_targets()), make, as_json)


def _report(targets: list[str], work: Callable[[str], Change], as_json: bool) -> None:
    """Do ``work`` for each target and say what it changed."""
    console = Console(stderr=as_json, highlight=False)
    changes = []
    for target in targets:
        with console.status(f"running the seeds of {target}"):
            changes.append(work(target))
    if as_json:
        click.echo(json.dumps([asdict(change) for change in changes], indent=1))
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("target")
    for heading in ("seeds before", "after", "bytes before", "after", "features", "regions"):
        table.add_column(heading, justify="right")
    for c in changes:
        table.add_row(c.target, *map(str, (c.before, c.after, c.bytes_before, c.bytes_after, c.features)), _regions(c))
    console.print(table)
    for c in changes:
        for text in _remarks(c):
            console.print(f"{c.target}: {text}", style="yellow", markup=False)


def _regions(change: Change) -> str:
    """Regions of the parser, before and after; one number where they are the same, none where nothing was measured."""
    if change.regions_before is None:
        return "-"
    return f"{change.regions_before}" + (
        "" if change.regions_after == change.regions_before else f" -> {change.regions_after}"
    )


def _remarks(change: Change) -> Iterator[str]:
    """What a person should know beside the figures."""
    if change.killed:
        yield f"{change.killed} left out, as they end their process"
    if change.lost:
        yield f"the cap cost {change.lost} of {change.features} features, {change.lost_code} of them code"
    if change.regions_before is None and change.unmeasured and get_target(change.target).uses_parser:
        yield f"regions were not measured: {change.unmeasured}"
    if change.regions_before != change.regions_after:
        yield f"{(change.regions_before or 0) - (change.regions_after or 0)} regions are lost"


@command.command(name="import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE|DIR...")
@_target
@_corpus
@_json
def import_files(files: tuple[Path, ...], chosen: tuple[str, ...], corpus: Path | None, as_json: bool) -> None:
    """Add safetensors files of your own as seeds; they are copied, tensors and all.

    \b
    Example:  harness corpus import tiny-model.safetensors fixtures/
    """  # noqa: D301
    folder = corpus or intake.own_corpus()
    added, skipped = intake.import_files(folder, _chosen(chosen, intake.file_targets()), files)
    for path, reason in skipped:
        click.echo(f"skipped {path}: {reason}", err=True)
    for target, count in added.items() if not as_json else ():
        click.echo(f"{target}: {count} new")
    if as_json:
        told = {"new": added, "skipped": [{"file": str(path), "reason": reason} for path, reason in skipped]}
        click.echo(json.dumps(told, indent=1))
    if not any(added.values()) and skipped:
        raise HarnessError("nothing was imported", hint="seeds are small files; the header is what matters")
