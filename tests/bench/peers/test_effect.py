"""Effects and intervals of small tables, by hand."""

from __future__ import annotations

import pytest

from harness.bench.peers.effect import effect, median_interval


def test_all_larger_is_one_and_its_interval_is_too() -> None:
    found = effect([5, 6, 7], [1, 2, 3])
    assert (found.a12, found.low, found.high, found.none) == (1.0, 1.0, 1.0, False)
    # U is 9 of 9: (9 - 4.5 - 0.5) / sqrt(9 * 7 / 12) is 1.746, two-sided 0.081.
    assert found.p == pytest.approx(0.0809, abs=1e-4)


def test_ties_count_half() -> None:
    found = effect([2, 2], [2, 2])
    assert (found.a12, found.p, found.none) == (0.5, 1.0, True)
    # Of four pairs one is larger and two are equal.
    assert effect([1, 2], [1, 1]).a12 == 0.75


def test_an_interval_that_includes_a_half_shows_no_effect() -> None:
    assert effect([1, 4, 2, 5], [2, 3, 1, 6]).none
    assert effect([1, 4, 2, 5], [2, 3, 1, 6]) == effect([1, 4, 2, 5], [2, 3, 1, 6])


def test_the_median_lies_in_its_interval() -> None:
    middle, low, high = median_interval([1, 2, 3, 4, 100])
    assert (middle, low, high) == (3, 1, 100)
    assert median_interval([7]) == (7, 7, 7)
