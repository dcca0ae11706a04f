from __future__ import annotations

from harness.engine.worker.semantics import SIZE, SemanticCounters


def test_semantic_features_are_numbered_in_the_order_they_show_and_never_run_over() -> None:
    counters = SemanticCounters()
    counters.hit("a")
    counters.hit(("b", 1))
    counters.hit("a")
    assert counters.index == {"a": 0, ("b", 1): 1}
    assert list(counters.table[:3]) == [1, 1, 0]
    for key in range(2 * SIZE):
        counters.hit(key)
    assert max(counters.index.values()) < SIZE
