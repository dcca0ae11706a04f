"""``harness corpus``: keeps the set of seeds small."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from harness import corpus_pins, corpus_store, paths
from harness.cli import _options
from harness.cli._options import Size
from harness.corpus_pins import Pin
from harness.coverage import intake, upkeep
from harness.coverage.choose import KINDS, Terms
from harness.coverage.cover import Cap
from harness.coverage.upkeep import Change, Stats
from harness.errors import HarnessError
from harness.findings import store
from harness.parsers import registry
from harness.parsers.registry import Parser
from harness.replay.rerun import rerun
from harness.targets.known_findings import known
from harness.targets.registry import get_target
from harness.text import percent
from harness.triage import inputs

_RULES_SHOWN = 8
_ONLY_HEADER = "take a smaller file: a seed needs only its header"
# Most removed seeds of a target that are listed on a terminal.
_DROPPED_SHOWN = 20
# Bytes of one target that give a warning: each campaign copies and loads them, which takes seconds.
_LARGE = 10_000_000

_targets = _options.targets("Only this target; may be repeated. Default: all.")
_json = _options.as_json("Print JSON instead of the table.")
_corpus = click.option("--corpus", type=_options.PATH, help="Folder with one folder per target. Default: corpus.")
_max_bytes = click.option("--max-bytes", type=Size(), help="Most bytes of seeds per target (500k, 50M).")
_max_files = click.option("--max-files", type=click.IntRange(min=1), help="Most seeds per target.")


@dataclass(frozen=True, slots=True)
class _Work:
    """The options of a command that runs seeds."""

    targets: tuple[str, ...]
    folder: Path
    parser: str | None
    as_json: bool

    def build(self, target: str) -> Parser | None:
        """The build that ``target`` runs on; None for a target without parser."""
        return registry.find(self.parser, flavour="sancov") if get_target(target).uses_parser else None


def _work(function: Callable[..., None]) -> Callable[..., None]:
    """The options of :class:`_Work`, as the first argument."""

    @_targets
    @_corpus
    @_options.parser("Instrumented parser that runs the seeds. Default: the newest release.")
    @_json
    @functools.wraps(function)
    def wrapped(targets: tuple[str, ...], corpus: Path | None, parser: str | None, as_json: bool, **rest: Any) -> None:
        function(_Work(targets, corpus or intake.own_corpus(), parser, as_json), **rest)

    return wrapped


def _terms(function: Callable[..., None]) -> Callable[..., None]:
    """The options of a choice, as the argument ``terms``."""

    @click.option(
        "--by",
        type=click.Choice(KINDS),
        default="all",
        show_default=True,
        help="Keep seeds with any new feature, or only seeds that reach new code.",
    )
    @_max_bytes
    @_max_files
    @click.option(
        "--regions/--no-regions", default=True, help="Measure regions too, given a coverage build. Default: yes."
    )
    @functools.wraps(function)
    def wrapped(*args: Any, by: str, max_bytes: int | None, max_files: int | None, regions: bool, **rest: Any) -> None:
        function(*args, terms=Terms(by, Cap(max_bytes, max_files), regions), **rest)

    return wrapped


@click.group(name="corpus")
def command() -> None:
    """Maintain the seeds that campaigns start from.

    \b
    Example:  harness corpus stats
              harness corpus import my-models/
              harness corpus merge build/campaigns/main
              harness corpus minimize
              harness corpus pin my-models/odd.safetensors --why "our exporter pads it"
    """  # noqa: D301 - click's mark for "leave this paragraph as it is" is a backspace


def _chosen(names: tuple[str, ...], default: list[str]) -> list[str]:
    for name in names:
        get_target(name)
    return list(names) or default


def _able(names: tuple[str, ...], found: list[str]) -> list[str]:
    """The named targets, else those of ``found`` that can run here; prints the others."""
    if names:
        return _chosen(names, [])
    for target in found:
        if reason := get_target(target).missing():
            click.echo(f"{target} is left as it is: {reason}", err=True)
    return [target for target in found if not get_target(target).missing()]


@command.command(name="stats", epilog="Example: harness corpus stats --target deserialize --max-bytes 5M")
@_targets
@_corpus
@_max_bytes
@_max_files
@_json
def show_stats(
    targets: tuple[str, ...], corpus: Path | None, max_bytes: int | None, max_files: int | None, as_json: bool
) -> None:
    """Count seeds and bytes, by origin and by the judge's rule, and compare them with a cap."""
    folder = corpus or paths.corpus_dir()
    all_stats = [upkeep.stats(folder, target) for target in _chosen(targets, intake.targets_in(folder))]
    if as_json:
        _options.print_json([asdict(s) for s in all_stats])
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
        for name, pin in s.pinned.items():
            console.print(f"  pinned {name[:12]} {pin.file}: {pin.why}", markup=False)
        for entry in s.skipped:
            console.print(f"  skipped {entry}", style="yellow", markup=False)


def _fullness(s: Stats, max_bytes: int | None, max_files: int | None) -> Iterator[str]:
    """Share of the caps that the seeds take; without a cap, a warning about many bytes."""
    for what, has, most in (("bytes", s.size, max_bytes), ("files", s.seeds, max_files)):
        if most:
            over = ": harness corpus minimize with the same cap makes it fit" if has > most else ""
            yield f"{percent(has, most)} of {most} {what}{over}"
    if not max_bytes and s.size > _LARGE:
        yield f"more than {_LARGE // 1_000_000} MB: harness corpus minimize makes it smaller"


def _counted(counts: dict[str, int], most: int = 100) -> str:
    shown = [f"{name} {count}" for name, count in list(counts.items())[:most]]
    return ", ".join(shown) + (f", and {len(counts) - most} more" if len(counts) > most else "")


@command.command(name="minimize", epilog="Example: harness corpus minimize --target deserialize")
@_work
@_terms
def minimize(work: _Work, terms: Terms) -> None:
    """Remove seeds that reach nothing the others do not, and list them. Pinned seeds stay.

    The rest reaches the same edges and regions, rules and answers, dtypes and ranks. Beyond a cap, the seeds with the least
    new features per byte go; seeds that alone reach a region go last. The choice is complete before the first removal.
    """
    found = intake.targets_in(work.folder)
    if not found and not work.targets:
        raise HarnessError(f"no seeds in {work.folder}", hint="harness corpus import FILE... adds some")
    _report(work, found, lambda target: upkeep.minimize(work.folder, target, work.build(target), terms))


@command.command(name="merge", epilog="Example: harness corpus merge night-1/ night-2/ --by code --max-bytes 5M")
@click.argument("folders", nargs=-1, required=True, type=_options.PATH, metavar="DIR...")
@_work
@_terms
def merge(work: _Work, folders: tuple[Path, ...], terms: Terms) -> None:
    """Add inputs of campaigns, or of other corpora, that reach something new. Pinned seeds come too, and stay.

    Beyond a cap, seeds go, and are listed.
    """
    found = [intake.corpus_in(source) for source in folders]
    targets = sorted({target for source in found for target in intake.targets_in(source)})

    def merge_one(target: str) -> Change:
        sources: intake.Sources = {}
        pins: dict[str, Pin] = {}
        for source in folders:
            more, skipped = intake.read_sources(source, target)
            sources |= more
            pins |= corpus_pins.of_seeds(intake.corpus_in(source) / target, more)
            if skipped:
                click.echo(f"{source}: skipped {len(skipped)} foreign files for {target}", err=True)
        return upkeep.merge(work.folder, target, sources, work.build(target), terms, pins)

    _report(work, targets, merge_one)


@command.command(name="generate", epilog="Example: harness corpus generate --target deserialize --count 1000")
@click.option("--count", type=click.IntRange(min=1), default=400, show_default=True, help="Candidates per target.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="The first random seed.")
@_work
def generate(work: _Work, count: int, seed: int) -> None:
    """Make valid files over the whole format and keep those that reach something new."""

    def make(target: str) -> Change:
        return upkeep.merge(work.folder, target, intake.generated(target, count, seed), work.build(target))

    _report(work, intake.file_targets(), make)


def _report(work: _Work, found: list[str], change: Callable[[str], Change]) -> None:
    """Change the seeds of each target of ``work``, or of ``found``, and print the figures."""
    console = Console(stderr=work.as_json, highlight=False)
    changes = []
    for target in _able(work.targets, found):
        with console.status(f"running the seeds of {target}"):
            changes.append(change(target))
    if work.as_json:
        _options.print_json([asdict(change) for change in changes])
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
        for text in _dropped(c):
            console.print(text, markup=False, soft_wrap=True)


def _regions(change: Change) -> str:
    """Regions of the parser, before and after; one number where they are equal, a dash where none were measured."""
    if change.regions_before is None:
        return "-"
    after = f" -> {change.regions_after}" if change.regions_after != change.regions_before else ""
    return f"{change.regions_before}{after}"


def _remarks(change: Change) -> Iterator[str]:
    """Remarks that the figures do not show."""
    if change.killed:
        yield f"{change.killed} left out, as they end their process"
    if change.over_cap:
        yield f"the {change.pinned} pinned seeds alone exceed the cap"
    if change.lost:
        yield f"the cap cost {change.lost} of {change.features} features, {change.lost_code} of them code"
    if change.regions_before is None and change.unmeasured and get_target(change.target).uses_parser:
        yield f"regions were not measured: {change.unmeasured}"
    if change.regions_before != change.regions_after:
        yield f"{(change.regions_before or 0) - (change.regions_after or 0)} regions are lost"


def _dropped(change: Change) -> Iterator[str]:
    """The removed seeds."""
    if change.dropped:
        yield f"{change.target}: {len(change.dropped)} dropped:"
    for seed in change.dropped[:_DROPPED_SHOWN]:
        yield f"  {seed.name}  {seed.size:>6} bytes  {seed.origin}".rstrip()
    if len(change.dropped) > _DROPPED_SHOWN:
        yield f"  and {len(change.dropped) - _DROPPED_SHOWN} more; --json lists all"


@command.command(
    name="replay", epilog="Example: harness corpus replay --parser 0.8.0-address --corpus build/nightly/corpus"
)
@_targets
@_corpus
@_options.parser("The build that runs the seeds, such as one with AddressSanitizer.")
@click.option("--findings", type=_options.PATH, help="Folder that gets the new findings. Default: none.")
@_json
def replay_seeds(
    targets: tuple[str, ...], corpus: Path | None, parser: str | None, findings: Path | None, as_json: bool
) -> None:
    """Run all seeds on any build, and judge them. Status 1: a finding is new; 2: a named target, or every seed, cannot run.

    Each seed runs in a fork of one process per target, so it may die. Targets that the build cannot run are named and left out.
    """
    folder, build = corpus or paths.corpus_dir(), registry.find(parser)
    say = _options.sayer(as_json)
    rows = []
    for name in _able(targets, _chosen(targets, intake.targets_in(folder))):
        target = get_target(name)
        if not target.uses_parser or build.flavour not in target.flavours:
            if name in targets:
                raise HarnessError(f"target {name} does not run on {build.name}", hint="name another target or build")
            say(f"{name}: does not run on {build.name}")
            continue
        listed = [data for _, data in corpus_store.list_seeds(folder / name).seeds]
        seeds = [data for data in listed if not target.missing(data)]
        if idle := len(listed) - len(seeds):
            say(f"{name}: {idle} seeds need modules that are not installed, and did not run")
        seen: set[str] = set()
        new: list[dict[str, str]] = []
        for data, found in rerun(build, name, seeds):
            for finding in found:
                if finding.signature in seen:
                    continue
                seen.add(finding.signature)
                if known(finding.signature) is None:
                    new.append({"signature": finding.signature, "input": corpus_store.sha1(data)})
                    say(f"{name}: new: {finding.signature} ({len(data)} bytes: {new[-1]['input']})")
                    if findings is not None:
                        store.add(findings, finding, data, parser=build.name, seed=0)
        say(f"{name}: {len(seeds)} seeds on {build.name}, {len(seen)} findings")
        rows.append({"target": name, "parser": build.name, "seeds": len(seeds), "findings": len(seen), "new": new})
    if not any(row["seeds"] for row in rows):
        raise HarnessError(f"no seed of {folder} ran on {build.name}", hint="harness corpus stats lists the seeds")
    if as_json:
        _options.print_json(rows)
    raise SystemExit(int(any(row["new"] for row in rows)))


@command.command(name="import", epilog="Example: harness corpus import tiny-model.safetensors fixtures/")
@click.argument("files", nargs=-1, required=True, type=_options.PATH, metavar="FILE|DIR...")
@_targets
@_corpus
@_json
def import_files(files: tuple[Path, ...], targets: tuple[str, ...], corpus: Path | None, as_json: bool) -> None:
    """Copy safetensors files of your own, tensors included, into the seeds."""
    folder = corpus or intake.own_corpus()
    added, skipped = intake.import_files(folder, _chosen(targets, intake.file_targets()), files)
    for path, reason in skipped:
        click.echo(f"skipped {path}: {reason}", err=True)
    for target, count in added.items() if not as_json else ():
        click.echo(f"{target}: {count} new")
    if as_json:
        listed = [{"file": str(path), "reason": reason} for path, reason in skipped]
        _options.print_json({"new": added, "skipped": listed})
    if not any(added.values()) and skipped:
        raise HarnessError("nothing was imported", hint=_ONLY_HEADER)


@command.command(name="pin", epilog='Example: harness corpus pin odd.safetensors --why "our exporter pads it"')
@click.argument("file", type=_options.PATH)
@click.option("--why", metavar="TEXT", help="The reason, for whoever asks why the seed stays.")
@click.option("--remove", is_flag=True, help="Take the pin away; the seed stays. FILE may be the SHA-1 of the seed.")
@_targets
@_corpus
@_json
def pin_seed(
    file: Path, why: str | None, remove: bool, targets: tuple[str, ...], corpus: Path | None, as_json: bool
) -> None:
    """Keep a seed for good: minimize and merge never drop it. A file that is no seed yet is imported.

    The target is told from the path of a seed. Another file is pinned for all targets that take files, as import does.
    """
    if remove == (why is not None) or (why is not None and not why.strip()):
        raise click.UsageError('say --why "REASON" to pin a seed, or --remove to unpin it')
    folder = corpus or intake.own_corpus()
    rows = _pin(folder, targets, file, why) if why is not None else _unpin(folder, targets, file)
    if as_json:
        _options.print_json(rows)
        return
    for row in rows:
        said = "unpinned" if remove else "pinned already; the reason is changed:" if row["again"] else "pinned"
        new = ", a new seed" if row.get("new") else ""
        click.echo(f"{row['target']}: {said} {row['seed']}{new}")


def _pin(corpus: Path, targets: tuple[str, ...], file: Path, why: str) -> list[dict[str, Any]]:
    size = inputs.size_of(file)
    if size > corpus_store.MAX_SEED:
        raise HarnessError(f"{file} has {size} bytes, a seed has at most {corpus_store.MAX_SEED}", hint=_ONLY_HEADER)
    data = inputs.read_whole(file)
    name = corpus_store.sha1(data)
    rows = []
    for target in _chosen(targets, corpus_pins.targets_of(file, corpus) or intake.file_targets()):
        row = {"target": target, "seed": name, "again": name in corpus_pins.read(corpus / target)}
        rows.append(row | {"new": corpus_pins.pin(corpus / target, file, data, why)})
    return rows


def _unpin(corpus: Path, targets: tuple[str, ...], file: Path) -> list[dict[str, Any]]:
    # The seed itself may be gone, so its name is enough.
    named = corpus_store.is_name(file.name) or not file.exists()
    name = file.name if named else corpus_store.sha1(inputs.read_whole(file))
    default = corpus_pins.targets_of(file, corpus) or intake.targets_in(corpus)
    unpinned = [target for target in _chosen(targets, default) if corpus_pins.unpin(corpus / target, name)]
    if not unpinned:
        raise HarnessError(f"no such pin: {file}", hint="harness corpus stats lists the pins")
    return [{"target": target, "seed": name} for target in unpinned]
