"""``harness corpus``: keeps the seeds few, small and telling."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from harness import paths
from harness.coverage import upkeep
from harness.coverage.upkeep import Change
from harness.errors import HarnessError
from harness.parsers import registry
from harness.parsers.registry import Parser
from harness.targets import base

_RULES_SHOWN = 8

_target = click.option("--target", "chosen", multiple=True, help="Only this target (may be repeated); default: all.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the table.")
_parser = click.option("--parser", "name", help="The instrumented parser to run seeds on; default: the newest release.")
_corpus = click.option(
    "--corpus", type=click.Path(path_type=Path), help="The folder with one folder per target; default: corpus."
)


@click.group(name="corpus")
def command() -> None:
    """Look after the seeds that campaigns start from.

    \b
    Example:  harness corpus stats
              harness corpus import my-models/
              harness corpus merge build/campaigns/default
              harness corpus minimize
    """  # noqa: D301 - click's mark for "leave this paragraph as it is" is a backspace


def _chosen(names: tuple[str, ...], default: list[str]) -> list[str]:
    for name in names:
        base.get(name)
    return list(names) or default


def _parser_for(target: str, name: str | None) -> Parser | None:
    """The build that ``target`` runs on; None for a target that runs none."""
    return registry.find(name, flavour="sancov") if base.get(target).uses_parser else None


@command.command(name="stats")
@_target
@_corpus
@_json
def show_stats(chosen: tuple[str, ...], corpus: Path | None, as_json: bool) -> None:
    """Count seeds and bytes, by origin and by the judge's rule.

    \b
    Example:  harness corpus stats --target deserialize
    """  # noqa: D301
    folder = corpus or paths.corpus_dir()
    all_stats = [upkeep.stats(folder, target) for target in _chosen(chosen, upkeep.targets_in(folder))]
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
        for entry in s.skipped:
            console.print(f"  skipped {entry}", style="yellow", markup=False)


def _counted(counts: dict[str, int], most: int = 100) -> str:
    shown = [f"{name} {count}" for name, count in list(counts.items())[:most]]
    return ", ".join(shown) + (f", and {len(counts) - most} more" if len(counts) > most else "")


@command.command(name="minimize")
@_target
@_corpus
@_parser
@_json
def minimize(chosen: tuple[str, ...], corpus: Path | None, name: str | None, as_json: bool) -> None:
    """Remove seeds that reach nothing the others do not.

    Edges of the parser, rules and answers, dtypes and ranks are all kept. Nothing is removed before all is known.

    \b
    Example:  harness corpus minimize --target deserialize
    """  # noqa: D301
    folder = corpus or upkeep.own_corpus()
    targets = _chosen(chosen, upkeep.targets_in(folder))
    if not targets:
        raise HarnessError(f"no seeds in {folder}", hint="harness corpus import FILE... adds some")
    _report(targets, lambda target: upkeep.minimize(folder, target, _parser_for(target, name)), as_json)


@command.command(name="merge")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DIR...")
@_target
@_corpus
@click.option("--code-only", is_flag=True, help="Only for code that is new, not for what combines the known.")
@_parser
@_json
def merge(
    folders: tuple[Path, ...],
    chosen: tuple[str, ...],
    corpus: Path | None,
    code_only: bool,
    name: str | None,
    as_json: bool,
) -> None:
    """Take in what campaigns (or other corpora) reached and the corpus did not.

    \b
    Example:  harness corpus merge build/campaigns/default
    """  # noqa: D301
    folder = corpus or upkeep.own_corpus()
    found = [upkeep.corpus_in(source) for source in folders]
    targets = _chosen(chosen, sorted({target for source in found for target in upkeep.targets_in(source)}))

    def merge_one(target: str) -> Change:
        sources: upkeep.Sources = {}
        for source in folders:
            more, skipped = upkeep.read_sources(source, target)
            sources |= more
            if skipped:
                click.echo(f"{source}: skipped {len(skipped)} foreign files for {target}", err=True)
        return upkeep.merge(folder, target, sources, _parser_for(target, name), code_only=code_only)

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
    folder = corpus or upkeep.own_corpus()

    def make(target: str) -> Change:
        return upkeep.merge(folder, target, upkeep.generated(target, count, seed), _parser_for(target, name))

    _report(_chosen(chosen, upkeep.file_targets()), make, as_json)


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
    for heading in ("seeds before", "after", "bytes before", "after", "features"):
        table.add_column(heading, justify="right")
    for c in changes:
        table.add_row(c.target, *map(str, (c.before, c.after, c.bytes_before, c.bytes_after, c.features)))
    console.print(table)
    for c in changes:
        if c.killed:
            console.print(f"{c.target}: {c.killed} left out, as they end their process", style="yellow")


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
    folder = corpus or upkeep.own_corpus()
    added, skipped = upkeep.import_files(folder, _chosen(chosen, upkeep.file_targets()), files)
    for path, reason in skipped:
        click.echo(f"skipped {path}: {reason}", err=True)
    for target, count in added.items() if not as_json else ():
        click.echo(f"{target}: {count} new")
    if as_json:
        told = {"new": added, "skipped": [{"file": str(path), "reason": reason} for path, reason in skipped]}
        click.echo(json.dumps(told, indent=1))
    if not any(added.values()) and skipped:
        raise HarnessError("nothing was imported", hint="seeds are small files; the header is what matters")
