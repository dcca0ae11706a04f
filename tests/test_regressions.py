"""Every filed finding, its reproducer, and every seed, on the parser as it is today.

One test id per folder of crashes/. An *open* finding is expected to show: the day upstream mends it the test says so
(XPASS, strict), and its status becomes ``fixed``. A *fixed* one must not show again. A *by-design* or a
*disputed* one must still show: a verdict on what no longer happens is out of date.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from harness import corpus_store, paths
from harness.findings import crashes, defects
from harness.findings.crashes import BY_DESIGN, DISPUTED, FIXED, OPEN, Crash
from harness.findings.rule import SIGNATURE
from harness.parsers import registry
from harness.replay import replay
from harness.replay.replay import Replayer
from harness.targets.known_findings import known
from harness.targets.registry import all_targets, get_target
from harness.triage.filing import TRIES

FILED = crashes.crashes()


class StillBroken(Exception):
    """The stored signature shows again."""


def parser_for(crash: Crash) -> registry.Parser | None:
    """The build the finding showed on, the checked one where it showed on several."""
    if not get_target(crash.target).uses_parser:
        return None
    return registry.find(None, flavour="sancov" if not crash.builds or "sancov" in crash.builds else crash.builds[0])


def case(crash: Crash):
    marks = [pytest.mark.xfail(strict=True, raises=StillBroken, reason=crash.summary)] if crash.status == OPEN else []
    return pytest.param(crash, id=crash.id, marks=marks)


@pytest.mark.parametrize("crash", [case(crash) for crash in FILED])
def test_filed_finding(crash: Crash) -> None:
    if reason := get_target(crash.target).missing(crash.data()):
        pytest.skip(reason)
    # A slow machine must not make a hang of what is none.
    patience = 1 if crash.kind in ("hang", "time") else 4
    seconds = patience * get_target(crash.target).timeout_s
    # Some findings depend on the place of memory: those are tried as often as triage tries them.
    for _ in range(1 if crash.status == FIXED else TRIES):
        result = replay.once(parser_for(crash), crash.target, crash.data(), seconds)
        shows = crash.signature in result.signatures
        if shows:
            break
    if crash.status == OPEN and shows:
        raise StillBroken(f"{crash.summary}\nrepeat it with: harness repro {crash.id}")
    if crash.status == FIXED:
        assert not shows, f"it is back: {crash.summary}"
    if crash.status in (BY_DESIGN, DISPUTED):
        assert shows, f"it shows no more: set its status to fixed in {crash.folder / crashes.ABOUT}"
    if not shows:
        unknown = [sig for sig in result.signatures if known(sig) is None]
        assert not unknown, f"the input shows another defect now: {unknown}"


@pytest.mark.parametrize("crash", FILED, ids=lambda crash: crash.id)
def test_reproducer_runs_without_the_harness(crash: Crash, tmp_path) -> None:
    if reason := get_target(crash.target).missing(crash.data()):
        pytest.skip(reason)
    # Only numpy and what users install: the plain release wheel. The harness' own target is the exception.
    parser = registry.find(None, flavour="wheel")
    libraries = [str(parser.site)] if get_target(crash.target).uses_parser else [str(paths.home())]
    environment = {"PATH": os.environ["PATH"], "RUST_BACKTRACE": "0"}
    if crash.rule.check == SIGNATURE:
        # The rule has no check in plain Python: its reproducer asks the harness.
        libraries.append(str(paths.home()))
        environment["HARNESS_HOME"] = str(paths.home())
    done = subprocess.run(
        [sys.executable, str(crash.folder.resolve() / crashes.REPRODUCER)],
        env=environment | {"PYTHONPATH": os.pathsep.join(libraries)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    hits_users = "wheel" in crash.builds or not crash.builds
    assert done.returncode == int(hits_users and crash.status != FIXED), done.stdout + done.stderr
    assert "what should" in done.stdout


def test_every_folder_is_complete() -> None:
    """A folder half written, or half deleted, is not skipped in silence."""
    for root in crashes.roots():
        for folder in sorted(path for path in root.iterdir() if path.is_dir() and path.name != defects.FOLDER):
            names = {path.name for path in folder.iterdir()}
            assert {crashes.ABOUT, crashes.INPUT, crashes.REPRODUCER} <= names, folder


@pytest.fixture(scope="module", params=sorted(all_targets()))
def replayer(request: pytest.FixtureRequest) -> Iterator[Replayer]:
    target = get_target(request.param)
    if reason := target.missing():
        pytest.skip(reason)
    # Seeds are many and plain: what the metamorphic oracle says of them is asked once, by the campaign.
    parser = registry.find(None) if target.uses_parser else None
    # As in a campaign: what ends a process must not take a framework with it that loads for half a minute.
    with Replayer(parser, target.name, relations=False, forks=target.runs_in_fork_server) as child:
        yield child


def test_seeds_show_nothing_unknown(replayer: Replayer) -> None:
    listing = corpus_store.list_seeds(paths.corpus_dir() / replayer.target.name)
    assert not listing.skipped
    assert listing.seeds, f"no seeds for target {replayer.target.name}"
    unknown = {
        f"{name}: {sig}" for name, data in listing.seeds for sig in replayer.run(data).signatures if known(sig) is None
    }
    assert not unknown
