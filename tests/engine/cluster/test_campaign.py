"""A campaign over two hosts and a real S3 server, from start to end, killed and resumed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

from harness import paths
from harness.findings import store
from harness.store import records
from harness.store.objects import open_store
from tests.waiting import wait_until

from .parts import STORE, Cluster

TARGET = ("--target", "deserialize")


def begin(parts: Cluster, seconds: int) -> None:
    parts.scheduler()
    for number in (1, 2):
        parts.host(number)
        parts.joined(number)
    parts.driver(seconds, *TARGET)


def test_a_campaign_over_two_hosts_is_killed_and_resumed(parts: Cluster) -> None:
    begin(parts, 600)
    parts.fuzzes()
    wait_until(lambda: list((parts.campaign / "findings").glob("*/finding.json")), what="findings reach the driver")
    before = parts.everything()
    assert any(path.startswith("corpus/") for path in before)
    # One host is gone, and a new one gets its unit. Then the driver is gone.
    parts.kill_host(1)
    parts.fuzzes(2)
    parts.host(1)
    parts.joined(1, times=2)
    parts.fuzzes(1)
    parts.kill("driver")
    # The same command goes on, until both hosts have run inputs: on a busy machine they take a while to begin.
    parts.driver(600, *TARGET)
    wait_until(lambda: executions(parts, 2), what="the campaign goes on")
    parts.fuzzes()
    parts.interrupt()
    # Nothing of a unit is on its way any more.
    for name in ("host-1", "host-2", "scheduler"):
        parts.end(name)
    after = parts.everything()
    assert parts.lost(before) == []
    session = parts.session()
    assert session["ended"] == "interrupted"
    assert session["workers"] == 2
    assert session["executions"] > 0
    assert session["per_target"]["deserialize"]["curve"]
    assert session["per_target"]["deserialize"]["species"]["edges"]["seen"] > 0
    assert session["left_out"] == {}
    # The folder mirrors the store, the killed session too.
    objects = open_store(STORE)
    found = {about["id"] for about, _ in records.get_findings(objects, {})}
    assert found
    assert {one.id for one in store.findings(parts.campaign)} == found
    sessions = store.sessions(parts.campaign)
    assert [one["ended"] for one in sessions] == ["", "interrupted"]
    assert {one["id"] for one in records.get_sessions(objects, ())} == {one["id"] for one in sessions}
    own = {path.name for path in (parts.campaign / "corpus" / "deserialize").iterdir()}
    assert {path.rsplit("/", 1)[1] for path in parts.stored()} <= own | seeds()
    # Each unit's inputs are in the store, and the credentials are nowhere.
    for number in (1, 2):
        for place in parts.place(number).glob("*/slot-*/corpus/deserialize"):
            assert {f"corpus/deserialize/{path.name}" for path in place.iterdir() if path.name[0] != "."} <= after
    secret = parts.s3.secret.encode()
    told = [path for path in parts.folder.rglob("*") if path.is_file() and secret in path.read_bytes()]
    assert told == []


def executions(parts: Cluster, number: int) -> int:
    """The executions of the session of that number, counted from 1."""
    sessions = store.sessions(parts.campaign)
    return int(sessions[number - 1]["executions"]) if len(sessions) >= number else 0


def seeds() -> set[str]:
    return {path.name for path in (paths.corpus_dir() / "deserialize").iterdir()}


def test_a_host_with_little_shared_memory_runs_units_on_the_disk(parts: Cluster) -> None:
    if not parts.network.real:
        pytest.skip("needs the right to make namespaces")
    parts.scheduler()
    small = 'mount -t tmpfs -o size=64m tmpfs /dev/shm && unset HARNESS_SCRATCH && exec "$@"'
    parts.host(1, "unshare", "-m", "sh", "-c", small, "sh")
    parts.joined(1)
    doctor = [sys.executable, "-m", "harness", "cluster", "doctor", parts.address, "--store", STORE]
    parts.start("doctor", doctor)
    assert parts.wait("doctor") == 0, parts.log("doctor").read_text()
    assert "its units use the disk instead" in parts.log("doctor").read_text()
    parts.driver(600, *TARGET)
    wait_until(lambda: executions(parts, 1), what="the host runs inputs")
    parts.interrupt()
    assert parts.session()["executions"] > 0
    assert list(parts.place(1).glob("*/slot-0/memory"))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_hosts_with_certificates_talk_by_tls_alone(parts: Cluster) -> None:
    parts.secure()
    parts.scheduler()
    parts.host(1)
    parts.joined(1)
    told = {}
    for address in (parts.address, parts.address.replace("tls://", "tcp://")):
        parts.start("doctor", [sys.executable, "-m", "harness", "cluster", "doctor", address, "--store", STORE])
        told[address[:3]] = parts.wait("doctor")
    assert told == {"tls": 0, "tcp": 2}, parts.log("doctor").read_text()
    assert "no scheduler answers" in parts.log("doctor").read_text()
    assert "has no TLS" not in parts.log("doctor").read_text().partition("no scheduler answers")[0]


@pytest.mark.long
@pytest.mark.parametrize("part", ["worker", "host", "scheduler", "driver", "store"])
def test_twenty_kills_of_a_part_lose_nothing_and_the_campaign_goes_on(parts: Cluster, part: str) -> None:
    chance = random.Random(part)
    begin(parts, 36_000)
    parts.fuzzes()
    joined = {1: 1, 2: 1}
    for round_ in range(20):
        before = parts.everything()
        pause(chance.uniform(1, 8))
        if part == "worker":
            pids = [pid for number in (1, 2) for pid in workers(parts, number)]
            os.kill(chance.choice(pids), signal.SIGKILL)
        elif part == "host":
            number = 1 + round_ % 2
            parts.kill_host(number)
            parts.host(number)
            joined[number] += 1
            parts.joined(number, joined[number])
        elif part == "scheduler":
            parts.kill("scheduler")
            parts.scheduler()
            for number in (1, 2):
                joined[number] += 1
                parts.joined(number, joined[number])
        elif part == "driver":
            parts.kill("driver")
            parts.driver(36_000, *TARGET)
        else:
            parts.s3.kill()
            pause(chance.uniform(1, 8))
            parts.s3.start()
        parts.fuzzes()
        assert parts.lost(before) == [], f"round {round_}"
        assert parts.processes["driver"].poll() is None, parts.log("driver").read_text()
    parts.interrupt()
    assert parts.session()["ended"] == "interrupted"
    assert parts.session()["left_out"] == {}


def pause(seconds: float) -> None:
    time.sleep(seconds)


def workers(parts: Cluster, number: int) -> list[int]:
    """The fuzzing processes of a host."""

    def found() -> list[int]:
        host = parts.processes[f"host-{number}"].pid
        return [pid for pid in below(host) if "harness.engine.worker.main" in command(pid)]

    return wait_until(found, what=f"a worker on host {number}")


def below(pid: int) -> list[int]:
    try:
        own = [
            child
            for thread in Path(f"/proc/{pid}/task").iterdir()
            for child in map(int, (thread / "children").read_text().split())
        ]
    except OSError:
        return []
    return own + [deeper for child in own for deeper in below(child)]


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
