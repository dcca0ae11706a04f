"""``harness doctor``: checks the tools and builds that fuzzing needs."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.cli import _options
from harness.parsers.checks import Check, checks
from harness.programs import guarded
from harness.targets.registry import all_targets, broken_targets

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
        for check in itertools.chain(checks(), _guards(), _targets()):
            done.append(check)
            status.update(f"{check.name}: {check.status}")
    if as_json:
        _options.print_json([dataclasses.asdict(check) for check in done])
    else:
        _show(done)
    return 2 if any(check.status == "fail" for check in done) else 0


def _guards() -> Iterator[Check]:
    """Guarded memory: whether the machine has it. Without it, everything else runs."""
    reason = guarded.why_not()
    if reason:
        hint = "use Linux with glibc, and a container that allows mprotect"
        yield Check("guard pages", "warn", f"not driven: runs in guarded memory ({reason})", hint)
    else:
        yield Check("guard pages", "ok", "calls run beside inaccessible pages")


def _targets() -> Iterator[Check]:
    """Targets: how many can run here, the parts that cannot, and broken ones of other packages."""
    found = all_targets()
    missing = {name: reason for name, target in found.items() if (reason := target.missing())}
    lacking = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
    detail = f"{len(found) - len(missing)} of {len(found)} can run here"
    yield Check("targets", "ok", f"{detail} ({lacking})" if lacking else detail)
    for name, target in found.items():
        if name not in missing and (note := target.note()):
            yield Check(f"target {name}", "ok", f"partly: {note}")
    for name, reason in broken_targets().items():
        yield Check(f"target {name}", "warn", reason, "mend or uninstall its package; campaigns go on without it")


def _show(done: list[Check]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    for check in done:
        table.add_row(_MARKS[check.status], check.name, escape(check.detail))
        if check.hint:
            table.add_row("", "", f"[bold]{escape(check.hint)}[/]")
    Console().print(table)
    failed = sum(check.status == "fail" for check in done)
    click.echo(f"{failed} of {len(done)} checks failed" if failed else "ready to fuzz")
