"""Every filed finding, its reproducer, and every seed, on the parser as it is today.

One test id per folder of crashes/. An *open* finding is expected to show: the day upstream mends it the test says so
(XPASS, strict), and its status becomes ``fixed``. A *fixed* one must not show again. A *by-design* or a
*disputed* one must still show: a verdict on what no longer happens is out of date.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest

from harness import corpus_store, paths
from harness.findings import crashes, defects
from harness.findings.crashes import BY_DESIGN, DISPUTED, FIXED, OPEN, Crash
from harness.parsers import registry
from harness.replay import replay
from harness.replay.replay import Replay, Replayer
from harness.targets.known_findings import known, missing
from harness.targets.registry import all_targets, get_target
from harness.triage import reproducer
from harness.triage.filing import TRIES
from tests import preloaded
from tests.waiting import LONG

#: By target, so that one process serves the findings of each.
FILED = sorted(crashes.crashes(), key=lambda crash: (crash.target, crash.flavour, crash.id))
#: At night each replay and each script has a process of its own.
AT_NIGHT = bool(os.environ.get("HARNESS_LONG"))


class StillBroken(Exception):
    """The stored signature shows again."""


def parser_for(crash: Crash) -> registry.Parser | None:
    """The build that shows the finding."""
    if not get_target(crash.target).uses_parser:
        return None
    return registry.find(None, flavour=crash.flavour)


def case(crash: Crash):
    marks = [pytest.mark.xfail(strict=True, raises=StillBroken, reason=crash.summary)] if crash.status == OPEN else []
    return pytest.param(crash, id=crash.id, marks=marks)


class Replays:
    """Replays findings; by day, in forks of one process for each target and build."""

    def __init__(self) -> None:
        self._held: tuple[tuple[str, str], Replayer] | None = None

    def close(self) -> None:
        if self._held is not None:
            self._held[1].close()
            self._held = None

    def run(self, crash: Crash) -> Replay:
        parser, seconds = parser_for(crash), replay.patience(get_target(crash.target), crash.kind)
        if AT_NIGHT or crash.rule.oracle == "isolation":
            return replay.once(parser, crash.target, crash.data(), seconds)
        wanted = (crash.target, parser.name if parser else "")
        if self._held is None or self._held[0] != wanted:
            self.close()
            self._held = wanted, Replayer(parser, crash.target, forks=True)
        return self._held[1].run(crash.data(), seconds)


@pytest.fixture(scope="module")
def replays() -> Iterator[Replays]:
    held = Replays()
    yield held
    held.close()


@pytest.mark.parametrize("crash", [case(crash) for crash in FILED])
def test_filed_finding(crash: Crash, replays: Replays) -> None:
    if reason := missing(crash):
        pytest.skip(reason)
    # Some findings depend on the place of memory: those are tried as often as triage tries them.
    for _ in range(1 if crash.status == FIXED else TRIES):
        result = replays.run(crash)
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


#: Modules of frameworks, as reproducers import them.
FRAMEWORKS = re.compile(r"^import (torch|jax|paddle|tensorflow|mlx)\b", re.MULTILINE)


def in_rust(crash: Crash) -> bool:
    """Whether a reproducer compiles the crate by itself, so that it needs no build of ours."""
    return "from _tools import cargo" in (crash.folder / crashes.REPRODUCER).read_text()


def reproduced(
    crash: Crash, folder: Path, *libraries: Path, site: bool = True, fresh: bool = True, crate: str = ""
) -> int:
    """The exit status of a reproducer with these libraries to import, and without those of this environment if told so.

    Unless ``fresh``, it runs in a process that has imported the big libraries. ``crate`` is the version of the Rust crate.
    """
    environment = {"PATH": os.environ["PATH"], "RUST_BACKTRACE": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {"SAFETENSORS_CRATE": crate} if crate else {}
    text = (crash.folder / crashes.REPRODUCER).read_text(encoding="utf-8")
    if reproducer.needs_harness(text) or not get_target(crash.target).uses_parser:
        # The rule has no check in plain Python, or the harness is the subject.
        libraries = (*libraries, paths.home())
        environment["HARNESS_HOME"] = str(paths.home())
    environment |= {"PYTHONPATH": os.pathsep.join(map(str, libraries))}
    script = crash.folder.resolve() / crashes.REPRODUCER
    if fresh:
        line = [sys.executable, *([] if site else ["-S"]), str(script)]
        done = subprocess.run(
            line, env=environment, cwd=folder, capture_output=True, text=True, timeout=LONG, check=False
        )
        status, output = done.returncode, done.stdout + done.stderr
    else:
        status, output = preloaded.run(script, libraries, environment, folder)
    assert {0: "does not show", 1: "shows: ", 2: "cannot tell: "}.get(status, "nothing") in output, output
    assert "Traceback" not in output
    return status


@pytest.fixture(scope="session")
def numpy_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of libraries with numpy and no framework."""
    folder = tmp_path_factory.mktemp("numpy-alone")
    installed = Path(numpy.__file__).parents[1]
    for path in (installed / "numpy", installed / "numpy.libs"):
        if path.exists():
            (folder / path.name).symlink_to(path)
    return folder


@pytest.mark.parametrize("crash", FILED, ids=lambda crash: crash.id)
def test_reproducer_tells_the_truth_on_the_release(crash: Crash, tmp_path: Path) -> None:
    status = reproduced(crash, tmp_path, registry.find(None, flavour="wheel").site, fresh=AT_NIGHT)
    if missing(crash):
        assert status == 2
    elif "wheel" in crash.builds or not crash.builds or in_rust(crash):
        assert status == int(crash.status != FIXED)
    else:
        # A release may end in another way than a checked build.
        assert status in (0, 2)


#: A sample by day, all at night.
SAMPLE = [
    pytest.param(crash, id=crash.id, marks=[pytest.mark.long] if number % 16 else [])
    for number, crash in enumerate(FILED)
]


@pytest.mark.parametrize("crash", SAMPLE)
def test_reproducer_cannot_tell_without_framework_or_parser(crash: Crash, numpy_alone: Path, tmp_path: Path) -> None:
    if not get_target(crash.target).uses_parser or in_rust(crash):
        pytest.skip("it needs no parser")
    assert reproduced(crash, tmp_path, numpy_alone, site=False) == 2
    site = registry.find(None, flavour="wheel").site
    text = (crash.folder / crashes.REPRODUCER).read_text()
    if FRAMEWORKS.search(text) or crash.cannot_show():
        assert reproduced(crash, tmp_path, site, numpy_alone, site=False) == 2
    elif "wheel" in crash.builds:
        assert reproduced(crash, tmp_path, site, numpy_alone, site=False) == int(crash.status != FIXED)


@pytest.mark.parametrize("crash", SAMPLE)
def test_reproducer_tells_the_truth_on_an_older_release(crash: Crash, tmp_path: Path) -> None:
    older = next((one for one in registry.available() if one.version == "0.7.0" and one.flavour == "wheel"), None)
    if older is None:
        pytest.skip("build it: harness build --release 0.7.0 --wheel")
    if reason := missing(crash):
        pytest.skip(reason)
    seen: set[str] = set()
    for _ in range(TRIES):
        seen |= set(replay.once(older, crash.target, crash.data()).signatures)
        if crash.signature in seen:
            break
    status = reproduced(crash, tmp_path, older.site, crate=older.version)
    # A replay leaves out calls that the release lacks. Then nothing shows, and the script may know more; or the script
    # has such a call, and cannot tell.
    assert status in ((1, 2) if crash.signature in seen else (0, 2) if seen else (0, 1, 2))


def test_reproducers_are_short() -> None:
    sizes = sorted(len((crash.folder / crashes.REPRODUCER).read_text().splitlines()) for crash in FILED)
    assert sizes[len(sizes) // 2] <= 25
    assert sizes[-1] <= 80
    assert sum(sizes) + sum(len(source.splitlines()) for source in crashes.kit().values()) <= 6000


def test_every_folder_is_complete() -> None:
    """A folder half written, or half deleted, is not skipped in silence."""
    for root in crashes.roots():
        for folder in sorted(
            path for path in root.iterdir() if path.is_dir() and path.name not in (defects.FOLDER, "__pycache__")
        ):
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
