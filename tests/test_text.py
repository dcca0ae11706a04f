from __future__ import annotations

import pytest

from harness.text import count, duration, percent, short


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (7.25, "7.25"), (999, "999"), (999.7, "1k"), (12_345, "12.3k"), (999_700, "1M"), (1_250_000, "1.25M"),
     (3e9, "3G"), (2e12, "2T")],
)  # fmt: skip
def test_short_numbers_have_three_digits(value: float, text: str) -> None:
    assert short(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (0, "0 s"), (0.276, "0.28 s"), (3, "3 s"), (9.97, "10 s"), (59, "59 s"), (60, "1 min"), (725, "12 min 5 s"),
     (3599.7, "1 h"), (27_600, "7 h 40 min"), (3600, "1 h"), (36_000, "10 h"), (864_000, "10 days"), (273_600, "3 days 4 h")],
)  # fmt: skip
def test_durations_have_their_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_shares_and_counts() -> None:
    assert (percent(1, 3), percent(1, 3, 1), percent(1, 0)) == ("33 %", "33.3 %", "-")
    assert count(12_345.2) == "12,345"
