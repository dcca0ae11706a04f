"""``harness build``: build the code under test."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from rich.console import Console

from harness import paths
from harness.errors import HarnessError
from harness.parsers import build, registry


class Teller:
    """Shows what a build is doing: one line that changes on a terminal, a line per step elsewhere."""

    def __init__(self) -> None:
        self.heard = False
        self._status = Console(stderr=True).status("building") if sys.stderr.isatty() else None

    def __call__(self, line: str) -> None:
        """Take one line of progress."""
        if not self.heard and self._status is not None:
            self._status.start()
        self.heard = True
        if self._status is not None:
            self._status.update(f"build: {line}")
        # Forty crates are no news in a log; that something still happens is.
        elif not line.startswith("compiling ") or line.endswith("0)") or "safetensors" in line or "(half" in line:
            click.echo(f"build: {line}", err=True)

    def stop(self) -> None:
        """Give the line back."""
        if self._status is not None:
            self._status.stop()


@click.command(epilog="Example: harness build --source ~/src/safetensors --name mine")
@click.option(
    "--release", metavar="X.Y.Z", help=f"A version in the package index. Default: {registry.default_release()}."
)
@click.option("--source", type=click.Path(path_type=Path), metavar="DIR", help="A checkout or unpacked sdist instead.")
@click.option("--sanitizer", type=click.Choice(["address"]), help="Add AddressSanitizer; about a quarter of the speed.")
@click.option("--coverage", is_flag=True, help="For coverage pages instead of fuzzing.")
@click.option("--wheel", is_flag=True, help="The release as users install it, not instrumented.")
@click.option("--name", metavar="NAME", help="What to call it. Default: the release, or `checkout`.")
@click.option("--force", is_flag=True, help="Build again what is there.")
@click.option("--json", "as_json", is_flag=True, help="Print name, folder and manifest as JSON.")
def command(
    release: str | None,
    source: Path | None,
    sanitizer: str | None,
    coverage: bool,
    wheel: bool,
    name: str | None,
    force: bool,
    as_json: bool,
) -> int:
    """Build the parser into build/parsers/NAME, instrumented for fuzzing.

    Builds are cached by source, flags and compiler. One that fails leaves what was there before. Ends with 0, or with
    2 when there is no build.
    """
    if (sanitizer is not None) + coverage + wheel > 1:
        raise HarnessError("--sanitizer, --coverage and --wheel exclude each other", hint="build one after the other")
    flavour = "coverage" if coverage else "wheel" if wheel else sanitizer or "sancov"
    teller = Teller()
    try:
        parser = build.build(release, source, flavour, name=name, progress=teller, force=force)
    finally:
        teller.stop()
    if as_json:
        manifest = dict(parser.manifest)
        click.echo(json.dumps({"name": parser.name, "folder": str(parser.root), "manifest": manifest}, indent=1))
        return 0
    folder = paths.parsers_dir() / parser.name
    shown = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    what = f"safetensors {parser.version}, {parser.flavour}, in {shown}"
    took = f"built in {parser.manifest['seconds']} s" if teller.heard else "up to date"
    click.echo(f"{parser.name}: {what}: {took}")
    return 0
