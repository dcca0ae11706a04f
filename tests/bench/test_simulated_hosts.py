"""A real driver with simulated hosts, which say again what one real unit said."""

from __future__ import annotations

import pytest

from harness.bench import simulated_hosts
from harness.parsers.registry import Parser

pytest.importorskip("obstore", reason="the extra cluster brings it")


def test_a_driver_takes_all_results_of_many_hosts(sancov_parser: Parser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated_hosts, "_RECORDED_S", 3.0)
    monkeypatch.setattr(simulated_hosts, "_REPORT_S", 0.2)
    recorded = simulated_hosts.record("deserialize", sancov_parser)
    assert recorded["executions"] > 0
    row = simulated_hosts.drive("deserialize", sancov_parser, 20, 12.0, 2.0, recorded)
    assert row["hosts"] == 20
    # All hosts had a second unit.
    assert row["units"] >= 40
    # One request gets a result; others are asked for by the clock.
    assert row["requests_per_unit"]["get"] >= 1
    assert row["executions"] == row["units"] * recorded["report"]["status"]["executions"]
