from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given

from harness.observation import ACCEPT, RAISE, REJECT, Observation, Run, Trace
from harness.programs import strategies
from harness.replay.judge import judge_observation
from harness.targets.registry import get_target
from harness.targets.slices.program import VOCABULARY

S = VOCABULARY.step


@pytest.fixture(scope="module")
def run(safetensors: ModuleType) -> Run:
    return get_target("slices").open(safetensors)


def trace(observation: Observation) -> Trace:
    assert isinstance(observation[2], Trace)
    return observation[2]


def test_every_seed_is_valid_to_the_last_call_but_those_that_say_so(run: Run):
    outcomes = {name: run(program)[0] for name, program in get_target("slices").seeds().items()}
    assert {name for name, outcome in outcomes.items() if outcome != ACCEPT} == {"odd", "about"}
    assert RAISE not in outcomes.values()


def test_a_program_runs_all_its_calls_whatever_happens_to_one(run: Run):
    program = VOCABULARY.encode([S("tensor", 0, 3), S("index"), S("odd"), S("get_tensor"), S("get_shape")])
    observation = run(program)
    assert observation[0] == REJECT
    assert [(event.call, event.outcome) for event in trace(observation).events] == [
        ("get_slice", REJECT),
        ("get_tensor", ACCEPT),
        ("get_shape", ACCEPT),
    ]


def test_undocumented_errors_are_told_by_call(run: Run):
    program = VOCABULARY.encode([S("tensor", 0, 3), S("index"), S("range", 8)])
    observation = run(program)
    assert observation[0] == RAISE
    target = get_target("slices")
    found = [one.signature for one in judge_observation(target, run, program, observation)]
    assert found == ["slices|contract|raise|get_slice: OverflowError: can't convert negative int to unsigned"]


def test_files_stay_open_without_descriptors(run: Run):
    before = len(os.listdir("/proc/self/fd"))
    for shape in range(20):
        assert run(VOCABULARY.encode([S("tensor", 0, shape), S("get_tensor")]))[0] == ACCEPT
    assert len(os.listdir("/proc/self/fd")) == before


def test_most_mutated_programs_are_valid_to_the_last_call(run: Run):
    target = get_target("slices")
    seeds = list(target.seeds().values())
    mutate = target.mutator()
    assert mutate is not None
    outcomes = Counter(run(mutate(seeds[seed % len(seeds)], target.max_len, seed * 7919))[0] for seed in range(600))
    assert outcomes[ACCEPT] > 300
    assert outcomes[REJECT] > 10


@given(data=strategies.programs(VOCABULARY))
def test_what_slices_give_is_numpy_s_or_an_error_whatever_the_program(run: Run, data: bytes):
    """Undocumented errors are known and filed; other data than numpy's only for booleans, which are known as well."""
    target = get_target("slices")
    observation = run(data)
    wrong = [one for one in judge_observation(target, run, data, observation) if one.oracle == "numpy"]
    assert [one for one in wrong if not one.aspect.endswith("/odd")] == []


def test_features_tell_calls_and_outcomes_apart(run: Run):
    target = get_target("slices")
    seen = {name: frozenset(target.features(run(program))) for name, program in target.seeds().items()}
    assert len(set(seen.values())) == len(seen)


def test_a_program_is_explained_as_python():
    text = get_target("slices").explain(VOCABULARY.encode([S("tensor", 0, 3), S("index"), S("int", 0)]))
    assert text == (
        "# 'a': F32 [2, 3]\n"
        'with safe_open("model.safetensors", framework="numpy", backend="mmap") as file:\n'
        "    file.get_slice('a')[0]\n"
    )


def test_no_file_is_left_behind(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    run(VOCABULARY.encode([S("tensor", 1, 5), S("pread"), S("get_tensors")]))
    assert list(tmp_path.iterdir()) == []
