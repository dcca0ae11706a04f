from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.mutate.schedule import OperatorStats
from harness.programs import strategies
from harness.programs.mutate import EDITS, StepMutator
from harness.programs.steps import STEP, Kind, Step, Vocabulary
from harness.targets.device import program as device
from harness.targets.quantized import program as quantized
from harness.targets.shards import program as shards
from harness.targets.torch_writers import program as torch_writers

WORDS = Vocabulary(
    [Kind("read", 4, (range(3), range(5))), Kind("write", 2, ((7,),)), Kind("burn", 1, always_invalid=True), Kind("open", 1, rare=True)],
    max_steps=6,
)  # fmt: skip


@given(st.binary(max_size=64))
def test_any_bytes_are_a_program_of_known_kinds(data: bytes):
    steps = WORDS.decode(data)
    assert len(steps) == min(-(-len(data) // STEP), WORDS.max_steps)
    assert all(0 <= step.kind < 4 for step in steps)
    assert WORDS.decode(WORDS.encode(steps)) == steps


def test_what_is_missing_of_a_step_reads_as_zero_and_kinds_count_round():
    assert WORDS.decode(b"\x01\x02") == [Step(1, 2, 0, 0)]
    assert WORDS.decode(b"\x05\x00\x00\x09") == [Step(1, 0, 0, 9)]
    assert WORDS.step("write", 3) == Step(1, 3)
    with pytest.raises(KeyError):
        WORDS.step("wash")


def test_two_kinds_of_one_name_are_refused():
    with pytest.raises(ValueError, match="one name"):
        Vocabulary([Kind("a", 1), Kind("a", 1)], max_steps=1)


def mutants(mutator: StepMutator, base: bytes, count: int = 3000) -> list[bytes]:
    return [mutator(base, 64, seed * 7919) for seed in range(count)]


BASE = WORDS.encode([WORDS.step("open"), WORDS.step("read", 1, 2), WORDS.step("write", 7)])


def test_mutations_repeat_and_fit():
    first, second = mutants(StepMutator(WORDS), BASE), mutants(StepMutator(WORDS), BASE)
    assert first == second
    assert all(len(made) <= STEP * WORDS.max_steps and len(made) % STEP == 0 for made in first)
    assert all(len(StepMutator(WORDS)(BASE * 4, 8, seed)) <= 8 for seed in range(50))
    assert len(set(first)) > 500


def test_most_mutations_are_usual_and_some_are_not():
    usual = [[frozenset(values) for values in kind.usual] for kind in WORDS.kinds]

    def usual_throughout(made: bytes) -> bool:
        return all(
            not WORDS.kinds[step.kind].always_invalid
            and all(step[i + 1] in allowed for i, allowed in enumerate(usual[step.kind]))
            for step in WORDS.decode(made)
        )

    invalid = WORDS.encode([WORDS.step("burn"), WORDS.step("read", 200, 200)])
    made = mutants(StepMutator(WORDS), invalid)
    share = sum(map(usual_throughout, made)) / len(made)
    assert 0.4 < share < 0.9


def test_a_program_is_reset_to_fewer_values_than_its_edits_draw():
    words = Vocabulary([Kind("read", 1, (range(6), range(6)), default_values=((2, 3), range(6)))], max_steps=4)
    base = words.encode([words.step("read", 5, 5)] * 2)
    steps = [step for made in mutants(StepMutator(words), base) for step in words.decode(made)]
    # The second argument has a default value and stays; the first does not, and edits still draw all that are usual.
    assert {step.a for step in steps} > set(range(6))
    assert sum(step.a in (2, 3) for step in steps) / len(steps) > 0.45
    assert sum(step.b == 5 for step in steps) / len(steps) > 0.45
    plain = Vocabulary([Kind("read", 1, (range(6), range(6)))], max_steps=4)
    drawn = [step for made in mutants(StepMutator(plain), base) for step in plain.decode(made)]
    assert sum(step.a in (2, 3) for step in drawn) / len(drawn) < 0.3


@pytest.mark.parametrize("language", [device, quantized, shards, torch_writers])
def test_default_values_are_usual_ones(language: Any):
    assert any(kind.default_values for kind in language.VOCABULARY.kinds)
    for kind in language.VOCABULARY.kinds:
        assert len(kind.default_values) in (0, len(kind.usual))
        for defaults, usual in zip(kind.default_values, kind.usual, strict=False):
            assert set(defaults) <= set(usual), kind.name


@pytest.mark.parametrize(("name", "edit"), EDITS)
def test_every_edit_changes_something_and_takes_an_empty_program(name: str, edit):
    mutator = StepMutator(WORDS)
    mutator(BASE, 64, 1)  # crossover needs a bank
    before = [BASE[at : at + STEP] for at in range(0, len(BASE), STEP)]
    changed = 0
    for seed in range(60):
        mutator._rng.reset(seed)
        steps = list(before)
        edit(mutator, steps)
        changed += steps != before
        edit(mutator, [])
    assert changed > 10, name


def test_a_kept_output_is_credited_to_its_operator():
    mutator = StepMutator(WORDS)
    made = next(made for seed in range(100) if (made := mutator(BASE, 64, seed * 7919)) != BASE)
    uses = sum(one.uses for one in mutator.stats().values())
    assert all(stats.kept == 0 for stats in mutator.stats().values())
    mutator(made, 64, 6)
    stats = mutator.stats()
    assert sum(one.kept for one in stats.values()) == 1
    assert sum(one.uses for one in stats.values()) == uses + 1
    assert all(isinstance(one, OperatorStats) for one in stats.values())


def test_hypothesis_shrinks_a_program_to_the_steps_that_matter():
    steps = [WORDS.step("open", 9), WORDS.step("read", 2, 4), WORDS.step("write", 200), WORDS.step("burn", 3, 3, 3)]

    def keep(program: bytes) -> bool:
        found = WORDS.decode(program)
        return any(step.kind == 1 and step.a > 5 for step in found)

    shrunk = strategies.shrink(WORDS, WORDS.encode(steps), keep)
    assert WORDS.decode(shrunk) == [WORDS.step("write", 6)]


def test_shrinking_gives_back_what_does_not_hold():
    assert strategies.shrink(WORDS, BASE, lambda _: False) == BASE


@given(strategies.programs(WORDS))
def test_drawn_programs_are_programs(program: bytes):
    assert WORDS.encode(WORDS.decode(program)) == program


def test_without_crossover_no_program_is_banked():
    with_it, without = StepMutator(WORDS), StepMutator(WORDS)
    without.crossover = False
    for mutator in (with_it, without):
        for made in mutants(mutator, BASE, 50):
            mutator(made, 64, 1)
    assert with_it._bank
    assert not without._bank
