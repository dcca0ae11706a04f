"""``harness build``: builds the code under test."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Console

from harness import paths
from harness.cli import _options
from harness.errors import HarnessError
from harness.findings import defects
from harness.parsers import build, registry


class Teller:
    """Prints the steps of a build: one changing line on a terminal, a line per step elsewhere."""

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
        # A log gets every tenth crate, and the parser's own.
        elif not line.startswith("compiling ") or line.endswith("0)") or "safetensors" in line or "(half" in line:
            click.echo(f"build: {line}", err=True)

    def stop(self) -> None:
        """Clear the line."""
        if self._status is not None:
            self._status.stop()


@click.command(epilog="Example: harness build --source ~/src/safetensors --name mine")
@click.argument("names", nargs=-1, metavar="[DEFECT]...")
@click.option(
    "--release", metavar="X.Y.Z", help=f"Version in the package index. Default: {registry.default_release()}."
)
@click.option("--source", type=_options.PATH, metavar="DIR", help="A checkout or unpacked sdist instead.")
@click.option(
    "--fixes", is_flag=True, help="Apply the fixes of these DEFECTs first, or of every defect record that has one."
)
@click.option("--sanitizer", type=click.Choice(["address"]), help="Add AddressSanitizer; about a quarter of the speed.")
@click.option("--coverage", is_flag=True, help="For coverage pages instead of fuzzing.")
@click.option("--wheel", is_flag=True, help="The release as users install it, not instrumented.")
@click.option("--name", metavar="NAME", help="Name of the build. Default: the release, or `checkout`.")
@click.option("--force", is_flag=True, help="Build again, even if it is up to date.")
@_options.as_json("Print name, folder and manifest as JSON.")
def command(
    names: tuple[str, ...],
    fixes: bool,
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

    Builds are cached by source, fixes, flags and compiler. A failed build leaves the earlier one in place. With --fixes the
    default name is 0.8.0-mended. Exit status 2: there is no build.
    """
    if names and not fixes:
        raise HarnessError(f"{names[0]} is given without --fixes", hint="--release and --source choose what is built")
    if (sanitizer is not None) + coverage + wheel > 1:
        raise HarnessError("--sanitizer, --coverage and --wheel exclude each other", hint="build one after the other")
    flavour = "coverage" if coverage else "wheel" if wheel else sanitizer or "sancov"
    mend = [*map(defects.find, dict.fromkeys(names))] or defects.fixed() if fixes else []
    teller = Teller()
    try:
        parser = build.build(release, source, flavour, mend=mend, name=name, progress=teller, force=force)
    finally:
        teller.stop()
    if as_json:
        manifest = dict(parser.manifest)
        _options.print_json({"name": parser.name, "folder": str(parser.root), "manifest": manifest})
        return 0
    folder = paths.parsers_dir() / parser.name
    shown = paths.shown(folder)
    mended = f" with {len(parser.fixes)} fix{'es' * (len(parser.fixes) > 1)}" if parser.fixes else ""
    what = f"safetensors {parser.version}{mended}, {parser.flavour}, in {shown}"
    took = f"built in {parser.manifest['seconds']} s" if teller.heard else "up to date"
    click.echo(f"{parser.name}: {what}: {took}")
    return 0
