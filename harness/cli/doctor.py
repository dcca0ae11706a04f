"""``harness doctor``: checks the tools and builds that fuzzing needs."""

from __future__ import annotations

import dataclasses

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.cli import _options
from harness.parsers.checks import Check, checks

_MARKS = {"ok": "[green]ok[/]", "warn": "[yellow]warn[/]", "fail": "[red]FAIL[/]"}


@click.command(epilog="Example: harness doctor --json")
@_options.as_json("Print the checks as JSON: name, status, detail, hint.")
def command(as_json: bool) -> int:
    """Check toolchain, atheris, native counters and builds; print a remedy for each failure.

    Exit status 0: fuzzing can start. Exit status 2: it cannot. A warning is about something optional.
    """
    console = Console(stderr=True)
    done: list[Check] = []
    with console.status("looking") as status:
        for check in checks():
            done.append(check)
            status.update(f"{check.name}: {check.status}")
    if as_json:
        _options.print_json([dataclasses.asdict(check) for check in done])
    else:
        _show(done)
    return 2 if any(check.status == "fail" for check in done) else 0


def _show(done: list[Check]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    for check in done:
        table.add_row(_MARKS[check.status], check.name, escape(check.detail))
        if check.hint:
            table.add_row("", "", f"[bold]{escape(check.hint)}[/]")
    Console().print(table)
    failed = sum(check.status == "fail" for check in done)
    click.echo(f"{failed} of {len(done)} checks failed" if failed else "ready to fuzz")
