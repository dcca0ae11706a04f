"""``harness check``: reads checkpoints with the judge and every parser that is built; a gate before loading a download."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import click
from rich.console import Console
from rich.markup import escape

from harness.checkpoint import arguments, sarif
from harness.checkpoint.judge import Verdict, judge_all, unreadable_folder
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
    is a problem. Exit status 2: something cannot be read.
    """
    with _Progress() as progress:
        sources = arguments.resolve(paths, progress.looked)
        parsers = _parsers(names)
        progress.total = sum(len(one.files) + len(one.spare) for one in sources.checkpoints)
        verdicts = [unreadable_folder(problem) for problem in sources.problems]
        with Reader(parsers) as reader:
            for verdict in judge_all(sources.checkpoints, reader, progress.reads):
                verdicts.append(verdict)
                if not as_json:
                    with progress.hidden():
                        _print(verdict)
    if as_json:
        _options.print_json([row for verdict in verdicts for row in verdict.rows()])
    else:
        _print_end(verdicts, sources)
    if sarif_file is not None:
        write_named(sarif_file, json.dumps(sarif.log(verdicts), indent=1) + "\n")
    if any(verdict.unread for verdict in verdicts):
        return 2
    return int(not all(verdict.ok for verdict in verdicts))


def _parsers(names: tuple[str, ...]) -> list[Parser]:
    if names:
        return [registry.find(name) for name in dict.fromkeys(names)]
    return [parser for parser in filing.builds("deserialize") if parser is not None]


class _Progress:
    """A line on the terminal that tells which file is read; nothing where stderr is no terminal."""

    def __init__(self) -> None:
        self.total = 0
        self.done = 0
        self._status = Console(stderr=True).status("looking for files") if sys.stderr.isatty() else None

    def __enter__(self) -> Self:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def looked(self, entries: int) -> None:
        """Tell the number of entries of folders that were looked at."""
        if self._status is not None:
            self._status.update(f"looking for files: {count(entries)} entries")

    def reads(self, path: str) -> None:
        """Tell the file that is read next."""
        self.done += 1
        if self._status is not None:
            self._status.update(f"file {count(self.done)} of {count(self.total)}: {escape(plain(path, 60))}")

    @contextlib.contextmanager
    def hidden(self) -> Iterator[None]:
        """Take the line away while text is printed."""
        if self._status is None:
            yield
            return
        self._status.stop()
        yield
        self._status.start()


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
        about = f"{files} file{'s' * (files != 1)}, {count(verdict.tensors)} tensors, {size}B"
        click.echo(f"{name}: {word} ({about})")
    for problem in verdict.problems:
        click.echo(f"  {problem.line()}")


def _print_file(row: dict[str, Any]) -> None:
    spec = row["spec"]
    detail = f" {spec['rule']}: {plain(spec['detail'], 300)}" if spec["rule"] else ""
    click.echo(f"  {'the format':<22} {spec['verdict']}{detail}")
    for name, result in row["parsers"].items():
        error = f": {plain(result['error'], 200)}" if result["error"] else ""
        click.echo(f"  {name:<22} {result['outcome']}{error}")
        for summary in result["findings"]:
            click.echo(f"  {'':<22}   {plain(summary, 200)}")


def _print_end(verdicts: list[Verdict], sources: arguments.Sources) -> None:
    """Unreadable folders, links that were not followed, and a sum where there is more than one checkpoint."""
    for problem in sources.problems:
        click.echo(f"{plain(problem.file, 300)}: {click.style('NOT OK', fg='red')}\n  {problem.line()}")
    for link in sources.circular:
        click.echo(f"note: {plain(link, 300)} is a link to a folder that holds it; it is not followed", err=True)
    if len(verdicts) > 1:
        bad = sum(not verdict.ok for verdict in verdicts)
        click.echo(f"{count(len(verdicts))} checkpoints: {count(len(verdicts) - bad)} ok, {count(bad)} not ok")
