"""``harness bisect``: the first bad release, or commit, of a filed finding."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import click

from harness.cli import _options
from harness.errors import HarnessError
from harness.findings import crashes
from harness.findings.crashes import Crash
from harness.targets import known_findings
from harness.triage import bisect
from harness.triage.bisect import History


@click.command(epilog="Example: harness bisect roundtrip.written-38600fbb")
@click.argument("names", nargs=-1, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="Every open finding.")
@click.option("--release", "releases", multiple=True, metavar="X.Y.Z", help="Only this release; may be repeated. "
              f"Default: all from {bisect.OLDEST} to the newest that have a wheel here.")  # fmt: skip
@click.option("--write", is_flag=True, help="Store the releases that show it in finding.toml, finding by finding.")
@click.option("--source", type=_options.PATH, metavar="DIR", help="A clone of safetensors: find the commit.")
@click.option("--good", metavar="REV", help="With --source: a revision without the defect.")
@click.option("--bad", metavar="REV", default="HEAD", show_default=True, help="With --source: one with it.")
@_options.as_json()
def command(
    names: tuple[str, ...], everything: bool, releases: tuple[str, ...], write: bool, source: Path | None,
    good: str | None, bad: str, as_json: bool,
) -> int:  # fmt: skip
    """Find the first release that shows a finding, by running its reproducer on the released wheels.

    Each wheel runs in a process of its own, without the harness. A release that lacks the API cannot tell. Answers need not
    be monotone: the first bad release is that of the newest run of bad ones. Exit status 1: a release shows one. Exit status
    0: none does. Exit status 2: of one of them, no release can tell.
    """
    filed = crashes.crashes()
    say = _progress(as_json)
    chosen = _tellable(filed, say) if everything else [_filed(name, filed) for name in names]
    if not chosen or (everything and names):
        raise HarnessError("no finding was named", hint="harness bisect ID, or harness bisect --all")
    if source is not None:
        return _commit(chosen, source, good, bad, say, as_json)
    found = []
    for crash, history in zip(chosen, bisect.histories(chosen, _releases(releases, say), say), strict=True):
        if write:
            _write(crash, history)
        found.append(history)
    if as_json:
        _options.print_json([_row(history) for history in found])
    else:
        for history in found:
            _print(history)
    if any(history.releases for history in found):
        return 1
    told = (any(one.answer == bisect.RIGHT for one in history.answers.values()) for history in found)
    return 0 if all(told) else 2


def _progress(as_json: bool) -> Callable[[str], None]:
    live = sys.stderr.isatty()

    def say(line: str) -> None:
        click.echo(f"\r\033[K{line[:110]}" if live else line, err=True, nl=not live)

    return say


def _filed(name: str, filed: list[Crash]) -> Crash:
    found = [crash for crash in filed if crash.id.startswith(name)]
    found = [crash for crash in found if crash.id == name] or found
    if len(found) != 1:
        fault = "names several filed findings" if found else "is no filed finding"
        raise HarnessError(f"{name!r} {fault}", hint="see crashes/; harness triage files new findings")
    return found[0]


def _tellable(filed: list[Crash], say: Callable[[str], None]) -> list[Crash]:
    """The open findings that a wheel shows, and whose frameworks are installed here."""
    kept = []
    for crash in filed:
        if crash.status == crashes.OPEN:
            reason = known_findings.missing(crash)
            if not reason and crash.builds and "wheel" not in crash.builds:
                reason = "only checked builds show it"
            if reason:
                say(f"left out: {crash.id}: {reason}")
            else:
                kept.append(crash)
    return kept


def _releases(named: tuple[str, ...], say: Callable[[str], None]) -> list[str]:
    if named:
        for release in named:
            bisect.site(release, say)
        return sorted(named, key=lambda version: [int(part) for part in version.split(".")])
    kept = []
    for release in bisect.released():
        try:
            bisect.site(release, say)
            kept.append(release)
        except HarnessError as error:
            say(f"left out: {error}")
    return kept


def _write(crash: Crash, history: History) -> None:
    if history.releases:
        crashes.write_about(replace(crash, releases=history.releases), crash.folder)


def _row(history: History) -> dict[str, object]:
    answers = {name: asdict(one) for name, one in history.answers.items()}
    return {"id": history.id, "first": history.first, "regression": history.regression, "releases": history.releases, "answers": answers}  # fmt: skip


def _print(history: History) -> None:
    click.echo(f"{history.id}: {bisect.told(history)}")
    if history.first:
        more = (
            "a regression: an earlier release is right"
            if history.regression
            else "no earlier release is known to be right"
        )
        click.echo(f"  first bad release {history.first}; {more}")
    for name, one in history.answers.items():
        if one.reason:
            click.echo(f"  {name}: {one.reason}")


def _commit(
    chosen: list[Crash], source: Path, good: str | None, bad: str, say: Callable[[str], None], as_json: bool
) -> int:
    if good is None or len(chosen) != 1:
        raise HarnessError("a checkout needs one finding and a good revision", hint="--source DIR --good v0.7.0 ID")
    commit = bisect.commits(chosen[0], source, good, bad, say)
    if as_json:
        _options.print_json({"id": chosen[0].id, "commit": commit})
    else:
        click.echo(f"{chosen[0].id}: the first bad commit is {commit}")
    return 1
