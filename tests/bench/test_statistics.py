from __future__ import annotations

import pytest

from harness.bench.operators import a12, mann_whitney, missing


def test_a12_is_the_chance_of_being_larger() -> None:
    assert a12([2, 3], [1, 1]) == 1.0
    assert a12([1, 1], [2, 3]) == 0.0
    assert a12([1, 2], [1, 2]) == 0.5


def test_mann_whitney_agrees_with_a_worked_example() -> None:
    # Two groups of ten without any overlap: U = 0, z = 3.74 after continuity correction.
    assert mann_whitney(range(10), range(10, 20)) == pytest.approx(0.000183, abs=2e-6)
    assert mann_whitney([1, 2, 3], [1, 2, 3]) == 1.0
    assert mann_whitney([5, 5], [5, 5]) == 1.0


def test_missing_names_what_only_runs_with_the_operator_reach() -> None:
    full = [frozenset("abc")] * 8 + [frozenset("ab")] * 2
    without = [frozenset("a")] * 7 + [frozenset("ab")] * 3
    assert missing(full, without) == ["c"]
