"""``harness ledger``: cost and yield of fuzzing, and a forecast."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli import _options
from harness.ledger import joined, records, spend
from harness.ledger.growth_curve import money
from harness.ledger.records import KINDS, Ledger


@click.command(epilog="Example: harness ledger --price 0.05 --target safe_open")
@_options.campaigns("Folder of a campaign or of records; may be repeated. Default: build/ledger and all campaigns.")
@_options.targets()
@click.option("--price", type=click.FloatRange(min=0), metavar="X", help="Price of a CPU-hour, in any currency.")
@click.option(
    "--hours", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True, help="CPU-hours to forecast."
)
@_options.as_json()
def command(
    folders: tuple[Path, ...], targets: tuple[str, ...], price: float | None, hours: float, as_json: bool
) -> int:
    """Print CPU time, new discoveries and the forecast, for each target and in total.

    Files that cannot be read are listed and skipped.
    """
    ledger = records.read(*folders)
    result = collect(ledger, targets, price, hours)
    for problem in ledger.damaged:
        click.echo(f"passed over {problem}", err=True)
    if as_json:
        _options.print_json(result)
    elif not ledger.records:
        click.echo("no session of fuzzing is recorded yet; harness fuzz makes one")
    else:
        _print(result)
    return 0


def collect(ledger: Ledger, names: tuple[str, ...], price: float | None, hours: float) -> dict[str, Any]:
    """All printed figures, as plain types."""
    gains = spend.bought(ledger)
    targets: dict[str, dict[str, Any]] = {}
    for name in ledger.targets():
        if names and name not in names:
            continue
        of = ledger.of(name)
        mine = [record.targets[name] for record in of]
        curve = joined.curve(of, name)
        cpu = sum(figures.cpu_seconds for figures in mine)
        targets[name] = {
            "sessions": len(of),
            "executions": sum(figures.executions for figures in mine),
            "cpu_seconds": round(cpu, 1),
            "price": _money(cpu, price),
            "bought": {kind: sum(new[kind] for new in gains[name]) for kind in KINDS},
            "last": {kind: _marginal(curve, kind, price) for kind in ("edges", "signatures")},
            "forecast": seen.as_json(hours) if (seen := joined.forecast(of, name)) is not None else None,
        }
    counted = [record for record in ledger.records if record.targets.keys() & targets.keys()]
    # Replays belong to a session, not to a target.
    replays = 0.0 if names else sum(record.replay_cpu_seconds for record in counted)
    cpu = sum(row["cpu_seconds"] for row in targets.values()) + replays
    total = {
        "sessions": len(counted),
        "seconds": round(sum(record.seconds for record in counted), 1),
        "executions": sum(row["executions"] for row in targets.values()),
        "cpu_seconds": round(cpu, 1),
        "replay_cpu_seconds": round(replays, 1),
        "price": _money(cpu, price),
        "bought": {kind: sum(row["bought"][kind] for row in targets.values()) for kind in KINDS},
    }
    return {"total": total, "targets": targets, "damaged": ledger.damaged}


def _money(cpu_seconds: float, price: float | None) -> float | None:
    return None if price is None else float(f"{cpu_seconds / 3600 * price:.4g}")


def _marginal(curve: Any, kind: str, price: float | None) -> dict[str, Any] | None:
    last = spend.marginal(curve, kind)
    if last is None:
        return None
    each = float(f"{last.cpu_seconds:.3g}")
    cost = {"cpu_seconds_each": each, "price_each": _money(each, price)}
    return {"count": last.count, **cost, "since": round(last.since, 1)}


def _print(result: dict[str, Any]) -> None:
    total = result["total"]
    sessions = f"{total['sessions']} session{'s' * (total['sessions'] != 1)}"
    seconds = total["replay_cpu_seconds"]
    replays = f", {seconds:.1f} CPU-seconds of it replays of findings" if seconds else ""
    click.echo(f"{sessions}, {_spent(total)}{replays}; new to the ledger: {_gain(total['bought'])}")
    for name, row in result["targets"].items():
        click.echo(f"\n{name}: {_spent(row)}; new: {_gain(row['bought'])}")
        for kind, last in row["last"].items():
            if last is not None:
                one = last["count"] == 1
                which = f"the last {kind[:-1]} cost" if one else f"the last {last['count']} {kind} cost"
                cost = f", {money(last['price_each'])} in money" if last["price_each"] is not None else ""
                came = "it came" if one else "the last one came"
                click.echo(
                    f"  {which} {last['cpu_seconds_each']:g} CPU-seconds{'' if one else ' each'}{cost}; "
                    f"{came} {last['since']:g} CPU-seconds before the end"
                )
        for line in row["forecast"]["words"] if row["forecast"] else ["too short to forecast"]:
            click.echo(f"  {line}")
    click.echo("\nForecasts assume the same mutators, feedback and corpora; docs/ledger.md lists all assumptions.")


def _spent(row: dict[str, Any]) -> str:
    cost = f", {money(row['price'])} in money" if row["price"] is not None else ""
    seconds = row["cpu_seconds"]
    spent = f"{seconds / 3600:.2f} CPU-hours" if seconds >= 360 else f"{seconds:.1f} CPU-seconds"
    return f"{row['executions']} executions, {spent}{cost}"


def _gain(bought: dict[str, int]) -> str:
    names = {"edges": "edge", "features": "feature", "semantic": "semantic feature", "signatures": "signature"}
    return ", ".join(f"{bought[kind]} {name}{'s' * (bought[kind] != 1)}" for kind, name in names.items())
