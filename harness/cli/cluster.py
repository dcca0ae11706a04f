"""``harness cluster``: look after the hosts of a campaign on many machines."""

from __future__ import annotations

import dataclasses
import socket

import click

from harness.cli import _options
from harness.errors import HarnessError
from harness.parsers import registry


@click.group(epilog="Example: harness cluster doctor tcp://10.0.0.1:8786 --store s3://fuzz/night")
def command() -> None:
    """Look after the hosts of a campaign on many machines."""


@command.command(epilog="Example: harness cluster doctor tcp://10.0.0.1:8786 --store s3://fuzz/night")
@click.argument("address")
@click.option("--store", default="", metavar="URL", help="Store that each host must be able to use.")
@_options.parser("Instrumented parser to fuzz (see `harness build`).")
@_options.as_json("Print the facts about each host as JSON.")
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
        _options.print_json([dataclasses.asdict(one.facts) | {"problem": one.problem} for one in found])
    else:
        if warning := unsafe(address):
            click.echo(warning, err=True)
        for one in found:
            said = f"left out: {one.problem}" if one.problem else advice(one.facts) or "ok"
            has = f"Python {one.facts.python}, {one.facts.shared_mb} MB shared memory, {one.facts.disk_mb} MB disk"
            click.echo(f"{one.name}: {one.slots} at a time, {has}: {said}")
    return 2 if any(one.problem for one in found) else 0


@command.command(epilog="Example: harness cluster prune --store s3://fuzz/night --target deserialize")
@click.option("--store", required=True, metavar="URL", help="Folder or s3://BUCKET/PREFIX of the campaign.")
@_options.targets("Only this target; may be repeated. Default: all in the store.")
@_options.parser("Instrumented parser that runs the inputs. Default: the newest release.")
@_options.as_json("Print JSON instead of lines.")
def prune(store: str, targets: tuple[str, ...], parser: str | None, as_json: bool) -> None:
    """Delete inputs of a store that reach nothing the others do not. Every region stays. Hosts may run meanwhile."""
    from harness.coverage import shared
    from harness.engine.campaign.shared_unit import identity
    from harness.store import records
    from harness.store.objects import open_store

    objects, build = open_store(store), registry.find(parser, flavour="sancov")
    records.join(objects, identity(build), targets)
    chosen = targets or tuple(shared.targets(objects))
    if not chosen:
        raise HarnessError(f"{store} has no inputs", hint="name the store of a campaign")
    changes = [shared.prune(objects, target, build, socket.gethostname()) for target in chosen]
    if as_json:
        _options.print_json([dataclasses.asdict(change) for change in changes])
        return
    for one in changes:
        click.echo(
            f"{one.target}: {one.before} inputs before, {one.after} after; regions {one.regions_before} to {one.regions_after}"
        )
