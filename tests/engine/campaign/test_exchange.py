"""The exchange between a folder and a store: what is pushed, what is pulled, and what waits while a store is away."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from harness import corpus_store
from harness.corpus_store import sha1
from harness.engine.campaign import exchange
from harness.engine.campaign.exchange import Exchange
from harness.errors import HarnessError
from harness.findings import store
from harness.findings.finding import Finding
from harness.store import records
from harness.store.objects import Objects, Unreachable, open_store
from harness.store.shared_corpus import SharedCorpus
from tests.waiting import wait_until

pytest.importorskip("obstore", reason="the extra cluster brings it")
PARSER = "ab" * 32


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return open_store(str(tmp_path / "store"))


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "EVERY_S", 0.05)


def add(folder: Path, *contents: bytes) -> list[str]:
    return [corpus_store.add(folder / "corpus" / "torch", data).name for data in contents]


def stored(objects: Objects) -> set[str]:
    return {entry.name for entry in objects.list("corpus/torch")}


def test_offers_reach_the_store_and_another_folder_gets_them(tmp_path: Path, objects: Objects) -> None:
    with (
        Exchange(objects, tmp_path / "a", "a", PARSER) as first,
        Exchange(objects, tmp_path / "b", "b", PARSER) as second,
    ):
        second.seed("torch")
        first.offer("torch", add(tmp_path / "a", b"one", b"two"))
        received: dict[str, bytes] = {}
        wait_until(lambda: received.update(second.received("torch")) or len(received) == 2, what="two inputs")
        # Its own inputs do not come back.
        assert first.received("torch") == {}
    assert received == {sha1(data): data for data in (b"one", b"two")}
    assert first.created == {"torch": set(received)}
    assert second.state()["pulled"] == 2
    # A later process starts with them, and asks for no older batch.
    requests = objects.requests["get"]
    later = Exchange(objects, tmp_path / "b", "b", PARSER)
    assert {path.name for path in later.seed("torch").iterdir()} == set(received)
    assert later.received("torch") == {}
    assert objects.requests["get"] <= requests + 1


def test_inputs_wait_on_the_disk_while_the_store_is_away(
    tmp_path: Path, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def away(*_: object) -> NoReturn:
        raise Unreachable("the store gives no answer", hint="check the network")

    with monkeypatch.context() as patch:
        patch.setattr(Objects, "create", away)
        first = Exchange(objects, tmp_path / "a", "a", PARSER, said.append)
        with first:
            first.offer("torch", add(tmp_path / "a", b"one", b"two"))
            wait_until(lambda: first.problem, what="an attempt")
        assert first.waiting() == 2
        wait_until(lambda: first.state()["lag_seconds"] > 0, what="a lag")
        with pytest.raises(HarnessError, match="2 inputs wait in") as raised:
            first.finish(0.1)
        assert "run the same command again" in raised.value.hint
    assert len(said) == 1
    # Another process takes them up.
    second = Exchange(objects, tmp_path / "a", "a", PARSER)
    assert second.waiting() == 2
    second.finish(10.0)
    assert stored(objects) == {sha1(b"one"), sha1(b"two")}
    assert second.state()["waiting"] == 0
    assert Exchange(objects, tmp_path / "a", "a", PARSER).waiting() == 0


def test_names_that_were_read_wait_for_their_inputs(
    tmp_path: Path, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Exchange(objects, tmp_path / "a", "a", PARSER)
    reader.seed("torch")
    SharedCorpus(objects, "torch", PARSER).push({sha1(b"one"): b"one"}, "b")

    def away(*_: object) -> NoReturn:
        raise Unreachable("the store gives no answer")

    with monkeypatch.context() as patch:
        patch.setattr(SharedCorpus, "_fetched", away)
        with pytest.raises(HarnessError, match="no answer"):
            reader.finish(0.0)
    reader.finish(0.0)
    assert reader.received("torch") == {sha1(b"one"): b"one"}


def test_an_input_that_was_replaced_meanwhile_is_passed_over(tmp_path: Path, objects: Objects) -> None:
    first = Exchange(objects, tmp_path / "a", "a", PARSER)
    first.offer("torch", [*add(tmp_path / "a", b"one"), sha1(b"gone")])
    first.finish(10.0)
    assert stored(objects) == {sha1(b"one")}


def test_findings_and_guards_are_pushed_once_and_the_first_host_gets_credit(tmp_path: Path, objects: Objects) -> None:
    finding = Finding.of_signature("torch|panic|contract.panic|somewhere", "contract", "it panics")
    for name in ("a", "b"):
        store.add(tmp_path / name, finding, b"input of " + name.encode(), parser="0.8.0", seed=1)
    store.set_guard(tmp_path / "a", finding.id, ["F8"])
    first, second = (Exchange(objects, tmp_path / name, name, PARSER) for name in ("a", "b"))
    for one in (first, second):
        one.finish(10.0)
    assert (first.first, second.first) == ({finding.id}, set())
    assert second.guards("torch") == ('["F8"]',)
    assert len(objects.list("findings")) == 2
    puts = objects.requests["put"]
    Exchange(objects, tmp_path / "a", "a", PARSER).finish(10.0)
    assert objects.requests["put"] == puts
    store.replace_input(store.findings(tmp_path / "b")[0], b"less", "it panics")
    second.finish(10.0)
    assert [data for _, data in records.get_findings(objects, {})] == [b"less"]


def test_a_full_disk_is_no_end(tmp_path: Path, objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Exchange(objects, tmp_path / "a", "a", PARSER)
    reader.seed("torch")
    SharedCorpus(objects, "torch", PARSER).push({sha1(b"one"): b"one"}, "b")

    def full(*_: object, **__: object) -> NoReturn:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(corpus_store, "add", full)
        with reader:
            wait_until(lambda: "No space left" in reader.problem, what="the attempt to write")
    reader.finish(10.0)
    assert reader.problem == ""
    assert reader.received("torch") == {sha1(b"one"): b"one"}
