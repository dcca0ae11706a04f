"""``harness report``: writes findings as pages and files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from harness import paths
from harness.cli import _options
from harness.cli._options import FC
from harness.errors import HarnessError
from harness.files import write_named
from harness.findings import defects as records
from harness.findings import store
from harness.parsers import registry
from harness.report import defects, gather, html, issues, junit, record, sarif, summary, upstream
from harness.report.gather import Campaign, Row


def _file(option: str, text: str) -> Callable[[FC], FC]:
    return click.option(option, type=_options.FILE, metavar="FILE", help=text)


@click.command(
    epilog="Example: harness report --campaign build/campaigns/main --sarif report.sarif --junit junit.xml --summary summary.md"
)
@_options.campaigns(
    "Add the findings of this campaign; may be repeated. Default: crashes/ alone; with --html, the latest."
)
@_file(
    "--defects",
    "Open defects of the newest release, one line each, in Markdown; the long form goes to build/defects.md.",
)
@_file("--sarif", "SARIF 2.1.0, for code scanning.")
@_file("--junit", "JUnit XML, for the tests' page of a CI system.")
@_file("--summary", "Markdown, for $GITHUB_STEP_SUMMARY.")
@click.option(
    "--issues", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="A text per new finding."
)
@click.option(
    "--html",
    "page",
    is_flag=False,
    flag_value="",
    metavar="[DIR|FILE]",
    help="One HTML page. Default: build/report/index.html.",
)
@click.option(
    "--against", metavar="PARSER", help="Run new findings on this build, too: those that show there are not new."
)
@click.option(
    "--upstream",
    "named",
    metavar="RECORD",
    help="Print the text of an issue for upstream about this defect, at most 40 lines. No other form goes with it.",
)
@click.option("--patch", is_flag=True, help="With --upstream: print the fix as a patch of the newest release instead.")
@click.option(
    "--every-target", is_flag=True, help="Say of each target that no --campaign asked for that it did not run, too."
)
@click.option("--price", type=click.FloatRange(min=0), help="For --html: price of a CPU-hour, in any currency.")
@_options.as_json("Print all findings, and the written files, as JSON.")
def command(
    folders: tuple[Path, ...],
    page: str | None,
    against: str | None,
    named: str | None,
    patch: bool,
    every_target: bool,
    price: float | None,
    as_json: bool,
    **forms: Path | None,
) -> int:
    """Write the findings for people and for machines, in any number of forms at once.

    Without a form, the command prints the open defects of the newest release (as --defects). Exit status 0: all is written.
    `harness findings` has an exit status for new findings.
    """
    chosen = {name: place for name, place in forms.items() if place is not None}
    if named is not None:
        if chosen or folders or page is not None:
            raise HarnessError("--upstream is a text of its own", hint="leave the other forms and campaigns out")
        return _upstream(named, patch, as_json)
    if patch:
        raise HarnessError("--patch is the fix of one record", hint="add --upstream RECORD")
    if price is not None and page is None:
        raise HarnessError("--price is for the HTML page", hint="add --html")
    if not chosen and not as_json and page is None:
        if folders:
            raise HarnessError(
                "no form was asked for", hint="add --html, --sarif, --junit, --summary, --issues or --json"
            )
        click.echo(defects.page(), nl=False)
        return 0
    base = None if against is None else registry.find(against)
    campaigns = gather.campaigns(folders or (store.campaigns()[:1] if page is not None else ()))
    if base is not None and not campaigns:
        raise HarnessError("--against needs findings of a campaign", hint="add --campaign")
    rows = gather.rows(campaigns, base)
    if every_target:
        campaigns += gather.unasked(campaigns)
    if page is not None:
        place = Path(page) if page else paths.build_dir() / "report"
        chosen["html"] = html.write(place, campaigns, rows, price=price)
    told: dict[str, Any] = {}
    for name, place in chosen.items():
        words = _write(name, place, rows, campaigns, told)
        if not as_json:
            click.echo(f"{place}: {words}")
    if as_json:
        written = {name: str(at) for name, at in chosen.items()}
        _options.print_json(_as_json(rows, campaigns) | {"written": written} | told)
    return 0


def _upstream(name: str, patch: bool, as_json: bool) -> int:
    defect = records.find(name)
    if patch and not defect.edits:
        raise HarnessError(f"the record {name} has no fix", hint="leave --patch out")
    text, fix = upstream.text(defect), record.patch(defect) if defect.edits else ""
    if as_json:
        told = {"defect": name, "title": upstream.title(defect), "private": upstream.private(defect), "text": text}
        _options.print_json(told | {"patch": fix})
    else:
        click.echo(fix if patch else text, nl=patch)
    return 0


def _write(name: str, place: Path, rows: list[Row], campaigns: list[Campaign], told: dict[str, Any]) -> str:
    """Write one form; its content in words, and in ``told`` the parts of the JSON beside its place."""
    if name == "html":
        return f"{place.stat().st_size} bytes"
    if name == "issues":
        written = issues.write(rows, campaigns, place)
        told["issues"] = [{"id": one.id, "title": one.title, "file": str(one.file)} for one in written]
        return f"{len(written)} issues"
    if name == "defects":
        long = paths.build_dir() / "defects.md"
        long.parent.mkdir(parents=True, exist_ok=True)
        found = defects.overview()
        text = defects.page(found)
        write_named(long, defects.details(found))
        words = f"{len(found.counted)} defects; the long form: {long}"
    elif name == "sarif":
        log = sarif.sarif(rows, campaigns)
        text, words = json.dumps(log, indent=1) + "\n", f"{len(log['runs'][0]['results'])} results"
    elif name == "junit":
        text = junit.junit(rows, campaigns)
        words = f"{text.count('<testcase ')} cases"
    else:
        text = summary.summary(rows, campaigns)
        words = f"{len(text.encode())} bytes"
    write_named(place, text)
    return words


def _as_json(rows: list[Row], campaigns: list[Campaign]) -> dict[str, Any]:
    return {
        "findings": [
            {
                "id": row.id,
                "target": row.target,
                "oracle": row.oracle,
                "kind": row.kind,
                "signature": row.signature,
                "severity": row.severity,
                "state": row.state,
                "rule": row.verdict.name if row.verdict else None,
                "summary": row.summary,
                "flaky": row.flaky,
                "campaigns": sorted({one.campaign for one in row.seen}),
                "repeat": row.repeat,
                **record.named(row.defect),
                **({"against": row.compared_with} if row.compared_with else {}),
            }
            for row in rows
        ],
        "campaigns": summary.figures(campaigns),
        "defects": [record.about(one) for one in records.defects()],
    }
