"""Curves over workers that follow one another and that run side by side, and how often each species was met."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import pytest

from harness.engine.campaign.discovery import Discovery
from harness.engine.worker import species
from harness.engine.worker.libfuzzer_log import Moments, Pulse
from harness.engine.worker.semantics import SemanticCounters


class Seen:
    """What the supervisor knows of a worker: its settings and its last status."""

    def __init__(self, folder: Path, target: str) -> None:
        self.settings = SimpleNamespace(target=target, memory=folder)
        self.status: dict[str, Any] = {}


def worker(folder: Path, target: str = "t") -> Any:
    folder.mkdir()
    return Seen(folder, target)


def moment(clock: float, executions: int, edges: int, found: int = 0) -> list[float]:
    return [clock, clock, executions, edges, edges, edges, edges, found]


def test_slices_of_a_target_make_one_curve_that_never_falls(tmp_path: Path) -> None:
    discovery = Discovery(("t", "other"), began=100.0)
    first, second = worker(tmp_path / "1"), worker(tmp_path / "2")
    first.status = {"moments": [moment(101, 10, 50), moment(102, 100, 80, 2)]}
    discovery.update([{"target": "t", "count": 3}, {"target": "t", "count": 1}], [first])
    discovery.ended(first)
    # The next one begins with less, until it has read the corpus.
    second.status = {"moments": [moment(103, 5, 20), moment(104, 50, 95, 1)]}
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
            one.status = {"moments": [moment(clock, 1000 * clock, edges + clock)]}
        discovery.update([], pair)
    for one in pair:
        discovery.ended(one)
    curve = discovery.summary("t")["curve"]
    assert curve[-1]["executions"] == 6000
    assert curve[-1]["edges"] == 73


def test_counts_go_through_a_file_and_add_up_over_workers(tmp_path: Path) -> None:
    total = species.Counts()
    # Two workers number their features in the order in which they meet them.
    for name, keys in (("a", ("x", "y")), ("b", ("y", "z"))):
        counters = SemanticCounters()
        native = numpy.zeros(6, numpy.uint8)
        sampler = species.Sampler(SimpleNamespace(view=memoryview(native.data)), counters)  # type: ignore[arg-type]
        native[:] = (0, 1, 255, 2, 0, 0)
        for key in keys:
            counters.hit(key)
        sampler.take()
        native[:] = (0, 0, 3, 0, 0, 0)
        counters.table[:] = bytes(len(counters.table))
        sampler.take()
        sampler.write(tmp_path / name)
        counts = species.read(tmp_path / name)
        assert counts is not None
        assert counts.edges.tolist() == [0, 1, 2, 1, 0, 0]
        total.add(counts)
    summary = total.summary()
    assert summary["edges"]["sampled"] == 4
    assert summary["edges"]["frequencies"][:4] == [0, 2, 0, 1]
    assert (summary["semantic"]["seen"], summary["semantic"]["singletons"], summary["semantic"]["doubletons"]) == (
        3,
        2,
        1,
    )
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:50])
    assert species.read(tmp_path / "a") is None
    assert species.read(tmp_path / "none") is None


@pytest.mark.parametrize(("rate", "every"), [(10, 1), (1000, 1), (5000, 8), (100_000, 128), (10_000_000, 256)])
def test_a_quick_target_is_looked_at_less_often(rate: float, every: int) -> None:
    assert species.spacing(rate) == every


def test_a_pulse_is_the_last_whole_line_of_the_log_and_few_moments_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "log"
    pulse = Pulse(log)
    assert pulse.read() == {"cov": 0, "ft": 0, "corp": 0}
    log.write_text("INFO: seed\n#2\tINITED cov: 22 ft: 25 corp: 1/2b exec/s: 0 rss: 80Mb\n")
    assert pulse.read() == {"cov": 22, "ft": 25, "corp": 1}
    with log.open("a") as handle:
        handle.write("#90\tNEW    cov: 30 ft: 41 corp: 7/19b lim: 4 exec/s: 0\nwords of the parser\n")
    assert pulse.read() == {"cov": 30, "ft": 41, "corp": 7}
    kept = Moments()
    for second in range(1000):
        kept.add(second, second / 2, 10 * second, pulse.figures, 4, 1)
    assert len(kept.all()) == 64
    assert kept.all()[-1] == [999, 499.5, 9990, 26, 41, 4, 7, 1]


def test_what_the_seeds_reached_is_found_however_late_one_looks(tmp_path: Path) -> None:
    log = tmp_path / "log"
    new = "#90\tNEW    cov: 30 ft: 41 corp: 7/19b lim: 4 exec/s: 0\n"
    log.write_text("#2\tINITED cov: 22 ft: 25 corp: 1/2b exec/s: 0 rss: 80Mb\n" + new * 2000)
    pulse = Pulse(log)
    assert pulse.read() == {"cov": 30, "ft": 41, "corp": 7}
    assert pulse.seeded == {"cov": 22, "ft": 25, "corp": 1}
