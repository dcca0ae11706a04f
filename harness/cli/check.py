"""``harness check``: reads checkpoints with the judge and every parser that is built; a gate before loading a download."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from harness.checkpoint import arguments, sarif
from harness.checkpoint.judge import Verdict, judge_all, unreadable_folder
from harness.checkpoint.problems import Problem
from harness.checkpoint.reading import Reader
from harness.cli import _options
from harness.files import write_named
from harness.parsers import registry
from harness.parsers.registry import Parser
from harness.report.text import plain
from harness.text import count, short
from harness.triage import filing


@click.command(epilog="Example: harness check ./model --json")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option("--parser", "names", multiple=True, metavar="NAME", help="Only this one; may be repeated. Default: all.")
@click.option(
    "--sarif", "sarif_file", type=_options.FILE, metavar="FILE", help="Write the problems as SARIF 2.1.0, too."
)
@_options.as_json()
def command(paths: tuple[str, ...], names: tuple[str, ...], sarif_file: Path | None, as_json: bool) -> int:
    """Read checkpoints with the independent judge of the format and with every parser that is built.

    A PATH is a file, a folder, an index or a pattern. Shards are compared with their index, and the tensors of a quantised
    weight with each other. Parsers run in child processes, so a file that kills or hangs a parser is reported, too.

    Exit status 0: every file is valid, every parser agrees with the judge, and the files fit each other. Exit status 1: there
    is a problem. Exit status 2: something cannot be read. Exit status 3: a parser did not start; the other parsers read on.
    """
    outcome = _Outcome(as_json, sarif_file is not None)
    with _Progress() as progress:
        sources = arguments.resolve(paths, progress.looked)
        parsers = _parsers(names)
        progress.begin(sum(len(one.files) + len(one.spare) for one in sources.checkpoints))
        for problem in sources.problems:
            outcome.take(unreadable_folder(problem), progress)
        with Reader(parsers) as reader:
            for verdict in judge_all(sources.checkpoints, reader, progress.reads):
                outcome.take(verdict, progress)
    failed = [f"parser {name} did not start: {why}" for name, why in reader.failed.items()]
    for line in failed:
        click.echo(f"harness: {plain(line)}; harness build makes it again", err=True)
    if sources.apart:
        more = f" and {len(sources.apart) - 1} more" if len(sources.apart) > 1 else ""
        told = f"{plain(sources.apart[0], 300)}{more}: shards judged one by one; their index was not compared"
        click.echo(f"note: {told}: check the folder", err=True)
    outcome.end(sources.circular)
    if sarif_file is not None:
        write_named(sarif_file, json.dumps(sarif.log(outcome.problems, failed), indent=1) + "\n")
    return 3 if failed else outcome.status()


def _parsers(names: tuple[str, ...]) -> list[Parser]:
    if names:
        return [registry.find(name) for name in dict.fromkeys(names)]
    return [parser for parser in filing.builds("deserialize") if parser is not None]


class _Outcome:
    """The sum of the verdicts so far. Rows and problems are kept only where they are to be written: a folder may hold a million files."""

    def __init__(self, as_json: bool, keeps_problems: bool) -> None:
        self.as_json = as_json
        self.keeps_problems = keeps_problems
        self.rows: list[dict[str, Any]] = []
        self.problems: list[Problem] = []
        self.ok = 0
        self.bad = 0
        self.unread = False

    def take(self, verdict: Verdict, progress: _Progress) -> None:
        """Count a verdict, and print it."""
        self.ok += verdict.ok
        self.bad += not verdict.ok
        self.unread |= verdict.unread
        if self.keeps_problems:
            self.problems += verdict.problems
        if self.as_json:
            self.rows += verdict.rows()
            return
        with progress.hidden():
            _print(verdict)

    def end(self, circular: list[str]) -> None:
        """Print what is printed last: the JSON, or links that were not followed and a sum of more than one checkpoint."""
        if self.as_json:
            _options.print_json(self.rows)
            return
        for link in circular:
            click.echo(f"note: {plain(link, 300)} is a link to a folder that holds it; it is not followed", err=True)
        if self.ok + self.bad > 1:
            click.echo(f"{count(self.ok + self.bad)} checkpoints: {count(self.ok)} ok, {count(self.bad)} not ok")

    def status(self) -> int:
        """The exit status."""
        return 2 if self.unread else int(self.bad > 0)


class _Progress:
    """A bar on the terminal that tells which file is read; nothing where stderr is no terminal."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            columns = TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TimeRemainingColumn()
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("looking for files", total=None)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def looked(self, entries: int) -> None:
        """Tell the number of entries of folders that were looked at."""
        if self._bar is not None:
            self._bar.update(self._task, completed=entries)

    def begin(self, files: int) -> None:
        """Tell the number of files to read."""
        if self._bar is not None:
            self._bar.update(self._task, total=files, completed=0)

    def reads(self, path: str) -> None:
        """Tell the file that is read next."""
        if self._bar is not None:
            self._bar.update(self._task, advance=1, description=escape(plain(os.path.basename(path), 40)))

    @contextlib.contextmanager
    def hidden(self) -> Iterator[None]:
        """Take the bar away while text is printed."""
        if self._bar is None:
            yield
            return
        self._bar.stop()
        yield
        self._bar.start()


def _print(verdict: Verdict) -> None:
    name = plain(verdict.checkpoint.name, 300)
    word = click.style("ok", fg="green") if verdict.ok else click.style("NOT OK", fg="red")
    if verdict.checkpoint.alone:
        click.echo(f"{name}: {word}")
        for reading in verdict.readings:
            _print_file(reading.row())
    else:
        files = len(verdict.readings)
        size = short(sum(reading.size for reading in verdict.readings))
        tensors = f"{count(verdict.tensors)} tensor{'s' * (verdict.tensors != 1)}"
        click.echo(f"{name}: {word} ({files} file{'s' * (files != 1)}, {tensors}, {size}B)")
    for line in verdict.lines():
        click.echo(f"  {line}")


def _print_file(row: dict[str, Any]) -> None:
    spec, foreign = row["spec"], row["foreign"]
    if foreign is not None:
        click.echo(f"  {foreign['what']}")
    # The first bytes of another format are no length of a header.
    meant = foreign is None or spec["rule"] != "framing.header-limit"
    detail = f" {spec['rule']}: {plain(spec['detail'], 300)}" if spec["rule"] and meant else ""
    click.echo(f"  {'the format':<22} {spec['verdict']}{detail}")
    for name, result in row["parsers"].items():
        error = f": {plain(result['error'], 200)}" if result["error"] else ""
        click.echo(f"  {name:<22} {result['outcome']}{error}")
        for summary in result["findings"]:
            click.echo(f"  {'':<22}   {plain(summary, 200)}")
