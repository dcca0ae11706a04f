from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from harness.targets.huge.layout import build
from harness.targets.huge.mutator import mutate
from harness.targets.huge.program import KINDS, REPEATED, STEP, Step, decode, encode


@given(st.binary(max_size=300), st.integers(0, 300), st.integers(0, 2**31))
def test_programs_stay_programs(program: bytes, limit: int, seed: int):
    made = mutate(program, limit, seed)
    assert len(made) <= limit
    assert len(made) % STEP == 0
    assert made == mutate(program, limit, seed)


def test_one_edit_leaves_most_of_a_program():
    program = encode([Step("tensors", amount) for amount in range(2, 12)])
    before = set(decode(program))
    kept = [len(before & set(decode(mutate(program, 256, seed)))) for seed in range(200)]
    assert sum(kept) / 200 > len(before) - 2
    assert min(kept) < len(before)


def test_most_children_of_a_large_program_are_small_and_some_are_not():
    program = encode([Step("tensors", 1 << 16), Step("pad-to", 100_000_000), Step("big", 1 << 40)])
    large = 0
    for seed in range(300):
        steps = decode(mutate(program, 256, seed))
        large += any(step.amount > 10_000 for step in steps if step.kind in REPEATED)
    assert 30 < large < 150


def test_a_walk_from_nothing_meets_every_kind_and_most_rules():
    kinds: set[str] = set()
    rules: Counter[str] = Counter()
    pool, large = [b""], 0
    for seed in range(2_000):
        program = mutate(pool[seed * 7 % len(pool)], 20, seed)
        if len(pool) < 300:
            pool.append(program)
        steps = decode(program)
        kinds.update(step.kind for step in steps)
        if any(step.amount > 5_000 for step in steps if step.kind in REPEATED):
            large += 1
        else:
            rules[build(steps).rule] += 1
    assert kinds == set(KINDS)
    assert len(rules) >= 12
    assert rules[""] > 300
    assert 50 < large < 700
