"""The other process: it stops calls of Python itself at chosen system calls."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.targets.paths import other_process, tracer
from harness.targets.paths.other_process import OtherProcess

REFUSED = other_process.refusal()
traced = pytest.mark.skipif(bool(REFUSED), reason=f"no ptrace: {REFUSED}")
injected = pytest.mark.skipif(bool(REFUSED) or not tracer.injects(), reason="no system call can be made to fail")


@pytest.fixture(scope="module")
def other() -> Iterator[OtherProcess]:
    made = OtherProcess()
    yield made
    made.close()


def reads(path: Path, said: list[Any]) -> Any:
    """A call that opens a file, and reads it in two parts."""

    def call() -> None:
        try:
            number = os.open(path, os.O_RDONLY)
            said.append(os.pread(number, 2, 0) + os.pread(number, 2, 2))
            os.close(number)
        except OSError as error:
            said.append(error)

    return call


@traced
@pytest.mark.parametrize(("point", "wanted"), [(0, b"new!"), (1, b"old!"), (2, b"old!"), (9, b"old!")])
def test_an_act_comes_before_the_chosen_call(other: OtherProcess, tmp_path: Path, point: int, wanted: bytes) -> None:
    path, said = tmp_path / "a", list[Any]()
    path.write_bytes(b"old!")
    new = str(tmp_path / "new")
    steps = [["put", new, b"new!".hex()], ["rename", new, str(path)]]
    report = other.during({"root": str(tmp_path), "pipe": "", "point": point, "act": steps}, reads(path, said))
    assert said == [wanted]
    assert report == {"calls": ["openat", "pread", "pread", "close"], "acted": point < 9, "waited": 0}


@traced
def test_an_act_in_place_shows_in_the_second_part_alone(other: OtherProcess, tmp_path: Path) -> None:
    path, said = tmp_path / "a", list[Any]()
    path.write_bytes(b"old!")
    steps = [["overwrite", str(path), b"new?".hex()]]
    other.during({"root": str(tmp_path), "pipe": "", "point": 2, "act": steps}, reads(path, said))
    assert said == [b"old?"[:2] + b"w?"]


@injected
def test_a_call_fails_as_the_job_says_or_reads_less(other: OtherProcess, tmp_path: Path) -> None:
    path, said = tmp_path / "a", list[Any]()
    path.write_bytes(b"old!")
    job = {"root": str(tmp_path), "pipe": "", "point": 1, "only": ["pread"]}
    assert not other.during({**job, "point": 0, "fault": 28}, reads(path, []))["acted"]
    assert other.during({**job, "fault": 28}, reads(path, said))["acted"]
    assert other.during({**job, "fault": 0}, reads(path, said))["acted"]
    assert isinstance(said[0], OSError)
    assert said[0].errno == 28
    assert said[1] == b"od!"


def test_files_of_others_do_not_count(other: OtherProcess, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abcd")
    said = list[Any]()
    report = other.during({"root": str(tmp_path / "elsewhere"), "pipe": ""}, reads(tmp_path / "a", said))
    assert report.get("calls", []) == []
    assert said == ([] if REFUSED else [b"abcd"])


@pytest.mark.parametrize("trace", [True, False])
def test_a_wait_for_a_pipe_is_seen_and_ended_with_and_without_ptrace(
    other: OtherProcess, tmp_path: Path, trace: bool
) -> None:
    path, said = tmp_path / "a", list[Any]()
    os.mkfifo(path)
    job = {"root": str(tmp_path), "pipe": str(path), "trace": trace}
    assert other.during(job, lambda: said.append(path.read_bytes()))["waited"] > 0
    fed = other.during({**job, "feed": b"ab".hex()}, lambda: said.append(path.read_bytes()))
    assert fed["waited"] == 0
    assert said == [b"", b"ab"]


def test_without_ptrace_no_call_is_made_that_an_act_belongs_to(other: OtherProcess, tmp_path: Path) -> None:
    said = list[Any]()
    job = {"root": str(tmp_path), "pipe": "", "point": 0, "trace": False}
    assert "refused" in other.during(job, lambda: said.append(1))
    assert said == []


def test_a_tracer_that_cannot_be_started_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert "No such file or directory" in other_process.refusal()
