from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

from harness.engine.campaign.figures import TargetFigures
from harness.engine.campaign.progress import Progress
from harness.engine.worker.status import WorkerStatus


def test_each_death_of_one_signature_counts() -> None:
    progress = Progress(("deserialize",), 60.0, 0)
    for size in (9, 5, 7):
        progress.died({"id": "a", "known": "", "signature": "a", "count": 1, "size": size, "target": "deserialize"})
    progress.update([])
    assert (progress.findings["a"]["count"], progress.findings["a"]["size"]) == (3, 5)


class Ended:
    """What is read of a worker that has ended."""

    settings = SimpleNamespace(target="deserialize")
    status = WorkerStatus(executions=5)


def test_the_ledgers_entry_waits_for_the_figures_of_a_worker_that_ended() -> None:
    """A look at the ledger between a worker's end and the next sum must not keep what was there before, for good."""
    progress = Progress(("deserialize",), 60.0, 0)
    progress.update([])
    assert progress.summary()["per_target"]["deserialize"]["executions"] == 0
    progress.ended(cast(Any, Ended()))
    assert progress.summary()["per_target"]["deserialize"]["executions"] == 0
    progress.update([])
    assert progress.summary()["per_target"]["deserialize"]["executions"] == 5


def test_a_verdict_that_covers_more_than_one_execution_in_a_hundred_is_too_wide() -> None:
    progress = Progress(("deserialize",), 60.0, 0)
    progress.targets["deserialize"] = TargetFigures(sums=Counter(executions=1000))
    padding, first = (
        f"deserialize|differential|{rule}|accepted/tab" for rule in ("header.padding", "header.first-byte")
    )
    progress.findings = {
        "a": {"count": 11, "known": "verdict:wide", "signature": padding},
        "b": {"count": 10, "known": "verdict:narrow", "signature": first},
        "c": {"count": 500, "known": "header.padding-12345678", "signature": padding},
    }
    assert progress.too_wide() == [("wide", 0.011)]
