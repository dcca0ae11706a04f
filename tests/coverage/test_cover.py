"""The small set has every feature of the large one, and no input too many."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.coverage.cover import Cap, cover, members, union, within

LETTERS = "abcdefghij"


def bits(letters: str) -> int:
    """A feature for each letter."""
    return union([1 << LETTERS.index(letter) for letter in letters])


SETS = st.lists(st.tuples(st.integers(0, 1023), st.integers(0, 500)), max_size=20)


@given(SETS, st.integers(0, 1023))
def test_everything_is_covered_and_nothing_is_superfluous(inputs, have):
    features = [f for f, _ in inputs]
    chosen = cover(features, [size for _, size in inputs], have)
    assert len(set(chosen)) == len(chosen)
    wanted = union(features) & ~have
    assert not wanted & ~union([features[i] for i in chosen])
    for left_out in chosen:
        assert wanted & ~union([features[i] for i in chosen if i != left_out])


def test_small_inputs_win():
    assert cover([bits("ab"), bits("ab")], [1000, 10]) == [1]


def test_many_small_ones_do_not_win_over_one_that_has_all():
    assert cover([bits("a"), bits("b"), bits("c"), bits("abc")], [10, 10, 10, 20]) == [3]


def test_ties_go_to_the_first():
    assert cover([bits("a"), bits("a")], [5, 5]) == [0]


@given(st.integers(0, 1 << 70))
def test_members_are_the_bits_that_are_set(features):
    assert sum(1 << bit for bit in members(features)) == features


@given(SETS, st.integers(0, 2000), st.integers(0, 20), st.integers(0, 1023))
def test_a_cap_is_kept_and_a_dear_tier_loses_nothing_to_a_cheap_one(inputs, size, files, tier):
    features, sizes = [f for f, _ in inputs], [s for _, s in inputs]
    cap = Cap(size, files)
    chosen = within(features, sizes, cap, (tier, 1023))
    assert cap.holds(sum(sizes[i] for i in chosen), len(chosen))
    assert len(set(chosen)) == len(chosen)
    alone = within(features, sizes, cap, (tier,))
    # What is taken for the first tier is taken whatever comes after it.
    assert chosen[: len(alone)] == alone
    rest = [i for i in range(len(inputs)) if i not in chosen]
    room = size - sum(sizes[i] for i in chosen)
    have = union([features[i] for i in chosen])
    if len(chosen) < files:
        # Nothing that fits and has something new was left out.
        assert not any(sizes[i] <= room and features[i] & ~have for i in rest)


def test_what_is_named_first_comes_before_all_others():
    features, sizes = [bits("a"), bits("bcd"), bits("e")], [50, 50, 50]
    assert within(features, sizes, Cap(size=100), (1023,), [2]) == [2, 1]
    assert within(features, sizes, Cap(files=1), (1023,), [0]) == [0]


@given(SETS, st.integers(0, 2000), st.integers(0, 20), st.sets(st.integers(0, 19)))
def test_what_is_pinned_is_taken_whatever_the_cap_and_the_rest_only_within_it(inputs, size, files, pinned):
    features, sizes = [f for f, _ in inputs], [s for _, s in inputs]
    cap, firm = Cap(size, files), sorted(index for index in pinned if index < len(inputs))
    chosen = within(features, sizes, cap, (1023,), range(len(inputs)), firm)
    assert chosen[: len(firm)] == firm
    assert len(set(chosen)) == len(chosen)
    assert chosen == firm or cap.holds(sum(sizes[i] for i in chosen), len(chosen))
