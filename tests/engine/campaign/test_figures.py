from __future__ import annotations

import json

from harness.engine.campaign.figures import TargetFigures, ledger_entry
from harness.engine.worker.status import WorkerStatus

STATUS = WorkerStatus(
    executions=10,
    forked=4,
    seconds=2.5,
    edges=7,
    semantic_features=3,
    stages={"accepted": 6},
    operators={"shape.zero": {"uses": 5, "kept": 1}},
    median_size=40,
    ns={"run": 9},
)


def test_figures_of_workers_and_of_sessions_add_up_alike() -> None:
    workers = TargetFigures().add(ledger_entry(STATUS)).add(ledger_entry(STATUS))
    session = json.loads(json.dumps(TargetFigures().add(ledger_entry(STATUS)).summary()))
    sessions = TargetFigures().add(session).add(session)
    assert workers == sessions
    summary = workers.summary()
    assert (summary["executions"], summary["isolated"], summary["seconds"]) == (20, 8, 5.0)
    assert (summary["edges"], summary["semantic_features"], summary["median_size"]) == (7, 3, 40)
    assert summary["operators"] == {"shape.zero": {"uses": 10, "kept": 2}}
    assert summary["executions_per_second"] == 4.0
    # JSON tells integers from other numbers.
    assert type(summary["executions"]) is type(summary["edges"]) is int


def test_damaged_figures_count_nothing() -> None:
    damaged = {"executions": "many", "seconds": float("nan"), "edges": None, "stages": [1], "operators": {"a": 3}}
    assert TargetFigures().add(damaged).summary() == TargetFigures(operators={"a": TargetFigures().stages}).summary()
