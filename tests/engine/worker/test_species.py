from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy
import pytest

from harness.engine.worker import species
from harness.engine.worker.semantics import SemanticCounters


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


def test_counts_go_to_another_machine_and_come_back() -> None:
    counts = species.Counts()
    counts.sampled, counts.every = 7, 4
    counts.edges = numpy.array([0, 3, 1], numpy.uint32)
    counts.features = {5: 2, 9: 1}
    back = species.of_bytes(counts.to_bytes())
    assert back is not None
    assert back.summary() == counts.summary()
    assert (back.features, back.edges.tolist()) == (counts.features, [0, 3, 1])
    assert species.of_bytes(counts.to_bytes()[:-1]) is None
