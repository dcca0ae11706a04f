"""The report of a unit as another machine reads it."""

from __future__ import annotations

import base64
import json
import time
import zlib
from pathlib import Path
from typing import Any

import pytest

from harness.engine.campaign import unit_report
from harness.engine.campaign.progress import Progress
from harness.engine.campaign.unit_report import Reporter, read_species, read_status
from harness.engine.cluster.supervisor import RemoteWorker
from harness.engine.worker import species
from harness.engine.worker.status import Moment, WorkerStatus

pytest.importorskip("obstore", reason="the extra cluster brings it")
STATE = {"waiting": 3, "lag_seconds": 1.5}


def test_a_report_sums_up_the_processes_of_a_unit(tmp_path: Path) -> None:
    progress = Progress(("deserialize",), 60.0, 0)
    for executions in (100, 50):
        moment = Moment(time.monotonic(), 1.0, executions, 5, 6, 7, 8, 0)
        one = RemoteWorker("deserialize", tmp_path)
        one.status = WorkerStatus(executions=executions, accepted=executions // 2, mutating=True, moments=[moment])
        progress.started(one)
        progress.update([one])
        progress.ended(one)
    progress.update([])
    reporter = Reporter("deserialize", tmp_path / "report.json", lambda: STATE)
    reporter(progress)
    report = json.loads((tmp_path / "report.json").read_text())
    status = read_status(report)
    assert (status.executions, status.accepted, status.mutating) == (150, 75, True)
    assert (report["waiting"], report["lag_seconds"]) == (3, 1.5)
    assert [moment.executions for moment in status.moments] == [100, 150]
    assert read_species(report) == b""
    last = reporter.last()
    assert species.of_bytes(read_species(last)) is not None


def test_moments_are_moved_to_the_clock_here() -> None:
    then = Moment(1000.0, 1.0, 5, 0, 0, 0, 0, 0)
    report = {"now": 1010.0, "status": json.loads(WorkerStatus(moments=[then]).to_json())}
    (moment,) = read_status(report).moments
    assert moment.clock == pytest.approx(time.monotonic() - 10.0, abs=1.0)


@pytest.mark.parametrize(
    "report",
    [{}, {"now": 1}, {"status": {}}, {"now": "x", "status": {}}, {"now": 1, "status": {"moments": [], "odd": 1}}],
)
def test_what_is_no_report_is_an_error(report: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no report of a unit"):
        read_status(report)


def test_tables_that_are_none_are_errors_or_empty() -> None:
    bomb = base64.b64encode(zlib.compress(b"\0" * (unit_report._SPECIES + 1000))).decode()
    assert len(read_species({"species": bomb})) <= unit_report._SPECIES
    with pytest.raises(ValueError, match="no table"):
        read_species({"species": base64.b64encode(b"nothing").decode()})
