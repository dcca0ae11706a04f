"""``harness report``: pages made of what was found."""

from __future__ import annotations

from pathlib import Path

import click

from harness import paths
from harness.errors import HarnessError
from harness.files import write_named
from harness.report import defects
from harness.report import html as report
from harness.triage import store


@click.command(epilog="Example: harness report --html build/report --campaign build/campaigns/main")
@click.option(
    "--defects",
    "place",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where to write the page of open defects; default: print it.",
)
@click.option(
    "--html",
    "html",
    is_flag=False,
    flag_value="",
    metavar="[DIR|FILE]",
    help="Write the report of campaigns, one HTML page; default: build/report/index.html.",
)
@click.option(
    "--campaign",
    "campaigns",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="For --html; may be repeated (runs of the same targets are drawn with bands). Default: the latest campaign.",
)
@click.option("--price", type=click.FloatRange(min=0), help="For --html: what an hour of one core costs.")
def command(place: Path | None, html: str | None, campaigns: tuple[Path, ...], price: float | None) -> int:
    """Say what is wrong with the newest release today: every open finding in crashes/, by severity, in Markdown.

    Findings that are probably one defect seen through several entry points stand together. With --html, write one page
    that can be opened anywhere: what is new, findings, coverage, growth, spend.
    """
    if html is None and (campaigns or price is not None):
        raise HarnessError("--campaign and --price are for a report of campaigns", hint="add --html")
    if html is not None:
        page = report.write(Path(html) if html else paths.build_dir() / "report", _campaigns(campaigns), price=price)
        click.echo(f"page: {page}")
        if place is None:
            return 0
    text = defects.page()
    if place is None:
        click.echo(text, nl=False)
        return 0
    write_named(place, text)
    click.echo(f"{place}: {text.count(chr(10) + '### ')} defects")
    return 0


def _campaigns(chosen: tuple[Path, ...]) -> list[Path]:
    """The campaigns that were named, each once; else the latest; none where there is none yet."""
    if chosen:
        return list(dict.fromkeys(store.campaign_at(folder) for folder in chosen))
    return store.campaigns()[:1]
