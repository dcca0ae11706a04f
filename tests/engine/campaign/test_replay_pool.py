"""New findings run again in fresh processes of the real parser; the campaign around them is only a folder here."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from click.testing import CliRunner

from harness.cli.main import group
from harness.engine.campaign import replay_pool
from harness.engine.campaign.plans import Listed
from harness.engine.campaign.process import WorkerProcess, new_settings
from harness.engine.campaign.progress import Progress
from harness.engine.campaign.replay_pool import ReplayPool
from harness.engine.campaign.stop import Stop
from harness.engine.campaign.supervisor import Supervisor
from harness.engine.worker import memory
from harness.findings import store
from harness.findings.finding import Finding
from harness.oracles import contract, differential
from harness.parsers.registry import Parser
from harness.replay import replay

TWICE_IN_METADATA = b"\x24\0\0\0\0\0\0\0" + b'{"__metadata__":{"a":"1","a":"2"}}  '
SHOWS = Finding(differential.RULES["header.duplicate-key"], "accepted/metadata-key", "it shows", target="deserialize")
SHOWS_NOT = Finding(contract.RAISED, "NoSuchError", "it does not show", target="deserialize")


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loaded machine takes longer than a campaign waits."""
    monkeypatch.setattr(replay_pool, "FINISH_S", (300.0, 300.0))


def stored(campaign: Path, finding: Finding, parser: Parser) -> str:
    """The id of ``finding``, which is new in ``campaign``."""
    assert store.add(campaign, finding, TWICE_IN_METADATA, parser=parser.name, seed=1)
    return finding.id


def confirm(campaign: Path, *names: str, hurry: bool = False) -> dict[str, dict[str, Any]]:
    with ReplayPool(campaign, sample=False) as pool:
        for _ in range(2):  # asked for at each look, done once
            pool.confirm({name: {"known": ""} for name in names} | {"filed": {"known": "filed"}})
        pool.finish(hurry=lambda: hurry)
        return dict(pool.replayed())


def test_many_findings_of_one_target_let_others_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sancov_parser: Parser
) -> None:
    monkeypatch.setattr(replay_pool, "REPLAYS", 1)
    many = [
        stored(tmp_path, Finding(contract.RAISED, f"NoSuchError{number}", "it does not show", target="deserialize"), sancov_parser)
        for number in range(4)
    ]  # fmt: skip
    last = stored(
        tmp_path, Finding(contract.RAISED, "NoSuchError", "of another target", target="safe_open"), sancov_parser
    )
    with ReplayPool(tmp_path, sample=False) as pool:
        pool.confirm({name: {"target": "deserialize"} for name in many} | {last: {"target": "safe_open"}})
        pool.finish()
        assert [name for name, _ in pool.replayed()].index(last) <= 1


def test_what_shows_each_time_holds_and_what_does_not_is_flaky(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sancov_parser: Parser
) -> None:
    monkeypatch.setattr(replay_pool, "REPLAYS", 2)
    held, lost = (stored(tmp_path, finding, sancov_parser) for finding in (SHOWS, SHOWS_NOT))
    before = replay.cpu_seconds()
    found = confirm(tmp_path, held, lost)
    assert replay.cpu_seconds() > before
    assert found == {
        held: {"replays": {"runs": 2, "held": 2}, "flaky": False},
        lost: {"replays": {"runs": 2, "held": 0}, "flaky": True},
    }
    kept = {one.id: {name: one.fields[name] for name in ("replays", "flaky")} for one in store.findings(tmp_path)}
    assert kept == found
    # Once is enough, whoever asks.
    monkeypatch.setattr(replay_pool, "FINISH_S", (0.5, 0.5))
    assert confirm(tmp_path, held) == {held: found[held]}
    printed = CliRunner().invoke(group, ["findings", "--campaign", str(tmp_path)], standalone_mode=False).output
    assert "FLAKY: shows 0 of 2 times" in printed
    rows = CliRunner().invoke(group, ["findings", "--campaign", str(tmp_path), "--json"], standalone_mode=False).output
    assert {row["id"]: {name: row[name] for name in ("replays", "flaky")} for row in json.loads(rows)} == found


def test_what_is_not_reached_in_time_is_said_to_be_not_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sancov_parser: Parser
) -> None:
    monkeypatch.setattr(replay_pool, "FINISH_S", (0.0, 0.0))
    name = stored(tmp_path, SHOWS, sancov_parser)
    assert confirm(tmp_path, name, hurry=True) == {name: {"replays": {"runs": 0, "held": 0}, "flaky": False}}
    # What an earlier campaign saw of it stays.
    seen = {"replays": {"runs": 3, "held": 2}, "flaky": True}
    (one,) = store.findings(tmp_path)
    store.update(one, **seen)
    assert confirm(tmp_path, name, hurry=True) == {name: seen}


def test_a_run_that_is_not_done_in_time_is_ended_and_counts_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sancov_parser: Parser
) -> None:
    monkeypatch.setattr(replay_pool, "FINISH_S", (0.0, 300.0))
    monkeypatch.setattr(replay_pool, "_SAID_EVERY", 0.01)
    started = []
    really = replay.Replayer._start

    def start(self: replay.Replayer) -> Any:
        started.append(self)
        return really(self)

    monkeypatch.setattr(replay.Replayer, "_start", start)
    name = stored(tmp_path, SHOWS, sancov_parser)
    with ReplayPool(tmp_path, sample=False) as pool:
        monkeypatch.setattr(pool, "_began", float("-inf"))
        pool.confirm({name: {"known": ""}})
        pool.finish(hurry=lambda: bool(started))  # before the process can even load the parser
        assert dict(pool.replayed()) == {name: {"replays": {"runs": 0, "held": 0}, "flaky": False}}
    assert started
    assert [one._child for one in started] == [None] * len(started)


def test_each_runs_once_before_any_runs_twice_when_the_campaign_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sancov_parser: Parser
) -> None:
    monkeypatch.setattr(replay_pool, "FINISH_S", (0.0, 300.0))
    names = [stored(tmp_path, finding, sancov_parser) for finding in (SHOWS, SHOWS_NOT)]
    said: list[str] = []
    with ReplayPool(tmp_path, sample=False) as pool:
        monkeypatch.setattr(pool, "_began", float("-inf"))
        pool.confirm({name: {} for name in names})
        done = "replays: {} of 20 runs".format
        pool.finish(hurry=lambda: bool(said) and said[-1] >= done(2), say=said.append)
        found = dict(pool.replayed())
    assert said[0] == done(0)
    assert said[-1] == ""
    first, second = (found[name]["replays"]["runs"] for name in names)
    assert min(first, second) >= 1
    assert abs(first - second) <= 1
    assert {name: fields["flaky"] for name, fields in found.items()} == dict(zip(names, (False, True), strict=True))


def test_a_replay_whose_result_cannot_be_stored_is_said_and_the_ledger_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sancov_parser: Parser
) -> None:
    monkeypatch.setattr(replay_pool, "REPLAYS", 1)
    name = stored(tmp_path, SHOWS, sancov_parser)
    lock = tmp_path / "findings" / ".lock"
    lock.unlink()
    lock.mkdir()
    progress = Progress(("deserialize",), 0.0, 1)
    progress.findings[name] = {"known": ""}
    shown: list[str] = []
    with ReplayPool(tmp_path, sample=False) as pool:
        plan, stop = Listed([]), Stop()
        Supervisor(tmp_path, plan, 1, progress, pool, stop, view=lambda seen: shown.append(seen.warning)).run()
    assert progress.warning.startswith("a replay's result is not stored: ")
    assert str(lock) in progress.warning
    assert shown[-1] == progress.warning
    assert progress.findings[name]["replays"] == {"runs": 1, "held": 1}
    assert pool.failed() == []


def test_a_finding_of_an_input_that_ran_apart_and_cannot_be_stored_is_said(
    tmp_path: Path, sancov_parser: Parser
) -> None:
    settings = new_settings(target="deserialize", parser=sancov_parser.name, seed=1, campaign=tmp_path)
    try:
        (settings.memory / memory.SKIPPED).write_bytes(TWICE_IN_METADATA)
        (tmp_path / "findings").write_text("")
        with ReplayPool(tmp_path, sample=False) as pool:
            pool.offer(cast("WorkerProcess", SimpleNamespace(settings=settings)))
            pool.finish()
            (said,) = pool.failed()
        assert said.startswith("a replay's result is not stored: ")
        assert str(tmp_path / "findings") in said
        assert pool.found() == []
    finally:
        memory.remove(settings.memory)


def test_an_input_that_ran_apart_until_the_time_was_over_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sancov_parser: Parser
) -> None:
    monkeypatch.setattr(replay_pool, "FINISH_S", (0.0, 0.0))
    settings = new_settings(target="deserialize", parser=sancov_parser.name, seed=1, campaign=tmp_path)
    try:
        (settings.memory / memory.SKIPPED).write_bytes(TWICE_IN_METADATA)
        with ReplayPool(tmp_path, sample=False) as pool:
            pool.offer(cast("WorkerProcess", SimpleNamespace(settings=settings)))
            pool.finish()
            assert (pool.failed(), pool.found()) == ([], [])
    finally:
        memory.remove(settings.memory)
