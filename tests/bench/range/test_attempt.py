"""Attempts on the real build: a campaign's findings are told to their bugs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness import paths
from harness.bench.range import bugs
from harness.bench.range.attempt import Plan, Watch, run
from harness.bench.range.counts import Counts, switched
from harness.bench.range.detect import Detector
from harness.bench.range.shown import made
from harness.findings import store
from harness.findings.finding import Finding
from harness.parsers.registry import Parser
from harness.processes import started
from harness.replay.replay import Replayer

BUGS = bugs.bugs()
REST, HOLLOW = (next(bug for bug in BUGS if bug.name == name) for name in ("rest-accepted", "hollow-refused"))


@pytest.fixture(scope="module")
def parser() -> Parser:
    return bugs.parser(lambda line: None)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for results, beside the real builds."""
    folder = tmp_path / "range"
    monkeypatch.setattr("harness.bench.range.attempt.folder", lambda: folder)
    assert paths.build_dir().is_dir()
    return folder


def test_counts_are_read_and_reset(tmp_path: Path) -> None:
    counts = Counts(tmp_path / "counts")
    data = bytearray((tmp_path / "counts").read_bytes())
    data[3 * 16 : 3 * 16 + 16] = (5).to_bytes(8, "little") + (2).to_bytes(8, "little")
    with (tmp_path / "counts").open("r+b") as file:
        file.write(data)
    assert counts.read()[3] == (5, 2)
    assert counts.triggered() == {3}
    counts.reset()
    assert counts.triggered() == frozenset()


def test_switches_are_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(bugs.SWITCH, "9")
    monkeypatch.delenv(bugs.COUNTS, raising=False)
    with switched("3,7", None):
        assert (os.environ[bugs.SWITCH], os.environ[bugs.COUNTS]) == ("3,7", "")
    assert os.environ[bugs.SWITCH] == "9"
    assert bugs.COUNTS not in os.environ


def test_each_input_of_a_finding_is_judged_until_the_budget_is_spent(tmp_path: Path) -> None:
    finding = Finding.of_signature("deserialize|panic|panic|words", "contract", "summary")

    def add(data: bytes) -> None:
        store.add(tmp_path, finding, data, parser="range", seed=1)

    watch = Watch(tmp_path, budget=1e9)
    for data, waiting in ((b"large", 1), (b"larger, so it is not kept", 1), (b"less", 2)):
        add(data)
        watch.look(os.getpid(), 0)
        assert len(watch.waiting) == waiting
    assert {seen.name for seen in watch.waiting} == {finding.id}
    assert 0 < watch.waiting[0].cpu_seconds <= watch.waiting[1].cpu_seconds
    late = Watch(tmp_path, budget=1.0)
    late.look(os.getpid(), 100)
    assert not late.waiting


@pytest.mark.long
def test_a_finding_is_of_the_bug_that_shows_it_alone(parser: Parser, tmp_path: Path) -> None:
    counts = Counts(tmp_path / "counts")
    # It triggers two bugs: the hollow tensor is refused, so nobody sees that the rest is accepted.
    data = made({"a": ("U8", [1, 0, 1], 0, 0)}, b"xy")
    with switched(str(REST.number), counts), Replayer(parser, "deserialize") as replayer:
        found = [judged.finding for judged in replayer.run(data).findings]
    assert counts.triggered() >= {REST.number, HOLLOW.number}
    for finding in found:
        store.add(tmp_path / "campaign", finding, data, parser=parser.name, seed=1)
    with Detector(parser, BUGS, str(REST.number), counts) as detector:
        told = [one for stored in store.findings(tmp_path / "campaign") for one in detector.judge(stored, 12.34)]
        assert {one.number for one in told} == {REST.number}
        assert {one.cpu_seconds for one in told} == {12.3}
        assert not detector.all
        # A bug is detected once.
        assert [detector.judge(stored, 20) for stored in store.findings(tmp_path / "campaign")] == [[]] * len(found)


@pytest.mark.long
def test_an_attempt_ends_when_its_bugs_are_detected(parser: Parser, place: Path) -> None:
    said: list[str] = []
    row = run(Plan(1, 600.0, (REST, HOLLOW)), parser, 0, said.append)
    assert row["detected"].keys() == {str(REST.number), str(HOLLOW.number)}
    assert not row["failed"]
    assert 0 < row["cpu_seconds"] < 300
    assert row["counts"][str(REST.number)][1] > 0
    assert len(said) == 2


@pytest.mark.long
def test_an_attempt_ends_the_campaign_of_one_that_was_killed(parser: Parser, place: Path) -> None:
    plan = Plan(1, 8.0, (REST,))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as left:
        folder = place / "attempts" / plan.id
        folder.mkdir(parents=True)
        (folder / "process").write_text(f"{left.pid} {started(left.pid)}")
        row = run(plan, parser, 0, lambda line: None)
        assert left.wait(10) == -signal.SIGKILL
    assert row["detected"].keys() == {str(REST.number)}


@pytest.mark.long
def test_an_attempt_ends_with_its_budget(parser: Parser, place: Path) -> None:
    deep = next(bug for bug in BUGS if bug.name == "other-thread-reads-first")
    row = run(Plan(1, 8.0, (deep,)), parser, 0, lambda line: None)
    assert row["cpu_seconds"] == pytest.approx(8, abs=2)
    assert not row["failed"]
