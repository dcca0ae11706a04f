"""``harness harden``: fuzz until the forecast promises too little."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Container, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from harness import paths
from harness.cli import fuzz
from harness.cli.fuzz import Duration
from harness.engine.campaign import states
from harness.engine.campaign.main import CampaignSettings
from harness.errors import HarnessError
from harness.ledger import joined, records
from harness.ledger.forecast import KindForecast, together
from harness.ledger.growth_curve import Interval
from harness.ledger.records import Record
from harness.parsers import registry

#: By target, the forecast of its edges and the number of further executions; None where its curve tells too little.
Outlook = dict[str, tuple[KindForecast, float] | None]

# A shorter slice, in seconds, would be all start-up.
_LEAST = 1.0
# Least number of slices for a decision.
_SLICES = 2


@click.command(epilog="Example: harness harden --until-edges-per-hour 1 --max-time 2h --target deserialize")
@click.option(
    "--until-edges-per-hour",
    "threshold",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    metavar="N",
    help="Stop when one more hour is expected to reach fewer new edges than this, over all targets.",
)
@click.option(
    "--max-time",
    "limit",
    type=Duration(),
    default="2h",
    show_default=True,
    help="Start no slice after this time. The last slice takes half its time (at least 15 s) longer where targets "
    "have had no turn. Its end adds up to 15 s, and replays of new findings at most a minute.",
)
@click.option("--slice", "span", type=Duration(), default="5m", show_default=True, help="Time between two forecasts.")
@click.option("--target", "names", multiple=True, metavar="T", help="Target to fuzz; may be repeated. Default: all.")
@click.option("--parser", metavar="NAME", help="Instrumented parser to fuzz (see `harness build`).")
@click.option("--workers", type=click.IntRange(1, 256), help="Worker processes at a time. Default: one per core.")
@click.option(
    "--seed", type=click.IntRange(1, 2**30), default=1, show_default=True, help="Random seed of the first slice."
)
@click.option(
    "--campaign", "folder", type=click.Path(path_type=Path), help="Campaign folder. Default: build/campaigns/harden."
)
@click.option(
    "--ledger", type=click.Path(path_type=Path), help="Folder for the slices' records. Default: build/ledger."
)
@click.option("--no-ui", is_flag=True, help="Print lines instead of the live view.")
@click.option("--json", "as_json", is_flag=True, help="Print the reason to stop and the forecasts as JSON at the end.")
def command(
    threshold: float,
    limit: float,
    span: float,
    names: tuple[str, ...],
    parser: str | None,
    workers: int | None,
    seed: int,
    folder: Path | None,
    ledger: Path | None,
    no_ui: bool,
    as_json: bool,
) -> int:
    """Fuzz in slices until the next hour is expected to reach too few new edges, or the time is up.

    The forecast comes from the ledger of all slices. It is for an hour of the clock with the same number of processes and the same
    shares of the targets. Exit status: 0 (nothing new), 1 (a new finding) or 3 (a named target never ran). The reason to stop is
    printed.
    """
    campaign = (folder or paths.campaigns_dir() / "harden").resolve()
    settings = CampaignSettings(
        folder=campaign,
        targets=fuzz.choose(names),
        others=fuzz.others(names),
        parser=registry.find(parser).name,
        workers=workers or len(os.sched_getaffinity(0)),
    )
    ends = time.monotonic() + limit
    sessions: list[dict[str, Any]] = []
    reason = ""
    while not reason:
        seconds = min(span, max(ends - time.monotonic(), _LEAST))
        outcome = fuzz.drive(replace(settings, seconds=seconds, seed=seed + len(sessions)), ledger, no_ui=no_ui)
        outcome.complain(names)
        sessions.append(outcome.session)
        own = _records(sessions, campaign, ledger or records.folder())
        outlook = _outlook(own, settings.workers, outcome.session["left_out"])
        click.echo(_words(outlook, own, fuzz.findings(sessions)), err=True)
        if outcome.session["interrupted"]:
            reason = "interrupted"
        elif len(own) >= _SLICES and (total := _total(outlook)) is not None and total.estimate < threshold:
            reason = "forecast"
        elif ends - time.monotonic() < _LEAST:
            reason = "time"
    said = {
        "forecast": f"one more hour is expected to reach fewer than {threshold:g} new edges",
        "time": f"the time is up, and one more hour is not known to reach fewer than {threshold:g} new edges",
        "interrupted": "it was interrupted",
    }[reason]
    found = fuzz.findings(sessions)
    if as_json:
        left_out = {name: outcome.session[name] for name in ("left_out", "lacks")}
        left_out["not_run"] = states.as_json(sessions)
        click.echo(json.dumps(_as_json(reason, threshold, own, outlook, campaign) | left_out | _found(found), indent=1))
    else:
        fuzz.report(sessions, campaign)
        click.echo(f"harden: stopped after {_slices(own)}: {said}")
    fuzz.never_ran(sessions, names)
    return int(bool(_new(found)))


def _records(sessions: Sequence[dict[str, Any]], campaign: Path, ledger: Path) -> list[Record]:
    """The slices' records in the ledger and the campaign, each once. Raises HarnessError where one is missing."""
    places = [place for place in (ledger, campaign) if any(place.glob("*.json"))]
    ids = {records.identity(session) for session in sessions}
    own = [one for one in records.entries(*places) if one.id in ids] if places else []
    if len(own) < len(ids):
        raise HarnessError(
            "the slice left no record behind", hint=f"see {campaign}/campaign.json, and the messages above"
        )
    return own


def _new(found: dict[str, dict[str, Any]]) -> list[str]:
    return sorted(name for name, entry in found.items() if not entry.get("known"))


def _found(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {"new": _new(found), "findings": found}


def _outlook(own: Sequence[Record], processes: int, left_out: Container[str] = ()) -> Outlook:
    """The outlook for an hour of the clock, shared by the targets as the time so far.

    It excludes targets that the last slice has ``left_out``, as the next hour cannot drive them either. A target that had no turn
    yet is unknown.
    """
    driven = sorted(name for name in own[-1].targets if name not in left_out)
    spent = {name: sum(one.targets[name].cpu_seconds for one in own if name in one.targets) for name in driven}
    whole = sum(spent.values())
    found: Outlook = {}
    for name in driven:
        forecast = joined.forecast(own, name)
        known = forecast is not None and "edges" in forecast.kinds and whole > 0
        hour = 3600 * processes * spent[name] / whole if known else 0.0
        found[name] = (forecast.kinds["edges"], forecast.rate * hour) if forecast is not None and known else None
    return found


def _total(outlook: Outlook) -> Interval | None:
    """Expected new edges of all targets; None while one is unknown."""
    known = [one for one in outlook.values() if one is not None]
    return together(known) if known and len(known) == len(outlook) else None


def _one(outlook: Outlook, name: str) -> Interval | None:
    """Expected new edges of one target; None where its curve tells too little."""
    known = outlook[name]
    return known[0].more(known[1]) if known is not None else None


def _slices(own: Sequence[Record]) -> str:
    return f"{len(own)} slice{'s' * (len(own) != 1)}"


def _words(outlook: Outlook, own: Sequence[Record], found: dict[str, dict[str, Any]]) -> str:
    spent = f"harden: {_slices(own)}, {sum(one.spent for one in own):.0f} CPU-seconds"
    spent += f", findings: {len(_new(found))} new, {len(found) - len(_new(found))} known"
    total = _total(outlook)
    if total is None:
        unknown = ", ".join(name for name, one in outlook.items() if one is None)
        return f"{spent}; too little is known yet of {unknown} for a forecast"
    most = max(outlook, key=lambda name: one.estimate if (one := _one(outlook, name)) else 0.0)
    return f"{spent}; one more hour: {total.estimate:.1f} new edges ({total.low:.0f} to {total.high:.0f}, 90 %), most by {most}"


def _as_json(reason: str, threshold: float, own: Sequence[Record], outlook: Outlook, campaign: Path) -> dict[str, Any]:
    total = _total(outlook)
    return {
        "stopped": reason,
        "threshold": threshold,
        "slices": len(own),
        "cpu_seconds": round(sum(one.spent for one in own), 1),
        "edges_in_one_more_hour": total.as_json() if total is not None else None,
        "targets": {name: one.as_json() if (one := _one(outlook, name)) else None for name in outlook},
        "campaign": str(campaign),
    }
