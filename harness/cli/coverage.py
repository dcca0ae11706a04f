"""``harness coverage``: coverage of the parser by the corpus, Rust and Python on one page."""

from __future__ import annotations

import re
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from harness import corpus_store, paths
from harness.cli import _options
from harness.coverage import baseline as reference
from harness.coverage import outputs
from harness.coverage.changed import drivable
from harness.coverage.collect import Coverage, collect
from harness.coverage.counts import Tally
from harness.errors import HarnessError
from harness.files import write_named
from harness.parsers import build, registry, toolchain
from harness.parsers.registry import Parser
from harness.targets.registry import all_targets, get_target, not_installed


@click.command(name="coverage", epilog="Example: harness coverage --campaign build/campaigns/main --lcov lcov.info")
@click.option("--html", "folder", type=_options.PATH, help="Folder of the page. Default: build/coverage.")
@_options.as_json("Print coverage.json instead of the table.")
@click.option("--lcov", type=_options.PATH, help="Write an LCOV tracefile, too.")
@_options.targets("Only this target; may be repeated. Default: all with seeds.")
@_options.campaign("Replay the corpus of this campaign, too.")
@click.option("--baseline", is_flag=True, help="Compare with corpus/coverage.toml. Exit status 1 for a loss.")
@click.option(
    "--write-baseline", is_flag=True, help="Write the figures of the committed corpus into corpus/coverage.toml."
)
@_options.parser("Build to measure, without its -coverage. Default: the newest release, built if missing.")
def command(
    folder: Path | None,
    as_json: bool,
    lcov: Path | None,
    targets: tuple[str, ...],
    campaign: Path | None,
    baseline: bool,
    write_baseline: bool,
    parser: str | None,
) -> int:
    """Replay the corpus on a coverage build and show the regions, lines and functions it reaches."""
    console = Console(stderr=as_json, highlight=False)
    if (baseline or write_baseline) and campaign is not None:
        raise HarnessError("the baseline is of the committed corpus", hint="leave --campaign out")
    if write_baseline and targets:
        raise HarnessError("the baseline is of all targets", hint="leave --target out")
    wanted = reference.read(paths.corpus_dir() / reference.NAME) if baseline else None
    inputs = _inputs(targets, campaign, console)
    found = collect(measuring(parser, console), inputs)
    found.warnings += [] if targets else [f"not replayed: {name}: {why}" for name, why in not_installed().items()]
    page = outputs.write(found, folder or paths.build_dir() / "coverage")
    if lcov is not None:
        write_named(lcov, outputs.as_lcov(found))
    if write_baseline:
        reference.write(paths.corpus_dir() / reference.NAME, found)
    able = () if targets else drivable()
    lost = reference.losses(found, wanted, able) if wanted is not None else []
    if as_json:
        _options.print_json(outputs.as_json(found) | {"lost": lost})
    else:
        show(found, console)
        for sentence in lost:
            click.echo(f"lost: {sentence}", err=True)
        click.echo(f"page: {page}")
    return int(bool(lost))


def measuring(name: str | None, console: Console) -> Parser:
    """The coverage build of ``name``. One of a release is built where it is missing, or where nothing here reads it."""
    release = name or registry.default_release()
    is_release = re.fullmatch(r"\d+(\.\d+)+\w*", release)
    there = registry.read(registry.default_name(release, "coverage"))
    if is_release and (there is None or _made_by_another_llvm(there, console)):
        return build.build(release, flavour="coverage", progress=lambda line: console.print(line, markup=False))
    found = registry.find(name, flavour="coverage")
    try:
        toolchain.coverage_tools(found.compiler)
    except HarnessError as error:
        again = f"{error.hint}; or build it by the present compiler: {registry.build_command(found.name)}"
        raise HarnessError(f"parser {found.name} cannot be measured: {error}", hint=again) from error
    return found


def _made_by_another_llvm(there: Parser, console: Console) -> bool:
    """Whether the tools of the present compiler are here, and those that read the build are not."""
    made_by = there.compiler
    if made_by is None or toolchain.has_coverage_tools(made_by) or not toolchain.has_coverage_tools():
        return False
    present = toolchain.compiler()
    text = f"{there.name} is of {made_by}, whose tools are not here: building it again by {present}"
    console.print(text, style="yellow", markup=False, soft_wrap=True)
    return True


def _inputs(chosen: tuple[str, ...], campaign: Path | None, console: Console) -> dict[str, list[bytes]]:
    """Seeds by target. Raises HarnessError when there are none, or ``campaign`` is no campaign."""
    if campaign is not None and not (campaign / "corpus").is_dir():
        raise HarnessError(f"{campaign} is no campaign: it has no corpus folder", hint="ls build/campaigns")
    for name in chosen:
        target = get_target(name)
        if not target.uses_parser:
            raise HarnessError(f"target {name} does not run the parser", hint="choose another target")
        if reason := target.missing():
            raise HarnessError(f"target {name} cannot run: {reason}", hint=target.install())
    names = chosen or [name for name, target in all_targets().items() if target.uses_parser and not target.missing()]
    folders = [paths.corpus_dir(), *([campaign / "corpus"] if campaign else [])]
    inputs: dict[str, list[bytes]] = {}
    for name in names:
        seeds: dict[str, bytes] = {}
        for folder in folders:
            listing = corpus_store.list_seeds(folder / name)
            seeds |= dict(listing.seeds)
            if listing.warning:
                console.print(f"{folder / name}: {listing.warning}", style="yellow", markup=False)
        if seeds:
            inputs[name] = list(seeds.values())
    lacking = [name for name in names if name not in inputs]
    if not inputs or (chosen and lacking):
        raise HarnessError(
            f"no seeds to replay for {', '.join(lacking)} in {' or '.join(map(str, folders))}",
            hint="harness corpus import FILE... adds some; --campaign DIR replays the corpus of a campaign",
        )
    return inputs


def show(found: Coverage, console: Console) -> None:
    """Print what each target reaches, and a table of the files."""
    for warning in found.warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)
    for name, reach in found.targets.items():
        killed = f", {len(reach.replay.deaths)} ended their process and are left out" if reach.replay.deaths else ""
        regions = f"{reach.regions} Rust regions reached, of {reach.entered} in the functions they enter"
        text = f"{name}: {reach.replay.executed} inputs replayed{killed}; {regions}"
        console.print(text, markup=False, soft_wrap=True)
    for python in found.python:
        if python.not_driven:
            text = f"{python.path} is not driven here: {python.not_driven}"
            console.print(text, style="dim", markup=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("of the reachable", no_wrap=True, overflow="ellipsis")
    for heading in ("regions, branches", "lines", "functions"):
        table.add_column(heading, justify="right", no_wrap=True)
    totals = found.totals()
    for rust in found.rust:
        table.add_row(rust.path, _cell(rust.region_tally), _cell(rust.line_tally), _cell(rust.function_tally))
        if rust.source.arms:
            table.add_row("  of numpy and torch", _cell(rust.framework_tallies.get("", Tally())), "", "")
    table.add_row("all Rust", *map(_cell, totals["rust"].values()), style="bold", end_section=True)
    for python in found.python:
        if python.not_driven:
            table.add_row(python.path, "", "not driven here", "", style="dim")
            continue
        table.add_row(python.path, _cell(python.branch_tally), _cell(python.line_tally), "")
    if found.python:
        row = map(_cell, (totals["python"]["branches"], totals["python"]["lines"]))
        table.add_row("all Python", *row, "", style="bold")
    console.print(table)


def _cell(tally: Tally) -> str:
    if not tally.total:
        return ""
    return f"{tally.covered}/{tally.reachable} {tally.percent:5.1f} %"
