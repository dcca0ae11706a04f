"""The real parser on files that programs make: what is measured, and that it is left as it was."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

import pytest

from harness.format.judge import judge
from harness.observation import ACCEPT, REJECT
from harness.oracles.oracle import Execution
from harness.targets.huge.oracle import DESERIALIZE, KEYS, OPEN, READ, Measured, check
from harness.targets.huge.program import Step, encode, seeds
from harness.targets.huge.target import Huge, describe, materialise

LIMIT = 100_000_000


@pytest.fixture(scope="module")
def run(safetensors: ModuleType):
    return Huge().open(safetensors)


def measured(run, *steps: Step) -> tuple[str, str, Measured]:
    outcome, error, value = run(encode(steps))
    assert isinstance(value, Measured)
    return outcome, error, value


def test_a_small_program_runs_every_phase(run):
    outcome, error, value = measured(run, Step("tensors", 20), Step("metadata", 2), Step("empties", 2))
    assert (outcome, error) == (ACCEPT, "")
    assert value.ends == dict.fromkeys((OPEN, KEYS, READ, DESERIALIZE), (ACCEPT, ""))
    assert (len(value.keys), len(value.offset_keys or ()), len(value.deserialized or ())) == (22, 22, 22)
    assert value.metadata == {"m1.0": "v", "m1.1": "v"}
    assert value.tensors.keys() == {sample.name for sample in value.layout.samples}
    assert (value.growth, value.slower) == ({}, {})


def test_past_four_gigabytes_tensors_behind_are_read_from_their_place(run):
    outcome, _, value = measured(run, Step("tensors", 2), Step("big", 1 << 33), Step("tensors", 2, 1))
    assert outcome == ACCEPT
    assert DESERIALIZE not in value.ends
    assert value.layout.size > 1 << 33
    assert [data for _, _, data in value.tensors.values()][-1] != b"\0\0"
    assert check(Execution(b"", (outcome, "", value))) == []


@pytest.mark.parametrize(("size", "outcome"), [(LIMIT, ACCEPT), (LIMIT + 1, REJECT)])
def test_the_limit_of_the_header_from_both_sides(run, size: int, outcome: str):
    got, error, value = measured(run, Step("tensors", 1), Step("pad-to", size))
    assert got == outcome, error
    assert value.layout.header_size == size
    assert check(Execution(b"", (got, error, value))) == []


def test_a_refusal_is_an_observation_with_its_cost(run):
    outcome, error, value = measured(run, Step("prefix-is", 1 << 63))
    assert outcome == REJECT
    assert "header too large" in error
    assert value.ends.keys() == {OPEN, DESERIALIZE} == value.seconds.keys()


def test_memory_is_measured_for_large_headers(run):
    _, _, value = measured(run, Step("rank", 1_000_000))
    header = value.layout.header_size
    assert header > 1 << 20
    # The vector of a million dimensions is 4 times the header, and what it grew out of is there beside it: 20 to 50 times
    # on one machine, by what the process had allocated before.
    assert 4 * header < value.growth[OPEN] < 200 * header


def test_what_is_read_back_is_the_sample(run):
    outcome, _, value = measured(run, Step("tensors", 2, 3))
    assert list(value.tensors) == ["t0.0", "t0.1"]
    assert (outcome, value.metadata, value.offset_keys) == (ACCEPT, None, ["t0.0", "t0.1"])


def test_runs_leave_neither_files_nor_mappings(run):
    run(seeds()["past-4-GB"])
    before = len(os.listdir("/proc/self/fd"))
    for program in seeds().values():
        if len(program) < 12:
            run(program[:8])
    assert len(os.listdir("/proc/self/fd")) == before
    assert "huge-input" not in Path("/proc/self/maps").read_text(encoding="ascii")


def test_materialise_writes_the_file_and_describe_says_what_it_is(tmp_path: Path):
    program = encode([Step("tensors", 3), Step("metadata", 1), Step("pad", 5, 1)])
    path = tmp_path / "made.safetensors"
    materialise(program, path)
    judgement = judge(path.read_bytes())
    assert (judgement.verdict, judgement.rule) == ("reject", "header.padding")
    text = describe(program)
    assert "3 tensors of a few bytes" in text
    assert "deserves to be refused by header.padding (pad)" in text
    assert f"file {path.stat().st_size:,} bytes" in text


def test_describe_has_a_line_for_every_seed():
    for program in seeds().values():
        assert describe(program).count("\n") == len(program) // 4 + 3
