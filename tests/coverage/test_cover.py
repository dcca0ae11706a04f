"""The small set has every feature of the large one, and no input too many."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.coverage.cover import cover

SETS = st.lists(st.tuples(st.frozensets(st.sampled_from("abcdefghij")), st.integers(0, 500)), max_size=20)


@given(SETS, st.frozensets(st.sampled_from("abcdefghij")))
def test_everything_is_covered_and_nothing_is_superfluous(inputs, have):
    features = [f for f, _ in inputs]
    chosen = cover(features, [size for _, size in inputs], have)
    assert len(set(chosen)) == len(chosen)
    wanted = frozenset().union(*features) - have
    assert wanted <= frozenset().union(*(features[i] for i in chosen))
    for left_out in chosen:
        rest = frozenset().union(*(features[i] for i in chosen if i != left_out))
        assert not wanted <= rest


def test_small_inputs_win():
    assert cover([frozenset("ab"), frozenset("ab")], [1000, 10]) == [1]


def test_many_small_ones_do_not_win_over_one_that_has_all():
    assert cover([frozenset("a"), frozenset("b"), frozenset("c"), frozenset("abc")], [10, 10, 10, 20]) == [3]


def test_ties_go_to_the_first():
    assert cover([frozenset("a"), frozenset("a")], [5, 5]) == [0]
