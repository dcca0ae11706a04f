"""``harness locate``: names the functions that a finding comes from."""

from __future__ import annotations

from typing import Any

import click

from harness.cli import _options
from harness.triage.inputs import Named, resolve
from harness.triage.locate import SHOWN, Located, locate

_WHY = {
    "frame": "frame of the panic or report",
    "raised": "an exception passed it",
    "ran": "runs with the finding",
    "left out": "left out with the finding",
}


@click.command(epilog="Example: harness locate raise-bb43e5ed")
@click.argument("what", metavar="ID")
@_options.parser("Coverage build, or the build it belongs to. Default: that of the newest release.")
@_options.as_json()
def command(what: str, parser: str | None, as_json: bool) -> int:
    """Name five functions that a finding may come from.

    A frame of a panic or of a sanitizer's report comes first. Coverage ranks the others: the input of the finding runs beside
    inputs that are one edit away. `harness build --coverage` makes the build.
    """
    named = resolve(what)
    found = locate(named, parser)
    if as_json:
        _options.print_json(_as_json(named, found))
    else:
        _print(named, found)
    return 0


def _as_json(named: Named, found: Located) -> dict[str, Any]:
    return {
        "id": named.id,
        "target": named.target,
        "signature": named.signature,
        "parser": found.parser.name,
        "shown_by": found.shown_by,
        "failing": found.failing,
        "passing": found.passing,
        "same": found.same,
        "differs": found.differs,
        "suspects": [
            {
                "rank": rank,
                "score": round(one.score, 3),
                "function": one.place.function,
                "file": one.place.file,
                "line": one.line,
                "why": one.why,
            }
            for rank, one in enumerate(found.suspects[:SHOWN], 1)
        ],
    }


def _print(named: Named, found: Located) -> None:
    click.echo(f"{named.id}  {named.signature}")
    judge = "" if found.shown_by == found.parser.name else f"; {found.shown_by} tells which"
    click.echo(
        f"coverage of {found.parser.name}: {found.failing + 1} inputs with the finding, {found.passing} without{judge}"
    )
    width = max((len(one.place.function) for one in found.suspects[:SHOWN]), default=0)
    for rank, one in enumerate(found.suspects[:SHOWN], 1):
        place = f"{one.place.file}:{one.line}"
        click.echo(f"  {rank}  {one.score:4.2f}  {one.place.function:<{width}}  {place}  ({_WHY[one.why]})")
    if not found.passing:
        click.echo("every neighbour shows the finding: the order rests on the executed code alone")
    elif found.same:
        click.echo(
            f"coverage does not differ from that of {found.same} inputs without the finding: "
            "the order rests on the other inputs and on the size of the functions"
        )
