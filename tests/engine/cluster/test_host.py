"""The part of a unit that runs on a host: folders, the end of units that nobody waits for, and hosts that cannot run one."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import pytest

from harness.engine.campaign.units import Unit
from harness.engine.cluster import host
from harness.engine.cluster.host import Task, UnitTask
from harness.parsers.registry import Parser
from harness.store import records
from harness.store.objects import open_store

pytest.importorskip("obstore", reason="the extra cluster brings it")


@pytest.fixture
def task(tmp_path: Path, sancov_parser: Parser) -> Task:
    unit = dataclasses.asdict(Unit("deserialize", sancov_parser.name, 1, (), seconds=600.0))
    return UnitTask(
        "unit-1", str(tmp_path / "store"), sancov_parser.name, sancov_parser.content, "topic", unit, time.time() + 900
    )


def test_units_at_a_time_have_folders_of_their_own(tmp_path: Path) -> None:
    with host._slot(tmp_path) as first, host._slot(tmp_path) as second:
        assert (first.name, second.name) == ("slot-0", "slot-1")
    with host._slot(tmp_path) as again:
        assert again.name == "slot-0"


def test_a_unit_that_nobody_waits_for_ends_and_stores_its_result(tmp_path: Path, task: Task) -> None:
    (tmp_path / "slot").mkdir()
    reports: list[dict[str, Any]] = []
    ran = lambda: bool(reports) and reports[-1]["status"]["executions"] > 0  # noqa: E731
    status, words = host.run_in(task, tmp_path / "slot", lambda: not ran(), reports.append)
    assert status == 0, words
    result = records.get_result(open_store(task.store), "unit-1")
    assert result is not None
    assert result["executions"] >= reports[-1]["status"]["executions"]
    # The target makes no programs, and few inputs.
    assert (result["report"]["passed_over"], result["report"]["wheel"]) == (0, {"given": 0, "ran": 0})
    # A second time it has its result.
    status, words = host.run_in(task, tmp_path / "slot", lambda: True, reports.append)
    assert (status, "has a result in the store" in words) == (0, True)


def test_a_host_without_room_or_without_the_parser_runs_none(
    tmp_path: Path, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slot").mkdir()
    status, words = host.run_in(
        dataclasses.replace(task, content="ab" * 32), tmp_path / "slot", lambda: True, lambda _: None
    )
    assert (status, "there is no parser abababababab" in words) == (2, True)
    monkeypatch.setattr(host, "DISK_MB", 1 << 40)
    status, words = host.run_in(task, tmp_path / "slot", lambda: True, lambda _: None)
    assert (status, "of free disk" in words) == (2, True)
    assert not (tmp_path / "slot" / "unit.json").exists()


def test_a_host_has_a_folder_for_each_store_and_parser(task: Task) -> None:
    others = [dataclasses.replace(task, store="s3://other"), dataclasses.replace(task, content="ab" * 32)]
    assert len({host._campaign(one) for one in (task, *others)}) == 3
    assert host._campaign(dataclasses.replace(task, id="another")) == host._campaign(task)
