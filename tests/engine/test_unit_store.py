"""Units that share a campaign through a real S3 server, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import paths
from harness.corpus_store import sha1
from harness.engine.campaign.shared_unit import identity
from harness.engine.campaign.units import Result, Unit
from harness.findings import store
from harness.parsers import registry
from harness.store import records
from harness.store.objects import open_store
from harness.targets import scratch
from tests import s3_server
from tests.s3_server import S3Server
from tests.waiting import LONG, wait_until

from .conftest import Fuzz

pytest.importorskip("obstore", reason="the extra cluster brings it")
STORE = "s3://fuzz/night"


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[S3Server]:
    with s3_server.running(tmp_path / "s3") as server, s3_server.known(server):
        yield server


class Host:
    """A folder in which units run by the command of a CI job."""

    def __init__(self, fuzz: Fuzz, folder: Path) -> None:
        self._fuzz = fuzz
        self.folder = folder
        folder.mkdir()

    def start(self, unit: Unit, *arguments: str, address: str = STORE) -> subprocess.Popen[str]:
        unit.save(self.folder / "unit.json")
        files = [str(self.folder / name) for name in ("unit.json", "result.json")]
        return subprocess.Popen(
            [sys.executable, "-m", "harness.engine.unit", *files, "--store", address, *arguments],
            env=self._fuzz.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, unit: Unit, *arguments: str, address: str = STORE) -> tuple[int, str]:
        process = self.start(unit, *arguments, address=address)
        _, errors = process.communicate(timeout=LONG)
        return process.returncode, errors

    @property
    def result(self) -> Result:
        return Result.load(self.folder / "result.json")

    def status(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.folder / "store" / "status.json").read_text())
        except FileNotFoundError:
            return {}
        return found

    def unsaved(self, address: str = STORE, target: str = "deserialize") -> set[str]:
        """The inputs of the folder that the store lacks."""
        there = {entry.name for entry in open_store(address).list(f"corpus/{target}")}
        own = self.folder / "corpus" / target
        return {path.name for path in own.iterdir() if not path.name.startswith(".")} - there if own.is_dir() else set()


def unit(seed: int = 1, seconds: float = 6.0, target: str = "deserialize", **more: Any) -> Unit:
    return Unit(target, None, seed, (paths.corpus_dir() / "deserialize",), seconds=seconds, **more)


def test_two_units_at_once_share_inputs_and_each_gets_credit_for_its_own(
    tmp_path: Path, fuzz: Fuzz, s3: S3Server
) -> None:
    hosts = [Host(fuzz, tmp_path / name) for name in ("a", "b")]
    processes = [host.start(unit(seed, 15.0), "--id", f"unit-{seed}") for seed, host in enumerate(hosts)]
    for process in processes:
        _, errors = process.communicate(timeout=LONG)
        assert process.returncode == 0, errors
    first, second = (host.result for host in hosts)
    assert first.corpus
    assert second.corpus
    assert not set(first.corpus) & set(second.corpus)
    there = {entry.name for entry in open_store(STORE).list("corpus/deserialize")}
    assert first.store["created"] + second.store["created"] == len(there)
    assert first.store["pulled"] + second.store["pulled"] > 0
    for host in hosts:
        assert host.unsaved() == set()
        for name in host.folder.glob("store/seeds/deserialize/*"):
            assert sha1(name.read_bytes()) == name.name
    found = {about["id"] for about, _ in records.get_findings(open_store(STORE), {})}
    assert found == {one.id for host in hosts for one in store.findings(host.folder)}
    assert found
    # A third one starts with all of it, and each result stays.
    third = Host(fuzz, tmp_path / "c")
    status, errors = third.run(unit(7, 2.0), "--id", "unit-7")
    assert status == 0, errors
    assert third.result.store["pulled"] >= len(there)
    assert third.result.edges[0] > max(first.edges[0], second.edges[0])
    status, errors = third.run(unit(7, 600.0), "--id", "unit-7")
    assert status == 0
    assert "unit-7 has a result in the store" in errors
    assert third.result.executions == Result.of(records.get_result(open_store(STORE), "unit-7"), "").executions
    secret = os.environ["AWS_SECRET_ACCESS_KEY"].encode()
    for host in (*hosts, third):
        assert [path for path in host.folder.rglob("*") if path.is_file() and secret in path.read_bytes()] == []


def test_a_unit_goes_on_without_its_store_and_stores_all_of_it_later(tmp_path: Path, fuzz: Fuzz, s3: S3Server) -> None:
    host = Host(fuzz, tmp_path / "a")
    process = host.start(unit(seconds=25.0), "--id", "unit", "--patience", "1")
    wait_until(lambda: host.status().get("created"), what="the first inputs to be stored")
    s3.kill()
    wait_until(lambda: host.status().get("waiting", 0) > 0 and host.status()["problem"], what="inputs to wait")
    assert host.status()["lag_seconds"] > 0
    _, errors = process.communicate(timeout=LONG)
    assert process.returncode == 2
    assert "fuzzing goes on" in errors
    assert "run the same command again" in errors
    assert not (host.folder / "result.json").exists()
    s3.start()
    waiting = host.unsaved()
    assert waiting
    # An hour would be too long for this test: nothing is run again.
    status, errors = host.run(unit(seconds=3600.0), "--id", "unit")
    assert status == 0, errors
    assert host.unsaved() == set()
    assert host.result.executions > 0
    assert waiting & set(host.result.corpus)
    assert records.get_result(open_store(STORE), "unit") is not None


def test_a_killed_unit_is_resumed_by_the_same_command(tmp_path: Path, fuzz: Fuzz, s3: S3Server) -> None:
    host = Host(fuzz, tmp_path / "a")
    process = host.start(unit(seconds=600.0), "--id", "unit")
    wait_until(lambda: host.status().get("created"), what="the first inputs to be stored")
    stored = {entry.path for entry in open_store(STORE).list("corpus/deserialize")}
    process.kill()
    process.communicate()
    status, errors = host.run(unit(seconds=3.0), "--id", "unit")
    assert status == 0, errors
    assert host.unsaved() == set()
    assert stored <= {entry.path for entry in open_store(STORE).list("corpus/deserialize")}
    # No worker's folder stays in memory.
    assert list(Path(scratch.base()).glob("safetensors-harness-*")) == []


def test_guards_in_the_store_keep_workers_alive(tmp_path: Path, fuzz: Fuzz, s3: S3Server) -> None:
    (tmp_path / "seeds").mkdir()
    entry = b'{"a":{"dtype":"F8_E8M0","shape":[1],"data_offsets":[0,1]}}'
    deadly = len(entry).to_bytes(8, "little") + entry + b"\0"
    good = deadly.replace(b"F8_E8M0", b"F8_E4M3")
    for data in (deadly, good):
        (tmp_path / "seeds" / sha1(data)).write_bytes(data)
    records.put_guard(open_store(STORE), "deadly", ["F8_E8M0"])
    host = Host(fuzz, tmp_path / "a")
    # A number of runs repeats: in more of them, another spelling of the dtype may pass the guard.
    status, errors = host.run(Unit("deadly", None, 1, (tmp_path / "seeds",), runs=300))
    assert status == 0, errors
    assert host.result.workers == 1
    assert host.result.statistics["guarded"] > 0


def test_hostile_content_is_refused_and_named_while_the_unit_runs(tmp_path: Path, fuzz: Fuzz, s3: S3Server) -> None:
    objects, host = open_store(STORE), Host(fuzz, tmp_path / "a")
    lie = sha1(b"one")
    objects.create(f"corpus/deserialize/{lie}", b"another")
    objects.create("corpus/deserialize/README", b"")
    objects.create("findings/x/00000001-" + lie + ".json", b"{")
    status, errors = host.run(unit(seconds=2.0))
    assert status == 0, errors
    assert host.result.store["refused_names"] == {
        f"corpus/deserialize/{lie}": "content does not match its name",
        "corpus/deserialize/README": "no name of an input",
    }


@pytest.mark.parametrize(
    ("address", "changes", "words"),
    [
        ("s3://nowhere/night", {}, "make the bucket"),
        ("s3://fuzz/night", {"AWS_SECRET_ACCESS_KEY": "wrong-secret"}, "check AWS_ACCESS_KEY_ID"),
        ("s3://fuzz/night", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "gives no answer"),
        ("s3://key:wrong-secret@fuzz/night", {}, "put credentials into the environment"),
        ("s3://fuzz/other", {}, "belongs to another campaign"),
        ("s3://fuzz/numpy", {}, "it has no target deserialize"),
    ],
)
def test_a_store_that_cannot_be_used_ends_with_2_and_nothing_half_written(
    tmp_path: Path,
    fuzz: Fuzz,
    s3: S3Server,
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    changes: dict[str, str],
    words: str,
) -> None:
    mine = {"format": 1, "harness": "0.1.0", "python": ".".join(map(str, sys.version_info[:2]))}
    open_store("s3://fuzz/other").create(records.IDENTITY, json.dumps(mine | {"parser": "ab" * 32}).encode())
    records.join(open_store("s3://fuzz/numpy"), identity(registry.find(), ("numpy",)))
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    host = Host(fuzz, tmp_path / "a")
    status, errors = host.run(unit(), address=address)
    assert status == 2
    assert words in errors
    assert "wrong-secret" not in errors
    assert "Traceback" not in errors
    assert not (host.folder / "result.json").exists()
    assert not (host.folder / "corpus").exists()
