"""Bisecting: answers of reproducers on released wheels, and what they say together."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness import paths
from harness.errors import HarnessError
from harness.findings import crashes
from harness.parsers import registry
from harness.targets.registry import all_targets
from harness.triage import bisect
from harness.triage.bisect import RIGHT, SHOWS, UNKNOWN, Answer, History


def filed(name: str) -> crashes.Crash:
    assert all_targets()  # defines the rules
    return crashes.load(paths.crashes_dir() / name)


def answers(**by_release: str) -> dict[str, Answer]:
    return {name.replace("_", ".").lstrip("v"): Answer(one) for name, one in by_release.items()}


@pytest.mark.parametrize(
    ("given", "first", "regression"),
    [
        ({"v0_5_0": RIGHT, "v0_6_0": SHOWS, "v0_7_0": SHOWS}, "0.6.0", True),
        ({"v0_5_0": UNKNOWN, "v0_6_0": SHOWS, "v0_7_0": UNKNOWN, "v0_8_0": SHOWS}, "0.6.0", False),
        ({"v0_5_0": SHOWS, "v0_6_0": RIGHT, "v0_7_0": SHOWS}, "0.7.0", True),
        ({"v0_5_0": SHOWS, "v0_6_0": RIGHT}, "0.5.0", False),
        ({"v0_5_0": RIGHT, "v0_6_0": UNKNOWN}, "", False),
        ({}, "", False),
    ],
)
def test_the_first_bad_release_begins_the_newest_run(given: dict[str, str], first: str, regression: bool) -> None:
    found = History("x", answers(**given))
    assert (found.first, found.regression) == (first, regression)


def test_a_history_in_words() -> None:
    found = History("x", answers(v0_5_0=RIGHT, v0_6_0=SHOWS, v0_7_0=SHOWS))
    assert bisect.told(found) == "0.5.0 does not show, 0.6.0 to 0.7.0 shows"


def test_a_script_answers_by_its_exit_status(tmp_path: Path) -> None:
    def run(text: str) -> Answer:
        script = tmp_path / "script.py"
        script.write_text(text)
        return bisect.ask(script, tmp_path / "nothing", "0.7.0")

    assert run("raise SystemExit(1)").answer == SHOWS
    assert run("raise SystemExit(0)").answer == RIGHT
    assert run("import sys; print('no such call'); sys.exit(2)") == Answer(UNKNOWN, "no such call")
    assert run("import os; os.abort()").answer == UNKNOWN
    # A script in Rust asks for the crate by itself.
    assert run("import os, sys; print(os.environ['SAFETENSORS_CRATE']); sys.exit(2)") == Answer(UNKNOWN, "0.7.0")


def test_a_filed_finding_on_two_releases() -> None:
    """Arrays in another order than C's were saved right by 0.7.0."""
    crash = filed("roundtrip.written-38600fbb")
    found = bisect.history(crash, ["0.7.0", registry.default_release()], lambda line: None)
    assert [one.answer for one in found.answers.values()] == [RIGHT, SHOWS], found
    assert (found.first, found.regression, found.releases) == ("0.8.0", True, ("0.8.0",))


def test_a_release_that_does_not_exist() -> None:
    with pytest.raises(HarnessError, match=r"there is no release 0\.99\.1"):
        bisect.site("0.99.1", lambda line: None)


def test_commits_need_a_checkout_and_revisions(tmp_path: Path) -> None:
    crash = filed("roundtrip.written-38600fbb")
    with pytest.raises(HarnessError, match="is no git checkout"):
        bisect.commits(crash, tmp_path, "a", "b", lambda line: None)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    with pytest.raises(HarnessError, match="git bisect"):
        bisect.commits(crash, tmp_path, "a", "b", lambda line: None)
