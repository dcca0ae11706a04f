"""Tasks on hosts of a real scheduler, one of which is killed in the middle."""

from __future__ import annotations

import signal
import sys

import pytest

from harness.engine.cluster import placing
from harness.errors import HarnessError
from harness.parsers.registry import Parser
from harness.store.objects import open_store
from harness.tasks.kinds import Place
from tests.cli.running import run
from tests.engine.cluster.parts import STORE, Cluster
from tests.waiting import wait_until

from .conftest import fill

pytest.importorskip("distributed", reason="the extra cluster brings it")
NOWHERE = "tcp://127.0.0.1:9"


def begin(parts: Cluster, parser: Parser, *words: str, count: int = 20) -> None:
    fill(open_store(STORE), parser, count)
    parts.scheduler()
    parts.host(1)
    parts.joined(1)
    parts.start("tasks", [sys.executable, "-m", "harness", "cluster", *words, "--store", STORE, "--on", parts.address])


def says(parts: Cluster, text: str) -> bool:
    return text in parts.log("tasks").read_text()


def test_tasks_of_a_killed_host_go_to_another_one(
    parts: Cluster, sancov_parser: Parser, coverage_parser: Parser
) -> None:
    begin(parts, sancov_parser, "coverage")
    wait_until(lambda: says(parts, ": on tcp://"), what="a task is on a host")
    parts.kill_host(1)
    parts.host(2)
    assert parts.wait("tasks") == 0, parts.log("tasks").read_text()
    assert says(parts, "is given to a host again: its host is gone")
    for target in ("deserialize", "numpy"):
        assert says(parts, f"{target}: 20 inputs replayed")
    assert says(parts, "all Rust")


def test_a_task_that_fails_is_told_and_the_others_are_done(
    parts: Cluster, sancov_parser: Parser, coverage_parser: Parser
) -> None:
    begin(parts, sancov_parser, "coverage", "--target", "model", "--target", "numpy")
    assert parts.wait("tasks") == 2, parts.log("tasks").read_text()
    assert says(parts, "model does not run the parser")
    assert says(parts, "numpy: 20 inputs replayed")


def test_ctrl_c_ends_the_command_and_the_host_takes_other_tasks(parts: Cluster, sancov_parser: Parser) -> None:
    # So many inputs that a task takes seconds.
    begin(parts, sancov_parser, "prune", count=400)
    wait_until(lambda: says(parts, ": on tcp://"), what="a task is on a host")
    parts.processes["tasks"].send_signal(signal.SIGINT)
    assert parts.wait("tasks") == 130, parts.log("tasks").read_text()
    words = ["cluster", "minimize", "--store", STORE, "--on", parts.address]
    parts.start("tasks", [sys.executable, "-m", "harness", *words])
    assert parts.wait("tasks") == 0, parts.log("tasks").read_text()
    assert says(parts, " -> 11 bytes")


def test_without_a_scheduler_nothing_is_done(
    place: Place, monkeypatch: pytest.MonkeyPatch, sancov_parser: Parser
) -> None:
    monkeypatch.setattr(placing, "ANSWER_S", 1.0)
    with pytest.raises(HarnessError, match="no scheduler answers") as raised:
        run("cluster", "prune", "--store", place.objects.address, "--on", NOWHERE)
    assert raised.value.exit_status == 2
    assert len(place.objects.list("corpus")) == 40
