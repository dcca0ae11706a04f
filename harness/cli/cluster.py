"""``harness cluster``: look after the hosts of a campaign on many machines."""

from __future__ import annotations

import dataclasses
import json

import click

from harness.errors import HarnessError
from harness.parsers import registry


@click.group(epilog="Example: harness cluster doctor tcp://10.0.0.1:8786 --store s3://fuzz/night")
def command() -> None:
    """Look after the hosts of a campaign on many machines."""


@command.command(epilog="Example: harness cluster doctor tcp://10.0.0.1:8786 --store s3://fuzz/night")
@click.argument("address")
@click.option("--store", default="", metavar="URL", help="Store that each host must be able to use.")
@click.option("--parser", metavar="NAME", help="Instrumented parser to fuzz (see `harness build`).")
@click.option("--json", "as_json", is_flag=True, help="Print the facts about each host as JSON.")
def doctor(address: str, store: str, parser: str | None, as_json: bool) -> int:
    """Check each host of a scheduler: versions, parser, shared memory, disk, clock and store.

    Exit status: 0, or 2 where a host cannot take units.
    """
    from harness.engine.cluster.checks import advice
    from harness.engine.cluster.placing import Hosts, needs_dask, unsafe

    needs_dask()
    hosts = Hosts(address, registry.find(parser).content, store)
    try:
        found = hosts.facts()
    finally:
        hosts.close()
    if not found:
        raise HarnessError(
            f"{address} has no hosts", hint=f"start some: harness worker {address} --store {store or 'URL'}"
        )
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(one.facts) | {"problem": one.problem} for one in found], indent=1))
    else:
        if warning := unsafe(address):
            click.echo(warning, err=True)
        for one in found:
            said = f"left out: {one.problem}" if one.problem else advice(one.facts) or "ok"
            has = f"Python {one.facts.python}, {one.facts.shared_mb} MB shared memory, {one.facts.disk_mb} MB disk"
            click.echo(f"{one.name}: {one.slots} at a time, {has}: {said}")
    return 2 if any(one.problem for one in found) else 0
