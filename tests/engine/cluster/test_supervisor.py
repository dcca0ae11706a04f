"""A real driver whose hosts are simulated: when they are gone for a while, and when their results are none."""

from __future__ import annotations

import time
from typing import Any

import pytest

from harness.bench import simulated_hosts
from harness.bench.simulated_hosts import SimulatedHosts
from harness.engine.campaign.units import Result
from harness.engine.cluster.host import Task
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
