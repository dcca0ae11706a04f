"""``harness minimize``: finds the smallest input with the same signature."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli import _options
from harness.cli._options import shrinking
from harness.errors import HarnessError
from harness.files import write_atomic
from harness.findings import crashes, store
from harness.parsers import registry
from harness.replay import replay
from harness.targets.registry import get_target
from harness.triage import filing
from harness.triage.inputs import Named, resolve


@click.command(epilog="Example: harness minimize crash.safetensors --target safe_open --output small.safetensors")
@click.argument("what", metavar="ID|FILE")
@click.option("--target", metavar="T", help="Entry point. Default: the finding's own, or deserialize for a file.")
@_options.parser("Build to run on. Default: a build that shows the finding.")
@click.option("--signature", "sig", metavar="TEXT", help="The finding to keep, of a file that shows several.")
@click.option("--output", type=_options.FILE, help="Default: FILE.min, or the input of the finding.")
@_options.as_json()
def command(
    what: str, target: str | None, parser: str | None, sig: str | None, output: Path | None, as_json: bool
) -> int:
    """Make an input smaller as long as it shows the same finding.

    Pieces of the header go first, with their offsets and data, then single bytes. The input of a finding is replaced, in a
    campaign and in crashes/. Exit status 1: the finding shows.
    """
    named = resolve(what)
    entry = target or named.target or "deserialize"
    data = named.data()
    build, sig = _chosen(named, entry, parser, sig, data)
    with shrinking(named.id or str(named.path)) as progress:
        small = filing.smallest(build, entry, sig, data, progress)
    place = output or (named.path if named.id else named.path.with_name(named.path.name + ".min"))
    if small != data or place != named.path:
        _store(named, place, small)
    if as_json:
        told = {"id": named.id, "target": entry, "signature": sig, "parser": build.name if build else ""}
        _options.print_json(told | {"before": len(data), "after": len(small), "output": str(place)})
        return 1
    click.echo(f"{len(data)} -> {len(small)} bytes: {place}")
    click.echo(f"Reproduce with: harness repro {named.id if place == named.path else place} --target {entry}")
    return 1


def _chosen(
    named: Named, target: str, parser: str | None, sig: str | None, data: bytes
) -> tuple[registry.Parser | None, str]:
    """The build to minimise on, and the signature to keep."""
    candidates = [registry.find(parser)] if parser and get_target(target).uses_parser else filing.builds(target)
    wanted = sig or (named.signature if target == named.target else "")
    seen: list[str] = []
    for build in candidates:
        found = replay.once(build, target, data).signatures
        seen += found
        if wanted in found or (found and not wanted):
            return build, wanted or found[0]
    shown = f"it shows {', '.join(dict.fromkeys(seen))}" if seen else "it shows no finding at all"
    raise HarnessError(f"{named.path} does not show {wanted or 'a finding'} on {target}; {shown}",
                       hint="--target and --signature choose another")  # fmt: skip


def _store(named: Named, place: Path, small: bytes) -> None:
    if named.id and place == named.path:
        beside = place.parent
        if (beside / crashes.ABOUT).is_file():
            filing.refile(crashes.load(beside.resolve()), small)
            return
        stored = store.finding_at(beside)
        store.replace_input(stored, small, stored.summary)
        return
    write_atomic(place, small)
