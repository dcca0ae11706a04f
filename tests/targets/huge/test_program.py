from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.targets.huge.program import KINDS, MAX_STEPS, REPEATED, STEP, Step, decode, encode, halved, seeds


@given(st.binary(max_size=600))
def test_any_bytes_are_a_program(program: bytes):
    steps = decode(program)
    assert len(steps) == min(-(-len(program) // STEP), MAX_STEPS)
    for step in steps:
        assert 0 <= step.amount <= KINDS[step.kind].cap
        assert 0 <= step.variant <= 255


@given(st.binary(max_size=STEP * MAX_STEPS))
def test_a_program_written_again_means_the_same(program: bytes):
    steps = decode(program)
    assert decode(encode(steps)) == steps


def test_amounts_near_the_limits_of_the_format_can_be_said():
    for amount in (0, 1, 8, 99_999_999, 100_000_000, 100_000_001, 2**31 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1):
        (step,) = decode(encode([Step("prefix-is", amount, 3)]))
        assert step == Step("prefix-is", amount, 3)


def test_three_quarters_of_random_steps_are_small():
    small = sum(decode(bytes((KINDS_AT_TENSORS, byte, 0, 0)))[0].amount <= 10_000 for byte in range(256))
    assert small >= 192


KINDS_AT_TENSORS = list(KINDS).index("tensors")


def test_halving_touches_what_is_repeated_and_leaves_the_frame():
    steps = (Step("tensors", 10), Step("pad", 9), Step("prefix-is", 100), Step("big", 50), Step("buffer", 4))
    assert halved(steps) == (
        Step("tensors", 5),
        Step("pad", 4),
        Step("prefix-is", 100),
        Step("big", 50),
        Step("buffer", 4),
    )
    assert set(KINDS) > REPEATED


def test_seeds_are_programs_that_fit_and_differ():
    programs = seeds()
    assert len(set(programs.values())) == len(programs) > 20
    assert all(len(program) <= STEP * MAX_STEPS and len(program) % STEP == 0 for program in programs.values())
    used = {step.kind for program in programs.values() for step in decode(program)}
    assert used >= REPEATED
