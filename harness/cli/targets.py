"""``harness targets``: lists the targets that can run here, and chooses targets for a change."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import click

from harness import paths
from harness.cli import _options
from harness.coverage import baseline, changed
from harness.coverage.changed import Choice
from harness.errors import HarnessError
from harness.parsers import public, registry, runtime
from harness.report import api_table
from harness.targets.registry import all_targets, broken_targets, get_target, not_installed


@click.command(epilog="Example: harness targets --changed safetensors/src/slice.rs --json")
@click.option(
    "--changed", "files", multiple=True, metavar="FILE", help="A changed file of the parser; may be repeated."
)
@click.option("--changed-since", "ref", metavar="REF", help="All files that differ from the merge base with REF.")
@click.option(
    "--source",
    type=_options.PATH,
    default=".",
    metavar="DIR",
    help="Checkout for --changed-since. Default: the current folder.",
)
@click.option("--names", is_flag=True, help="Only the names, one per line.")
@click.option(
    "--shards", type=click.IntRange(1, 64), metavar="N", help="Divide them among N jobs: a JSON list for a matrix."
)
@click.option("--api", is_flag=True, help="The table of the public API of the newest release, for docs/targets.md.")
@_options.as_json()
def command(
    files: tuple[str, ...], ref: str | None, source: Path, names: bool, shards: int | None, api: bool, as_json: bool
) -> int:
    """List the targets that can run here; with changed files of the parser, only those that reach them.

    corpus/coverage.toml has the files that each target reaches. A file without figures calls for all targets. Documents and
    tests of the parser call for none.
    """
    if api:
        rows = public.parts(runtime.load(registry.find(None, flavour="wheel")))
        click.echo(api_table.table(rows, all_targets().values()), nl=False)
        return 0
    missing = broken_targets() | not_installed()
    here = [name for name in all_targets() if name not in missing]
    choice = None
    if files or ref is not None:
        touched = [*files, *(_since(ref, source) if ref is not None else [])]
        reach = baseline.read(paths.corpus_dir() / baseline.NAME)["reach"]
        choice = changed.choose(touched, reach, changed.drivable())
        here = list(choice.targets)
    if shards is not None:
        click.echo(json.dumps(dealt(here, shards)))
    elif as_json:
        _options.print_json(_as_json(here, missing, choice))
    else:
        _print(here, missing, choice, plain=names)
    return 0


def dealt(names: list[str], shards: int) -> list[dict[str, str]]:
    """At most ``shards`` parts as ``{"shard": number from 1, "targets": names with blanks between}``, none of them empty."""
    parts = [names[first::shards] for first in range(min(shards, len(names)))]
    return [{"shard": str(number), "targets": " ".join(part)} for number, part in enumerate(parts, 1)]


def _since(ref: str, source: Path) -> list[str]:
    """Names of the files in ``source`` that differ from the merge base with ``ref``."""
    branched = _git(source, ref, "merge-base", ref, "HEAD").strip()
    names = _git(source, ref, "diff", "--name-only", "-z", "--no-renames", branched, "--")
    return [name for name in names.split("\0") if name]


def _git(source: Path, ref: str, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(source), *arguments], capture_output=True, text=True, check=False)
    except OSError as error:
        raise HarnessError(f"git cannot be run: {error.strerror}", hint="install git, or use --changed FILE") from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["they have no common commit here"]
        raise HarnessError(
            f"git cannot compare {source} with {ref}: {said[0]}",
            hint="clone the history back to the merge base (fetch-depth: 0); or use --changed FILE",
        )
    return done.stdout


def _as_json(here: list[str], missing: dict[str, str], choice: Choice | None) -> dict[str, Any]:
    table: dict[str, Any] = {"targets": here, "left_out": missing}
    if choice is not None:
        every = choice.files.items()
        table["changed"] = {file: {"targets": list(names), "why": choice.why[file]} for file, names in every}
    return table


def _print(here: list[str], missing: dict[str, str], choice: Choice | None, *, plain: bool) -> None:
    if choice is not None:
        for file, names in choice.files.items():
            which = f" ({', '.join(names)})" if 0 < len(names) < len(here) else ""
            click.echo(f"{file}: {choice.why[file]}{which}", err=True)
        if not here:
            click.echo("no target is called for: no file of the parser changed", err=True)
    if choice is not None and missing:
        click.echo(f"cannot run here, and was not asked: {', '.join(missing)}", err=True)
    for name in here:
        click.echo(name if plain else f"{name:13} {get_target(name).description}")
    if not plain and choice is None:
        for name, reason in missing.items():
            click.echo(f"{name:13} cannot run here: {reason}")
