"""``harness report``: pages and files made of what was found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from harness import paths
from harness.errors import HarnessError
from harness.files import write_named
from harness.findings import store
from harness.parsers import registry
from harness.report import defects, gather, html, issues, junit, sarif, summary
from harness.report.gather import Campaign, Row

_file = click.Path(dir_okay=False, path_type=Path)


@click.command(
    epilog="Example: harness report --campaign build/campaigns/main --sarif report.sarif --junit junit.xml --summary summary.md"
)
@click.option(
    "--campaign",
    "folders",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="What this campaign found too; may be repeated. Default: what is filed in crashes/ alone; with --html, the latest campaign.",
)
@click.option(
    "--defects",
    "page",
    type=_file,
    metavar="FILE",
    help="Open defects of the newest release, one line each, in Markdown; the long form goes to build/defects.md.",
)
@click.option("--sarif", "log", type=_file, metavar="FILE", help="SARIF 2.1.0, for code scanning.")
@click.option("--junit", "xml", type=_file, metavar="FILE", help="JUnit XML, for the tests' page of a CI system.")
@click.option("--summary", "job", type=_file, metavar="FILE", help="Markdown, for $GITHUB_STEP_SUMMARY.")
@click.option(
    "--issues", "texts", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="A text per new finding."
)
@click.option(
    "--html",
    "pages",
    is_flag=False,
    flag_value="",
    metavar="[DIR|FILE]",
    help="One HTML page for people, default build/report/index.html.",
)
@click.option(
    "--against",
    "other",
    metavar="PARSER",
    help="Run new ones on this build too: what shows there is not new, in any form.",
)
@click.option("--price", type=click.FloatRange(min=0), help="For --html: what an hour of one core costs.")
@click.option("--json", "as_json", is_flag=True, help="Print all findings, and what was written, as JSON.")
def command(
    folders: tuple[Path, ...],
    page: Path | None,
    log: Path | None,
    xml: Path | None,
    job: Path | None,
    texts: Path | None,
    pages: str | None,
    other: str | None,
    price: float | None,
    as_json: bool,
) -> int:
    """Write what was found for people and for machines, in any number of forms at once.

    Without a form it prints the open defects of the newest release (as --defects). Ends with 0 when all is written:
    whether something is new is for `harness findings` to say.
    """
    forms: dict[str, Path | None] = {"defects": page, "sarif": log, "junit": xml, "summary": job, "issues": texts}
    chosen = {name: place for name, place in forms.items() if place is not None}
    if price is not None and pages is None:
        raise HarnessError("--price is for the HTML page", hint="add --html")
    if not chosen and not as_json and pages is None:
        if folders:
            forms_there_are = "--html, --sarif, --junit, --summary, --issues or --json"
            raise HarnessError("no form was asked for", hint=f"add {forms_there_are}")
        click.echo(defects.page(), nl=False)
        return 0
    base = None if other is None else registry.find(other)
    # All forms of one run speak of the same.
    campaigns = gather.campaigns(folders or (store.campaigns()[:1] if pages is not None else ()))
    if base is not None and not campaigns:
        raise HarnessError("--against is for what campaigns found", hint="add --campaign")
    rows = gather.rows(campaigns, base)
    if pages is not None:
        chosen["html"] = html.write(
            Path(pages) if pages else paths.build_dir() / "report", campaigns, rows, price=price
        )
    told: dict[str, Any] = {}
    for name, place in chosen.items():
        words = _write(name, place, rows, campaigns, told)
        if not as_json:
            click.echo(f"{place}: {words}")
    if as_json:
        click.echo(
            json.dumps(
                _as_json(rows, campaigns) | {"written": {name: str(at) for name, at in chosen.items()}} | told, indent=1
            )
        )
    return 0


def _write(name: str, place: Path, rows: list[Row], campaigns: list[Campaign], told: dict[str, Any]) -> str:
    """Write one form; what is in it, in words, and in ``told`` what a machine wants to know of it beside its place."""
    if name == "html":
        return f"{place.stat().st_size} bytes"
    if name == "defects":
        write_named(place, defects.page())
        long = paths.build_dir() / "defects.md"
        long.parent.mkdir(parents=True, exist_ok=True)
        text = defects.details()
        write_named(long, text)
        return f"{text.count(chr(10) + '### ')} defects; the long form: {long}"
    if name == "sarif":
        found = sarif.sarif(rows, campaigns)
        write_named(place, json.dumps(found, indent=1) + "\n")
        return f"{len(found['runs'][0]['results'])} results"
    if name == "junit":
        text = junit.junit(rows, campaigns)
        write_named(place, text)
        return f"{text.count('<testcase ')} cases"
    if name == "summary":
        text = summary.summary(rows, campaigns)
        write_named(place, text)
        return f"{len(text.encode())} bytes"
    written = issues.write(rows, campaigns, place)
    told["issues"] = [{"id": one.id, "title": one.title, "file": str(one.file)} for one in written]
    return f"{len(written)} issues"


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
                **({"against": row.against} if row.against else {}),
            }
            for row in rows
        ],
        "campaigns": summary.figures(campaigns),
    }
