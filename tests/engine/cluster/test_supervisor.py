"""A real driver whose hosts are simulated: when they are gone for a while, and when their results are none."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from harness.bench import simulated_hosts
from harness.bench.simulated_hosts import SimulatedHosts
from harness.engine.campaign.units import Result
from harness.engine.cluster.host import Task
from harness.engine.cluster.supervisor import RemoteWorker
from harness.engine.worker.status import WorkerStatus
from harness.parsers.registry import Parser

pytest.importorskip("obstore", reason="the extra cluster brings it")


class Away(SimulatedHosts):
    """No host is there for some seconds after the first units have ended."""

    submitted = 0
    later = 0
    away = (0.0, 0.0)

    def free(self) -> bool:
        here = not self.away[0] < time.monotonic() < self.away[1]
        return here and super().free()

    def submit(self, task: Task) -> Any:
        Away.submitted += 1
        if Away.submitted == 1:
            Away.away = (time.monotonic() + 0.5, time.monotonic() + 4.0)
        Away.later += time.monotonic() > Away.away[1]
        return super().submit(task)


def recorded(**changed: object) -> dict[str, Any]:
    return {**vars(Result("deserialize", seconds=1.0, start_seconds=0.1)), **changed}


def test_a_driver_waits_while_there_is_no_host(sancov_parser: Parser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated_hosts, "SimulatedHosts", Away)
    simulated_hosts.drive("deserialize", sancov_parser, 2, 12.0, 1.0, recorded())
    assert Away.later > 0


def test_reports_have_what_a_unit_did_not_save_and_what_ran_on_its_wheel(tmp_path: Path) -> None:
    worker = RemoteWorker("deserialize", tmp_path)
    report = {"status": json.loads(WorkerStatus().to_json()), "now": time.monotonic()}
    worker.take({**report, "passed_over": 3, "wheel": {"given": 2, "ran": 1}})
    # One that comes late or is damaged takes nothing away.
    worker.take({**report, "passed_over": 1, "wheel": {"given": "many"}})
    assert (worker.passed_over, worker.wheel) == (3, {"given": 2, "ran": 1})


@pytest.mark.parametrize(
    "changed",
    [
        {"seconds": "long"},
        {"target": "another"},
        {"odd": 1},
        {"edges": [1, 2, 3]},
        {"report": {"status": {"executions": "many"}, "now": 1}},
        {"report": {"species": "nothing"}},
    ],
)
def test_a_result_that_is_none_ends_no_campaign(
    sancov_parser: Parser, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any]
) -> None:
    row = simulated_hosts.drive("deserialize", sancov_parser, 1, 4.0, 1.0, recorded(**changed))
    assert row["units"] > 1
    assert row["executions"] == 0
