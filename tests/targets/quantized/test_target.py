from __future__ import annotations

import os
from collections import Counter
from types import ModuleType

import numpy
import pytest
from hypothesis import given

from harness.observation import ACCEPT, RAISE, REJECT, Run, Trace
from harness.programs import strategies
from harness.replay.judge import judge_observation
from harness.targets.quantized.program import LENT, VOCABULARY
from harness.targets.quantized.target import _CALLS, Quantized, lent
from harness.targets.registry import get_target

S = VOCABULARY.step
SEEDS = Quantized().seeds()


@pytest.fixture(scope="module")
def run(safetensors: ModuleType) -> Run:
    return Quantized().open(safetensors)


def test_seeds_are_valid_to_the_last_call_but_those_that_say_so(run: Run):
    outcomes = {name: run(program)[0] for name, program in SEEDS.items()}
    assert {name: outcome for name, outcome in outcomes.items() if outcome != ACCEPT} == {
        "four-bits": RAISE,
        "six-bits": REJECT,
        "not-known-to-numpy": RAISE,
        "disagrees-with-its-bytes": REJECT,
        "half-a-byte": REJECT,
    }


def test_the_bytes_of_dtypes_that_numpy_lacks_are_seen_and_right(run: Run):
    program = VOCABULARY.encode([S("fp8"), S("get_tensor"), S("part", 0, 1), S("part", 0, 3, 1), S("deserialize")])
    observation = run(program)
    assert observation[0] == ACCEPT
    assert judge_observation(get_target("quantized"), run, program, observation) == []


def test_numpy_is_given_back_as_it_was():
    before = set(vars(numpy))
    with lent():
        assert set(vars(numpy)) == before | set(LENT.values())
    assert set(vars(numpy)) == before


def test_a_file_that_is_to_be_refused_is_not_read(run: Run):
    outcome, _, trace = run(VOCABULARY.encode([S("blocks"), S("awry", 0, 4), S("get_tensor"), S("deserialize")]))
    assert outcome == REJECT
    assert isinstance(trace, Trace)
    assert [(event.call, event.outcome) for event in trace.events] == [("safe_open", REJECT), ("deserialize", REJECT)]


def test_files_stay_open_without_descriptors_of_ours(run: Run):
    before = len(os.listdir("/proc/self/fd"))
    for awry in range(8):
        run(VOCABULARY.encode([S("awq"), S("awry", 0, awry), S("get_tensor")]))
    assert len(os.listdir("/proc/self/fd")) == before


def test_most_mutated_programs_run_to_their_end(run: Run):
    target = Quantized()
    seeds = list(SEEDS.values())
    mutate = target.mutator()
    outcomes = Counter(run(mutate(seeds[seed % len(seeds)], target.max_len, seed * 7919))[0] for seed in range(600))
    assert outcomes[ACCEPT] > 200
    assert outcomes[REJECT] > 10


#: Filed: elements of four bits are never read through safe_open, and numpy's lack of a dtype is no documented error.
KNOWN = {"shape/F4", "AttributeError", "TypeError", "ValueError"}


@given(data=strategies.programs(VOCABULARY))
def test_the_bytes_that_went_in_come_out_whatever_the_program(run: Run, data: bytes):
    found = judge_observation(get_target("quantized"), run, data, run(data))
    aspects = {one.aspect if one.oracle == "quantized" else one.aspect.split(": ")[1] for one in found}
    assert aspects <= KNOWN


def test_features_tell_conventions_apart(run: Run):
    target = Quantized()
    seen = {name: frozenset(target.features(run(program))) for name, program in SEEDS.items()}
    assert len(set(seen.values())) == len(seen)


def test_a_program_is_explained_as_python():
    text = get_target("quantized").explain(VOCABULARY.encode([S("single", 9, 3), S("part", 0, 1), S("deserialize")]))
    assert text == (
        "# 'layers.0.weight': I32 [2, 3], 24 bytes\n"
        'file = safe_open("model.safetensors", framework="numpy", backend="mmap")\n'
        "file.get_slice('layers.0.weight')[0:1]\n"
        "dict(deserialize(FILE))\n"
    )


def test_torch_reads_the_dtypes_that_numpy_lacks(safetensors: ModuleType) -> None:
    target = get_target("torch_quantized")
    if target.missing():
        pytest.skip(target.missing())
    run = target.open(safetensors)
    for word, program in target.seeds().items():
        observation = run(program)
        found = [one for one in judge_observation(target, run, program, observation) if one.oracle == "quantized"]
        assert found == [], word
        if word in ("fp8", "blocks", "fnuz", "gptq", "awq"):
            assert observation[0] == ACCEPT, (word, observation[1])
    before = set(vars(numpy))
    run(VOCABULARY.encode([S("fp8"), S("get_tensor"), S("part")]))
    assert set(vars(numpy)) == before
    assert 'framework="pt"' in target.explain(VOCABULARY.encode([S("fp8")]))
    assert "setattr" not in target.explain(VOCABULARY.encode([S("fp8")]))


def test_a_lie_to_torch_is_found(safetensors: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    target = get_target("torch_quantized")
    if target.missing():
        pytest.skip(target.missing())
    monkeypatch.setitem(_CALLS, "get_tensor", lambda opened, name, call: opened.get_tensor(name).flip(0))
    run, program = target.open(safetensors), VOCABULARY.encode([S("fp8"), S("get_tensor")])
    found = {one.signature for one in judge_observation(target, run, program, run(program))}
    assert found == {"torch_quantized|differential|quantized.get_tensor|bytes/whole-bytes"}
