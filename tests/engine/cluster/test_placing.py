"""Addresses of schedulers, and the errors where there is none."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from harness.engine.cluster import placing, worker
from harness.engine.cluster.host import FOLDER
from harness.engine.cluster.placing import connect, scheduler, unsafe
from harness.errors import HarnessError
from tests.cli.running import run

pytest.importorskip("distributed", reason="the extra cluster brings it")
NOWHERE = "tcp://127.0.0.1:9"


@pytest.mark.parametrize(
    ("address", "safe"),
    [
        ("tcp://127.0.0.1:8786", True),
        ("127.0.0.1:8786", True),
        ("localhost:8786", True),
        ("tcp://[::1]:8786", True),
        ("tls://10.0.0.1:8786", True),
        ("tcp://10.0.0.1:8786", False),
        ("10.0.0.1:8786", False),
        ("scheduler.example:8786", False),
    ],
)
def test_a_scheduler_beyond_this_machine_without_tls_is_warned_of(address: str, safe: bool) -> None:
    assert (unsafe(address) == "") is safe


def test_an_address_is_taken_as_it_is() -> None:
    with scheduler("tcp://10.0.0.1:8786", 4) as address:
        assert address == "tcp://10.0.0.1:8786"


def test_local_without_hosts_is_an_error() -> None:
    with pytest.raises(HarnessError, match="no hosts"), scheduler("local:0", 4):
        pass


def test_a_host_that_is_left_out_is_checked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "CHECK_S", 0.0)
    monkeypatch.setenv(FOLDER, str(tmp_path / "host"))
    store = tmp_path / "store"
    # No store for a moment.
    store.touch()
    with scheduler("local:1", 1) as address:
        hosts = placing.Hosts(address, "ab" * 32, str(store))
        assert "cannot use the folder" in hosts.look()
        assert hosts.slots() == 0
        store.unlink()
        assert hosts.look() == ""
        assert hosts.slots() == 1
        hosts.close()


def test_no_scheduler_at_the_address_is_said_with_the_remedy() -> None:
    with pytest.raises(HarnessError, match=f"no scheduler answers at {NOWHERE}") as raised:
        connect(NOWHERE, 1.0)
    assert "dask scheduler" in raised.value.hint


FUZZ = ("fuzz", "--target", "deserialize", "--empty-corpus", "--cluster")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*FUZZ, NOWHERE, "--store", "STORE"), "no scheduler answers"),
        (("cluster", "doctor", NOWHERE), "no scheduler answers"),
        (("worker", NOWHERE, "--store", "/proc/nothing"), "cannot use the folder"),
        ((*FUZZ, "local:1", "--store", "memory://x"), "memory of one process"),
        ((*FUZZ, "local:1", "--store", "STORE", "--fresh"), "cannot be started over"),
        ((*FUZZ, "local:1", "--store", "s3://key:word@bucket"), "more than s3://"),
    ],
)
def test_commands_say_what_is_missing_and_leave_nothing(
    tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.setattr(placing, "ANSWER_S", 1.0)
    with pytest.raises(HarnessError, match=said) as raised:
        run(*(str(tmp_path / "store") if word == "STORE" else word for word in words))
    assert raised.value.exit_status == 2
    assert raised.value.hint
    assert not (project / "build" / "campaigns").exists()


@pytest.mark.parametrize("words", [("--cluster", NOWHERE), ("--store", "s3://bucket")])
def test_cluster_and_store_go_together(words: tuple[str, ...]) -> None:
    with pytest.raises(click.UsageError, match="go together"):
        run("fuzz", *words)


def test_a_host_without_a_scheduler_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "ANSWER_S", 1.0)
    monkeypatch.setenv(FOLDER, "")
    with pytest.raises(HarnessError, match="no scheduler answers"):
        run("worker", NOWHERE, "--store", tmp_path / "store", "--folder", tmp_path / "host", "--workers", 1)
