"""``harness findings``: what a campaign found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from harness.triage import store
from harness.triage.store import Stored, known


@click.command(epilog="Example: harness findings --campaign build/campaigns/main --json")
@click.option("--campaign", type=click.Path(path_type=Path), metavar="DIR", help="Default: the latest campaign.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.option("--strict", is_flag=True, help="Known findings that are still open end with status 1 too.")
def command(campaign: Path | None, as_json: bool, strict: bool) -> int:
    """List the findings of a campaign, new ones first.

    Ends with 1 when one of them is new, that is, covered by no folder in crashes/ and by no verdict rule.
    """
    folder = store.campaign_at(campaign)
    rows = sorted(
        ((stored, known(stored.signature)) for stored in store.findings(folder)), key=lambda row: row[1] is not None
    )
    if as_json:
        click.echo(json.dumps([_as_json(stored, name) for stored, name in rows], indent=1))
    else:
        _print(folder, rows)
    new = any(name is None for _, name in rows)
    return int(new or (strict and any(store.is_open(stored.signature) for stored, _ in rows)))


def _as_json(stored: Stored, name: str | None) -> dict[str, Any]:
    return {
        "id": stored.id,
        "target": stored.target,
        "oracle": stored.oracle,
        "kind": stored.kind,
        "signature": stored.signature,
        "input": str(stored.input),
        "known": name is not None,
        "summary": stored.summary,
        "covered_by": name,
        "size": stored.size,
        "count": stored.count,
        "parser": stored.parser,
        "replays": stored.about.get("replays", {"runs": 0, "held": 0}),
        "flaky": bool(stored.about.get("flaky", False)),
    }


def replays(entry: Mapping[str, Any]) -> str:
    """How often a finding showed when it ran again in fresh processes, for people."""
    done = entry.get("replays", {"runs": 0, "held": 0})
    if not done["runs"]:
        return "not replayed"
    return f"{'FLAKY: ' if entry.get('flaky') else ''}shows {done['held']} of {done['runs']} times"


def _print(folder: Path, rows: list[tuple[Stored, str | None]]) -> None:
    new = [stored for stored, name in rows if name is None]
    click.echo(f"{len(rows)} findings in {folder}, {len(new)} of them new")
    for stored, name in rows:
        state = "new  " if name is None else "known"
        times = "once" if stored.count == 1 else f"{stored.count} times"
        again = f", {replays(stored.about)}" if name is None else ""
        click.echo(f"  {state} {stored.id}  ({stored.target}, {stored.kind}, {stored.size} bytes, seen {times}{again})")
        click.echo(f"        {stored.summary[:300]}")
    if new:
        click.echo(f"Reproduce with: harness repro {new[0].id}")
        click.echo("File them all:  harness triage")
