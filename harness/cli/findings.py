"""``harness findings``: lists the findings of a campaign."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from harness.cli import _options
from harness.errors import HarnessError
from harness.findings import defects, store
from harness.findings.defects import Defect
from harness.findings.store import Stored
from harness.parsers import registry
from harness.report import record
from harness.targets import known_findings
from harness.targets.known_findings import known
from harness.triage import compare_builds

_WORDS = {
    compare_builds.ONLY_HERE: "does not show on {}: new against it",
    compare_builds.THERE_TOO: "shows on {} too: not new against it",
    compare_builds.NOT_AGAIN: "shows neither on {} nor again on its own build: not counted",
}


@click.command(epilog="Example: harness findings --campaign build/campaigns/main --json")
@_options.campaign()
@_options.as_json()
@click.option("--strict", is_flag=True, help="Exit status 1 for known findings that are open, too.")
@click.option(
    "--against",
    "other",
    metavar="PARSER",
    help="Run new findings on this build, too: those that show there are not new.",
)
def command(campaign: Path | None, as_json: bool, strict: bool, other: str | None) -> int:
    """List the findings of a campaign, new ones first.

    Exit status 1: a finding is new, that is, no folder in crashes/ and no verdict rule covers it. With --against, a finding
    that shows on that build too, or that does not show again, does not count. On a mended parser, the findings of a defect
    whose fix was applied count as well.
    """
    if strict and other is not None:
        raise HarnessError("--strict and --against exclude each other", hint="leave one of them out")
    base = None if other is None else registry.find(other)
    folder = store.campaign_at(campaign)
    ledger = store.sessions(folder)
    found = [replace(stored, count=store.count(stored, ledger)) for stored in store.findings(folder)]
    rows = sorted(((stored, known(stored.signature)) for stored in found), key=lambda row: row[1] is not None)
    unknown = [stored for stored, name in rows if name is None]
    states = {} if base is None else {stored.id: state for stored, state in compare_builds.compare(unknown, base)}
    owners = defects.owners(defects.defects())
    unmended = known_findings.unmended(found)
    if as_json:
        _options.print_json(
            [
                _as_json(stored, name, other, states)
                | record.named(owners.get(name or ""))
                | _fix(unmended.get(stored.id))
                for stored, name in rows
            ]
        )
    else:
        _print(folder, rows, other, states, owners)
        for id_, defect in unmended.items():
            click.echo(f"{id_} shows although the fix of {defect} was applied")
    if base is not None:
        return int(compare_builds.ONLY_HERE in states.values())
    new = bool(unknown) or bool(unmended)
    return int(new or (strict and any(known_findings.is_open(stored.signature) for stored, _ in rows)))


def _fix(record: str | None) -> dict[str, str]:
    return {} if record is None else {"unmended": record}


def _as_json(stored: Stored, name: str | None, other: str | None, states: dict[str, str]) -> dict[str, Any]:
    compared = {"against": {"parser": other, "shows": states[stored.id]}} if stored.id in states else {}
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
        "replays": stored.fields.get("replays", {"runs": 0, "held": 0}),
        "flaky": bool(stored.fields.get("flaky", False)),
        **compared,
    }


def seen(count: int) -> str:
    """Number of executions that showed a finding, in words."""
    return "seen once" if count == 1 else f"seen {count} times"


def replays(entry: Mapping[str, Any]) -> str:
    """Replays in fresh processes that showed a finding, in words."""
    done = entry.get("replays", {"runs": 0, "held": 0})
    if not done["runs"]:
        return "not replayed"
    return f"{'FLAKY: ' if entry.get('flaky') else ''}shows {done['held']} of {done['runs']} times"


def _print(
    folder: Path,
    rows: list[tuple[Stored, str | None]],
    other: str | None,
    states: dict[str, str],
    owners: Mapping[str, Defect],
) -> None:
    new = [stored for stored, name in rows if name is None]
    click.echo(f"{len(rows)} findings in {folder}, {len(new)} of them new")
    for stored, name in rows:
        state = "new  " if name is None else "known"
        again = f", {replays(stored.fields)}" if name is None else ""
        click.echo(
            f"  {state} {stored.id}  ({stored.target}, {stored.kind}, {stored.size} bytes, {seen(stored.count)}{again})"
        )
        click.echo(f"        {stored.summary[:300]}")
        if (owner := owners.get(name or "")) is not None:
            click.echo(f"        defect {owner.name} ({owner.severity}): {owner.title}")
        if stored.id in states:
            click.echo(f"        {_WORDS[states[stored.id]].format(other)}")
    if new:
        click.echo(f"Reproduce with: harness repro {store.reference(folder, new[0].id)}")
        click.echo(f"File them all:  harness triage{store.option(folder)}")
