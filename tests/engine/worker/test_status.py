from __future__ import annotations

import pytest

from harness.engine.worker.status import Moment, WorkerStatus


def moment(clock: float, executions: int) -> Moment:
    return Moment(clock, clock / 2, executions, 3, 4, 5, 6, 7)


def test_a_status_comes_back_as_it_was_written() -> None:
    status = WorkerStatus(executions=7, stages={"accepted": 3}, moments=[moment(1.5, 7)], mutating=True)
    assert WorkerStatus.from_json(status.to_json().encode()) == status


def test_a_status_that_is_cut_is_an_error() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        WorkerStatus.from_json(WorkerStatus().to_json().encode()[:40])


def test_the_rate_is_that_of_the_last_seconds() -> None:
    moments = [moment(second, 1000 * min(second, 20)) for second in range(1, 31)]
    assert WorkerStatus(executions=20_000, seconds=30.0, moments=moments[:19]).rate == 1000
    assert WorkerStatus(executions=20_000, seconds=30.0, moments=moments).rate == 0
    assert WorkerStatus(executions=50, seconds=5.0).rate == 10
    assert WorkerStatus().rate == 0
