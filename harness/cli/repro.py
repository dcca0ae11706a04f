"""``harness repro``: runs one input again, on one parser or on all."""

from __future__ import annotations

import textwrap
from typing import Any

import click

from harness.cli import _options
from harness.errors import HarnessError
from harness.findings import crashes, store
from harness.findings.crashes import Crash
from harness.parsers import api, registry
from harness.parsers.registry import Parser
from harness.programs import scripts
from harness.replay import replay
from harness.replay.replay import Replay
from harness.targets.registry import get_target
from harness.triage import filing, reproducer
from harness.triage.inputs import Named, resolve

#: A build, its replay, and whether the finding shows.
Rows = list[tuple[Parser | None, Replay, bool]]


@click.command(epilog="Example: harness repro header.duplicate-key-0c17b2d4 --parser 0.8.0-wheel")
@click.argument("what", metavar="ID|FILE")
@click.option("--target", metavar="T", help="Entry point. Default: the finding's own, or deserialize for a file.")
@_options.parser("Build to run on. Default: every build.")
@click.option("--script", is_flag=True, help="Print its reproducer as one file, and run nothing.")
@click.option("--timeout", type=click.FloatRange(min=0.1), help="Seconds. Default: 10, or the target's own limit.")
@_options.as_json()
def command(
    what: str, target: str | None, parser: str | None, script: bool, timeout: float | None, as_json: bool
) -> int:
    """Run one input again on each build, each time in a fresh process.

    Exit status 1: it reproduces. A finding must show its own signature, a file any finding. Exit status 0: it does not.
    """
    named = resolve(what)
    if script:
        return _print_script(named, as_json)
    entry = target or named.target or "deserialize"
    data = named.data()
    rows: Rows = []
    one = parser is not None and get_target(entry).uses_parser
    for build in [registry.find(parser)] if one else filing.builds(entry):
        result = replay.once(build, entry, data, timeout)
        rows.append((build, result, _shows(named, entry, result)))
    reproduces = any(shown for _, _, shown in rows)
    if as_json:
        _options.print_json(_as_json(named, entry, rows, reproduces))
    else:
        _print(named, entry, len(data), rows, reproduces)
    return int(reproduces)


def _print_script(named: Named, as_json: bool) -> int:
    """Print a reproducer that needs no other file."""
    if not named.signature:
        raise HarnessError(f"{named.path} belongs to no finding", hint="harness findings lists the ids")
    path = named.path.parent / crashes.REPRODUCER
    if path.is_file():
        text = path.read_text(encoding="utf-8")
    else:
        finding = store.finding_at(named.path.parent).finding
        text = reproducer.write(Crash(finding, status=crashes.OPEN, why=finding.why), named.data())
    text = scripts.single(text, named.data())
    if as_json:
        _options.print_json({"id": named.id, "script": text})
    else:
        click.echo(text, nl=False)
    return 0


def _shows(named: Named, target: str, result: Replay) -> bool:
    if named.signature and target == named.target:
        return named.signature in result.signatures
    return bool(result.findings)


def _as_json(named: Named, target: str, rows: Rows, reproduces: bool) -> dict[str, Any]:
    return {
        "id": named.id,
        "input": str(named.path),
        "target": target,
        "signature": named.signature,
        "reproduces": reproduces,
        "parsers": {
            build.name if build else "": {
                "outcome": result.outcome,
                "error": result.error,
                "place": result.place,
                "report": result.report,
                "reproduces": shown,
                "findings": [
                    {"signature": f.signature, "kind": f.finding.kind, "summary": f.finding.summary}
                    for f in result.findings
                ],
            }
            for build, result, shown in rows
        },
    }


def _print(named: Named, target: str, size: int, rows: Rows, reproduces: bool) -> None:
    click.echo(f"{named.id or named.path} on {target} ({size} bytes)")
    for build, result, shown in rows:
        name = f"{build.name} ({build.flavour})" if build else "the judge itself"
        error = f": {result.error[:300]}" if result.error else ""
        click.echo(f"  {name:<24} {'REPRODUCES' if shown else 'does not   '}  {result.outcome}{error}")
        if result.place:
            click.echo(f"{'':29}at {result.place}")
        for judged in result.findings:
            mark = "*" if judged.signature == named.signature else "-"
            click.echo(f"{'':27}{mark} {judged.signature}\n{'':29}{judged.finding.summary}")
        if result.report:
            click.echo(textwrap.indent(result.report.rstrip(), " " * 4))
        if build and not shown and (lacking := api.told(build.name, api.of_parser(build).lacks)):
            click.echo(f"{'':29}{lacking}")
    if reproduces:
        where = ", ".join(build.name if build else target for build, _, shown in rows if shown)
        click.echo(f"reproduces on {where}" + (f": {named.signature}" if named.signature else ""))
    else:
        click.echo("does not reproduce")
