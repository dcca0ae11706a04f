"""Intervals and curves, against values that are known."""

from __future__ import annotations

import pytest

from harness.bench.range import statistics


@pytest.mark.parametrize(
    ("successes", "of", "low", "high"),
    [(0, 10, 0.0, 0.3085), (3, 10, 0.0667, 0.6525), (10, 10, 0.6915, 1.0), (0, 0, 0.0, 1.0)],
)
def test_the_interval_of_a_share_is_exact(successes: int, of: int, low: float, high: float) -> None:
    assert statistics.share_interval(successes, of) == pytest.approx((low, high), abs=5e-5)


def test_the_interval_of_a_mean_lies_around_it_and_repeats() -> None:
    values = [28.0, 29.0, 30.0, 31.0, 32.0]
    low, high = statistics.mean_interval(values)
    assert 28 < low < 30 < high < 32
    assert statistics.mean_interval(values) == (low, high)
    assert statistics.mean_interval([7.0]) == (7.0, 7.0)


def test_a_survival_curve_counts_attempts_that_ended_as_far_as_they_went() -> None:
    # One attempt ends without a detection at 2: it is at risk at 1 and no more at 3.
    curve = statistics.survival([(1.0, True), (2.0, False), (3.0, True), (4.0, False)])
    assert curve == [(0.0, 1.0), (1.0, 0.75), (3.0, 0.375)]
    assert statistics.median_time(curve) == 3.0
    assert statistics.median_time([(0.0, 1.0), (1.0, 0.75)]) is None
