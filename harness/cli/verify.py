"""``harness verify``: tells what a change of the parser mends, leaves and breaks."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from harness import paths
from harness.cli import _options, fuzz
from harness.cli.build import Teller
from harness.coverage import changed
from harness.engine.campaign import states
from harness.engine.campaign.main import CampaignSettings
from harness.errors import HarnessError
from harness.files import alone
from harness.findings import defects, store
from harness.findings.defects import Defect
from harness.parsers import build, fixes, registry
from harness.parsers.registry import VERIFIED, Parser
from harness.report import verification
from harness.targets.known_findings import known
from harness.targets.registry import get_target
from harness.triage import compare_builds, verify
from harness.triage.verify import Pair, Verification


@click.command(epilog="Example: harness verify --fix slice-steps non-contiguous")
@click.argument("more", nargs=-1, metavar="[DEFECT]...")
@click.option(
    "--fix", "names", multiple=True, metavar="DEFECT", help="Apply the fix of this defect record; several may follow."
)
@click.option("--source", type=_options.PATH, metavar="CHECKOUT", help="A changed checkout of the parser instead.")
@click.option("--against", metavar="PARSER", help="The build before the change. Default: the newest release.")
@click.option("--time", "seconds", type=fuzz.Duration(), default="30s", show_default=True, help="Time of the campaign.")
@click.option("--no-tests", is_flag=True, help="Do not run upstream's own tests.")
@click.option("--no-fuzz", is_flag=True, help="Run no campaign.")
@click.option("--markdown", is_flag=True, help="Print Markdown for a pull request.")
@_options.as_json()
def command(
    more: tuple[str, ...],
    names: tuple[str, ...],
    source: Path | None,
    against: str | None,
    seconds: float,
    no_tests: bool,
    no_fuzz: bool,
    markdown: bool,
    as_json: bool,
) -> int:
    """Build a change of the parser, and tell which defects it mends.

    The findings of every record run before and after the change. Then upstream's own tests run on both sides. A short campaign
    looks for new findings. Exit status 0: nothing new shows, no test breaks, and each DEFECT is mended; 1: something does; 2:
    the change cannot be built.
    """
    if bool(names) == (source is not None) or (more and not names) or (markdown and as_json):
        raise HarnessError(
            "the change is not clear", hint="use --fix DEFECT... or --source CHECKOUT; --markdown or --json"
        )
    named = [defects.find(name) for name in dict.fromkeys((*names, *more))]
    began = time.monotonic()
    with _alone():
        pair = _built(named, source, against)
        done = verify.verify(pair, named, _say, tests=not no_tests)
        if not no_fuzz:
            done = _fuzzed(done, fixes.touched(named) or verify.changed_files(pair.before, pair.after), seconds)
    done = replace(done, seconds=round(time.monotonic() - began, 1))
    if as_json:
        _options.print_json(verification.as_json(done))
    else:
        click.echo((verification.markdown if markdown else verification.text)(done), nl=False)
    return int(bool(done.faults))


_say = partial(click.echo, err=True)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One verification at a time in this project: they share names of builds and folders."""
    folder = paths.build_dir() / "verify"
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder / "lock", lambda: _say("waiting for another harness verify")):
        yield


def _built(named: Sequence[Defect], source: Path | None, against: str | None) -> Pair:
    """All four builds; those of the release are made where they are missing."""
    teller = Teller()
    make = partial(build.build, progress=teller)
    try:
        before = registry.find(against) if against else make()
        if before.flavour != "sancov":
            raise HarnessError(f"parser {before.name} is not instrumented", hint="name a build for fuzzing")
        after = [
            make(None, source, flavour, mend=named, name=name)
            for flavour, name in zip(("sancov", "wheel"), VERIFIED, strict=False)
        ]
        return Pair(before, _plain(before, teller), *after)
    finally:
        teller.stop()


def _plain(before: Parser, teller: Teller) -> Parser:
    """The plain build beside ``before``, compiled from the same source unless it is there."""
    if before.name == registry.default_release():
        return build.build(flavour="wheel", progress=teller)
    return build.build(None, before.source, "wheel", name=VERIFIED[-1], progress=teller)


def _fuzzed(done: Verification, files: Sequence[str], seconds: float) -> Verification:
    folder = paths.build_dir() / "verify" / "campaign"
    shutil.rmtree(folder, ignore_errors=True)
    names = targets_for(files)
    _say(f"fuzzing {', '.join(names)}")
    settings = CampaignSettings(
        folder, tuple(names), done.pair.after.name, seconds, workers=len(os.sched_getaffinity(0))
    )
    outcome = fuzz.drive(settings, None, no_ui=True)
    outcome.complain()
    if outcome.session["interrupted"]:
        raise KeyboardInterrupt
    found = store.findings(folder)
    unknown = [one for one in found if known(one.signature) is None]
    compared = compare_builds.compare(unknown, done.pair.before)
    new = [(one.id, one.signature, one.summary) for one, state in compared if state == compare_builds.ONLY_HERE]
    campaign = {name: outcome.session[name] for name in ("targets", "executions", "seconds", "left_out")}
    campaign["not_run"] = states.as_json([outcome.session])
    campaign |= {"folder": str(folder), "known": len(found) - len(unknown), "elsewhere": len(unknown) - len(new)}
    judged = verify.seen_again(done.defects, [one.signature for one in found], folder)
    return replace(done, defects=judged, new=tuple(new), campaign=campaign)


def targets_for(files: Sequence[str]) -> list[str]:
    """The targets for a change of ``files``: those that reach one.

    A framework loads slowly. So its targets are driven only for a file in Python that they reach, or that is their module.
    """
    driven, reach = changed.drivable(), changed.measured()
    python = [file for file in files if file.endswith(".py")]
    modules = {"safetensors." + Path(file).stem for file in python}
    measured = [name for name in driven if name in reach]
    framework = {*changed.choose(python, reach, measured).targets}
    framework |= {name for name in driven if name not in reach and get_target(name).module in modules}
    chosen = changed.choose(files, reach, driven).targets if files else driven
    return [name for name in chosen if name in framework or not (get_target(name).needs or get_target(name).extra)]
