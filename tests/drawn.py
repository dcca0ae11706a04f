"""A property test for test_seeds.py, which runs it by its path: it prints what is drawn."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(0, 1 << 64))
def test_prints_what_is_drawn(number: int) -> None:
    print("drawn", number)
