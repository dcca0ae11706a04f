"""The mutator as libFuzzer sees it: never raises, keeps to the size, repeats itself, learns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.mutate import OPERATORS, Mutator, Rng, generate

SEEDS = [generate(Rng(seed)) for seed in range(12)]


@given(st.lists(st.tuples(st.binary(max_size=200), st.integers(0, 300), st.integers(0, 2**32 - 1)), max_size=20))
def test_any_bytes_give_bytes_that_fit(calls: list[tuple[bytes, int, int]]) -> None:
    mutator = Mutator(SEEDS[:2])
    for data, room, seed in calls:
        out = mutator(data, room, seed)
        assert isinstance(out, bytes)
        assert len(out) <= room
    assert not any(stats.errors for stats in mutator.stats().values())


def test_equal_calls_in_equal_order_give_equal_outputs() -> None:
    first, second = Mutator(SEEDS), Mutator(SEEDS)
    a = [first(SEEDS[i % 12], 4096, i * 7919) for i in range(5000)]
    b = [second(SEEDS[i % 12], 4096, i * 7919) for i in range(5000)]
    assert a == b
    assert len(set(a)) > 1000
    assert first.stats() == second.stats()


def test_an_output_that_comes_back_credits_the_operator_that_made_it() -> None:
    mutator = Mutator(SEEDS)
    out = mutator(SEEDS[0], 4096, 12345)
    (used,) = [name for name, stats in mutator.stats().items() if stats.uses]
    assert mutator.stats()[used].kept == 0
    mutator(out, 4096, 1)
    mutator(out, 4096, 2)
    assert mutator.stats()[used].kept == 1


def test_unknown_and_all_disabled_are_refused() -> None:
    with pytest.raises(ValueError, match="no such operator: shape.none"):
        Mutator(SEEDS, disabled=["shape.none"])
    with pytest.raises(ValueError, match="every operator is disabled"):
        Mutator(SEEDS, disabled=OPERATORS)
