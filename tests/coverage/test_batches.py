"""Children that die must not take along what other inputs reached."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.coverage import batches
from harness.errors import EngineError
from harness.targets import scratch
from tests.waiting import wait_until


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each child makes a folder in memory; none may stay, however its inputs end."""
    (tmp_path / "memory").mkdir()
    monkeypatch.setenv(scratch.VARIABLE, str(tmp_path / "memory"))
    yield
    assert list((tmp_path / "memory").iterdir()) == []


def run(
    tmp_path: Path,
    inputs: list[bytes],
    *,
    broken: bool = False,
    batch: int = 500,
    rerun: bool = True,
    workers: int = 1,
) -> tuple[batches.Replayed, list[str]]:
    out = tmp_path / "out"
    out.mkdir(exist_ok=True)
    settings = {"out": str(out), "mark": str(tmp_path / "mark"), "broken": broken}
    found = batches.run("tests.coverage.dying_child", inputs, settings, batch=batch, rerun=rerun, workers=workers)
    return found, sorted(line for file in out.iterdir() for line in file.read_text().splitlines())


def test_everything_runs_once(tmp_path):
    inputs = [b"%d" % i for i in range(7)]
    found, ran = run(tmp_path, inputs, batch=3)
    assert found == batches.Replayed(executed=7)
    assert ran == [f"{i} {i}" for i in range(7)]


def test_fatal_inputs_are_left_out_and_the_rest_still_counts(tmp_path):
    inputs = [b"a", b"segfault", b"b", b"c", b"hang", b"d", b"exit"]
    found, ran = run(tmp_path, inputs)
    assert found.deaths == [(1, "SIGSEGV"), (4, "SIGALRM"), (6, "exit status 7")]
    assert found.executed == 4
    assert ran == ["0 a", "2 b", "3 c", "5 d"]


def test_an_input_that_kills_only_once_is_left_out(tmp_path):
    found, ran = run(tmp_path, [b"a", b"once", b"b"])
    assert found.deaths == [(1, "SIGKILL")]
    assert ran == ["0 a", "2 b"]


def test_without_rerun_what_ran_before_a_death_is_not_run_again(tmp_path):
    found, ran = run(tmp_path, [b"a", b"segfault", b"b"], rerun=False)
    assert (found.executed, found.deaths) == (2, [(1, "SIGSEGV")])
    # This child reports at its end, so what it ran before its death is lost: the caller asked for that.
    assert ran == ["2 b"]


def test_a_defect_of_the_harness_is_not_blamed_on_an_input(tmp_path):
    with pytest.raises(EngineError, match="a defect of the harness"):
        run(tmp_path, [b"a", b"defect", b"b"])


def test_several_at_a_time_run_everything_once_and_name_the_dead_in_order(tmp_path):
    inputs = [b"a", b"segfault", b"b", b"c", b"exit", b"d", b"e"]
    found, ran = run(tmp_path, inputs, batch=2, workers=3)
    assert found.deaths == [(1, "SIGSEGV"), (4, "exit status 7")]
    assert found.executed == 5
    assert ran == ["0 a", "2 b", "3 c", "5 d", "6 e"]


def test_a_defect_in_one_of_several_is_raised(tmp_path):
    with pytest.raises(EngineError, match="a defect of the harness"):
        run(tmp_path, [b"a", b"b", b"defect", b"c"], batch=1, workers=2)


def test_no_inputs_start_no_process(tmp_path):
    assert run(tmp_path, []) == (batches.Replayed(), [])


def test_a_child_that_cannot_start_is_an_error_with_its_words(tmp_path):
    with pytest.raises(EngineError, match="exit status 1: cannot load the parser"):
        run(tmp_path, [b"a"], broken=True)


def test_ctrl_c_kills_the_children(tmp_path):
    """An input that runs has 20 s; nobody waits for it."""

    def interrupt() -> None:
        wait_until(lambda: any((tmp_path / "memory").glob("*/*dying*")), what="a child runs")
        os.kill(os.getpid(), signal.SIGINT)

    # A shell starts commands in the background with SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, [b"sleep"])
    finally:
        signal.signal(signal.SIGINT, before)
