"""``harness report``: pages made of what was found."""

from __future__ import annotations

from pathlib import Path

import click

from harness.files import write_named
from harness.report import defects


@click.command(epilog="Example: harness report --defects docs/defects.md")
@click.option(
    "--defects",
    "place",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where to write it; default: print it.",
)
def command(place: Path | None) -> int:
    """Say what is wrong with the newest release today: every open finding in crashes/, by severity, in Markdown.

    Findings that are probably one defect seen through several entry points stand together.
    """
    text = defects.page()
    if place is None:
        click.echo(text, nl=False)
        return 0
    write_named(place, text)
    click.echo(f"{place}: {text.count(chr(10) + '### ')} defects")
    return 0
