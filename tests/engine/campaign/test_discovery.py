"""Curves over workers that follow one another and that run side by side."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from harness.engine.campaign.discovery import Discovery
from harness.engine.worker import species
from harness.engine.worker.status import Moment, WorkerStatus


class Seen:
    """What the supervisor knows of a worker: its settings and its last status."""

    def __init__(self, folder: Path, target: str) -> None:
        self.settings = SimpleNamespace(target=target, memory=folder)
        self.status = WorkerStatus()


def worker(folder: Path, target: str = "t") -> Any:
    folder.mkdir()
    return Seen(folder, target)


def moment(clock: float, executions: int, edges: int, found: int = 0) -> Moment:
    return Moment(clock, clock, executions, edges, edges, edges, edges, found)


def test_slices_of_a_target_make_one_curve_that_never_falls(tmp_path: Path) -> None:
    discovery = Discovery(("t", "other"), began=100.0)
    first, second = worker(tmp_path / "1"), worker(tmp_path / "2")
    first.status = WorkerStatus(moments=[moment(101, 10, 50), moment(102, 100, 80, 2)])
    discovery.update([{"target": "t", "count": 3}, {"target": "t", "count": 1}], [first])
    discovery.ended(first)
    # The next one begins with less, until it has read the corpus.
    second.status = WorkerStatus(moments=[moment(103, 5, 20), moment(104, 50, 95, 1)])
    discovery.update([{"target": "t", "count": 3}, {"target": "t", "count": 1}], [second])
    summary = discovery.summary("t")
    curve = summary["curve"]
    assert [point["executions"] for point in curve] == [10, 100, 105, 150]
    assert [point["edges"] for point in curve] == [50, 80, 80, 95]
    assert [point["signatures"] for point in curve] == [0, 2, 2, 2]
    assert [point["seconds"] for point in curve] == [1, 2, 3, 4]
    assert summary["species"]["signatures"]["frequencies"][:3] == [1, 0, 1]
    assert discovery.summary("other") == {
        "curve": [],
        "species": {"signatures": species.frequencies([], sampled=0, every=1)},
    }
    # The same status again adds nothing.
    discovery.update([], [second])
    assert len(discovery.summary("t")["curve"]) == 4


def test_workers_side_by_side_add_up(tmp_path: Path) -> None:
    discovery = Discovery(("t",), began=0.0)
    pair = [worker(tmp_path / name) for name in "ab"]
    for clock in (1, 2, 3):
        for one, edges in zip(pair, (70, 60), strict=True):
            one.status = WorkerStatus(moments=[moment(clock, 1000 * clock, edges + clock)])
        discovery.update([], pair)
    for one in pair:
        discovery.ended(one)
    curve = discovery.summary("t")["curve"]
    assert curve[-1]["executions"] == 6000
    assert curve[-1]["edges"] == 73
    # From 71 edges and as many semantic features on.
    assert discovery.gained()[-1] == (3.0, 4)
