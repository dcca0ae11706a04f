from __future__ import annotations

import os
from collections import Counter
from types import ModuleType

import pytest
from hypothesis import given

from harness.observation import ACCEPT, REJECT, Run, Trace
from harness.programs import arrays, strategies
from harness.replay.judge import judge_observation
from harness.targets.parallel.program import VOCABULARY
from harness.targets.parallel.target import Parallel
from harness.targets.registry import get_target

S = VOCABULARY.step
SEEDS = Parallel().seeds()


@pytest.fixture(scope="module")
def run(safetensors: ModuleType) -> Run:
    return get_target("parallel").open(safetensors)


def test_every_seed_is_valid_to_the_last_call_but_the_one_that_says_so(run: Run):
    outcomes = {name: run(program)[0] for name, program in SEEDS.items()}
    assert {name for name, outcome in outcomes.items() if outcome != ACCEPT} == {"more-ranks-than-rows"}


def test_every_part_is_an_event_and_one_that_is_refused_hides_no_other(run: Run):
    two = S("tensor", 0, arrays.SHAPES.index((2, 3)))
    outcome, error, trace = run(VOCABULARY.encode([two, S("columns", 0, 3, 1), S("whole")]))
    assert outcome == REJECT
    assert "out of bounds" in error
    assert isinstance(trace, Trace)
    assert [(event.call, event.outcome) for event in trace.events] == [
        ("get_slice", ACCEPT),
        ("get_slice", ACCEPT),
        ("get_slice", REJECT),
        ("get_tensor", ACCEPT),
    ]


@pytest.mark.parametrize("backends", [0, 1, 2])
@pytest.mark.parametrize("keep", [0, 1])
def test_several_handles_read_one_file(run: Run, backends: int, keep: int):
    program = VOCABULARY.encode(
        [S("tensor", 0, 21), S("handles", 3, backends, keep), S("rows", 0, 2), S("whole"), S("stages", 2)]
    )
    observation = run(program)
    assert observation[0] == ACCEPT
    assert judge_observation(get_target("parallel"), run, program, observation) == []


def test_files_stay_open_without_descriptors_of_ours(run: Run):
    before = len(os.listdir("/proc/self/fd"))
    for shape in range(20):
        run(VOCABULARY.encode([S("tensor", 7, shape), S("whole")]))
    assert len(os.listdir("/proc/self/fd")) == before


def test_most_mutated_programs_are_valid_to_the_last_call(run: Run):
    target = Parallel()
    seeds = list(SEEDS.values())
    mutate = target.mutator()
    outcomes = Counter(run(mutate(seeds[seed % len(seeds)], target.max_len, seed * 7919))[0] for seed in range(600))
    assert outcomes[ACCEPT] > 300
    assert outcomes[REJECT] > 10


@given(data=strategies.programs(VOCABULARY))
def test_parts_put_together_are_the_whole_whatever_the_program(run: Run, data: bytes):
    """Empty parts are refused at the end of a dimension and of tensors without elements: known, and filed."""
    found = judge_observation(get_target("parallel"), run, data, run(data))
    assert {(one.rule.name, one.aspect) for one in found} <= {
        ("refused", "empty-at-end"),
        ("refused", "of-no-elements"),
    }


def test_features_tell_splits_apart(run: Run):
    target = get_target("parallel")
    seen = {name: frozenset(target.features(run(program))) for name, program in SEEDS.items()}
    assert len(set(seen.values())) == len(seen)


def test_a_program_is_explained_as_python():
    text = get_target("parallel").explain(VOCABULARY.encode([S("tensor", 0, 3), S("columns")]))
    assert text == (
        "# 'a': F32 [2, 3]\n"
        'files = [safe_open("model.safetensors", framework="numpy", backend=backend) for backend in (\'mmap\',)]\n'
        "numpy.concatenate([  # columns/floor\n"
        "    files[0].get_slice('a')[0:1],\n"
        "    files[0].get_slice('a')[1:2],\n"
        "], axis=0)\n"
    )
