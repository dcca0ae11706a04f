"""``harness cluster``: look after hosts and store of a campaign on many machines."""

from __future__ import annotations

import dataclasses
import socket
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console

from harness.cli import _options
from harness.errors import HarnessError
from harness.parsers import registry
from harness.targets.registry import all_targets

if TYPE_CHECKING:
    from harness.tasks.kinds import Place
    from harness.tasks.run import Done

FC = TypeVar("FC", bound=Callable[..., Any])


@click.group(epilog="Example: harness cluster doctor tcp://10.0.0.1:8786 --store s3://fuzz/night")
def command() -> None:
    """Look after hosts and store of a campaign on many machines."""


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


@command.command(epilog="Example: harness cluster begin --store s3://fuzz")
@click.option("--store", required=True, metavar="URL", help="Folder or s3://BUCKET/PREFIX that holds campaigns.")
@_options.parser("Instrumented parser of the campaign. Default: the newest release.")
@_options.as_json("Print the campaign as JSON.")
def begin(store: str, parser: str | None, as_json: bool) -> None:
    """Begin a campaign on any targets in a prefix of its own, or find the one there. Prints its address.

    The prefix has the version of the harness, Python, and the parser's content hash.
    """
    from harness.engine.campaign.shared_unit import identity
    from harness.engine.cluster.placing import shared_address
    from harness.store import records
    from harness.store.objects import open_store

    mine = identity(registry.find(parser))
    prefix = f"{mine.harness}-python{mine.python}-{mine.parser[:16]}"
    objects = open_store(f"{shared_address(store).rstrip('/')}/{prefix}")
    records.join(objects, mine)
    records.check_clock(objects, socket.gethostname())
    if as_json:
        _options.print_json({"store": objects.address, "parser": mine.parser})
    else:
        click.echo(objects.address)


def _store(kind: str) -> Callable[[FC], FC]:
    """The options of a command that does tasks on a store."""

    def add(function: FC) -> FC:
        options = (
            click.option("--store", required=True, metavar="URL", help="Folder or s3://BUCKET/PREFIX of the campaign."),
            click.option(
                "--on", metavar="ADDRESS", help=f"{kind} on hosts of this Dask scheduler; local:N starts N hosts here."
            ),
            _options.as_json("Print JSON instead of lines."),
        )
        for option in reversed(options):
            function = option(function)
        return function

    return add


@command.command(epilog="Example: harness cluster prune --store s3://fuzz/night --target deserialize")
@_store("Prune")
@_options.targets("Only this target; may be repeated. Default: all in the store.")
@_options.parser("Instrumented parser that runs the inputs. Default: the newest release.")
def prune(store: str, on: str | None, as_json: bool, targets: tuple[str, ...], parser: str | None) -> None:
    """Delete inputs of a store that reach nothing the others do not. Every region stays. Hosts may run meanwhile.

    With --on, each target is a task for a host.
    """
    place = _joined(store, parser, targets)
    done = _done("prune", _targets(place, targets), place, on)

    def line(one: dict[str, Any]) -> str:
        regions = f"regions {one.get('regions_before')} to {one.get('regions_after')}"
        told = f"regions not measured: {one['unmeasured']}" if one["unmeasured"] else regions
        return f"{one['target']}: {one['before']} inputs before, {one['after']} after; {told}"

    _tell(done, as_json, line)
    done.complain()


@command.command(epilog="Example: harness cluster minimize --store s3://fuzz/night --on tcp://10.0.0.1:8786")
@_store("Minimise")
@click.option("--id", "names", multiple=True, metavar="ID", help="Only this finding; may be repeated. Default: all.")
@_options.parser("Instrumented parser of the campaign. Default: the newest release.")
def minimize(store: str, on: str | None, as_json: bool, names: tuple[str, ...], parser: str | None) -> None:
    """Make the inputs of a store's findings smaller. Smaller ones are stored beside the others, and count.

    With --on, each finding is a task for a host.
    """
    from harness.store import records

    place = _joined(store, parser)
    chosen = names or tuple(about["id"] for about, _ in records.get_findings(place.objects, {}))
    done = _done("minimize", chosen, place, on)

    def line(one: dict[str, Any]) -> str:
        note = f": {one['note']}" if one["note"] else ""
        return f"{one['id']}: {one['before']} -> {one['after']} bytes{note}"

    _tell(done, as_json, line)
    if not chosen:
        click.echo("no findings", err=as_json)
    done.complain()


@command.command(epilog="Example: harness cluster coverage --store s3://fuzz/night --target deserialize")
@_store("Replay")
@_options.targets("Only this target; may be repeated. Default: all in the store.")
@_options.parser("Instrumented parser of the campaign, without -coverage. Default: the newest release.")
def coverage(store: str, on: str | None, as_json: bool, targets: tuple[str, ...], parser: str | None) -> None:
    """Replay a store's inputs on a coverage build, and show the Rust regions, lines and functions they reach together.

    With --on, each target is a task for a host.
    """
    from harness.cli.coverage import measuring, show
    from harness.coverage import outputs
    from harness.coverage.collect import measured
    from harness.tasks.kinds import unpack

    console = Console(stderr=as_json, highlight=False)
    place = _joined(store, parser, targets)
    chosen = _targets(place, targets)
    if not targets:
        # One that is not here is a task that fails.
        chosen = tuple(name for name in chosen if name not in all_targets() or all_targets()[name].uses_parser)
    build = measuring(parser, console)
    done = _done("coverage", chosen, dataclasses.replace(place, parser=build), on)
    with tempfile.TemporaryDirectory(prefix="harness-coverage-") as name:
        replayed = {target: unpack(one, Path(name) / target) for target, one in done.results.items()}
        if replayed:
            found = measured(build, replayed, Path(name))
            if as_json:
                _options.print_json(outputs.as_json(found))
            else:
                show(found, console)
    done.complain()


def _tell(done: Done, as_json: bool, line: Callable[[dict[str, Any]], str]) -> None:
    """Print the results: as JSON, or each in the words of ``line``."""
    if as_json:
        _options.print_json([*done.results.values()])
        return
    for one in done.results.values():
        click.echo(line(one))


def _joined(store: str, parser: str | None, targets: tuple[str, ...] = ()) -> Place:
    """The campaign in a store. Raises HarnessError: no campaign there, another one, or a store that cannot be used."""
    from harness.engine.campaign.shared_unit import identity
    from harness.store import records
    from harness.store.objects import open_store
    from harness.tasks.kinds import Place

    objects, build = open_store(store), registry.find(parser, flavour="sancov")
    records.join(objects, identity(build), targets, begin=False)
    return Place(objects, build, build.content, socket.gethostname())


def _targets(place: Place, targets: tuple[str, ...]) -> tuple[str, ...]:
    from harness.coverage import shared

    if chosen := targets or tuple(shared.targets(place.objects)):
        return chosen
    raise HarnessError(f"{place.objects.address} has no inputs", hint="name the store of a campaign")


def _done(kind: str, whats: tuple[str, ...], place: Place, on: str | None) -> Done:
    """Do tasks here, or on hosts. Prints the progress to stderr."""
    from harness.tasks import run

    say = partial(click.echo, err=True)
    return run.on_hosts(kind, whats, place, on, say) if on else run.here(kind, whats, place, say)
