"""The real parser on files that programs make: what is measured, and that it is left as it was."""

from __future__ import annotations

import math
import os
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import pytest

from harness.format.judge import judge
from harness.observation import ACCEPT, REJECT
from harness.oracles.oracle import Execution
from harness.targets.huge import target
from harness.targets.huge.layout import windows
from harness.targets.huge.oracle import DESERIALIZE, KEYS, OPEN, PREAD, READ, Measured, check
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
    assert value.ends == dict.fromkeys((OPEN, KEYS, READ, PREAD, DESERIALIZE), (ACCEPT, ""))
    assert (len(value.keys), len(value.offset_keys or ()), len(value.deserialized or ())) == (22, 22, 22)
    assert value.metadata == {"m1.0": "v", "m1.1": "v"}
    assert value.wrong == []
    assert (value.growth, value.slower) == ({}, {})


def test_past_four_gigabytes_tensors_behind_are_read_from_their_place(run):
    outcome, _, value = measured(run, Step("tensors", 2), Step("big", 1 << 33), Step("tensors", 2, 1))
    assert outcome == ACCEPT
    assert DESERIALIZE not in value.ends
    assert value.layout.size > 1 << 33
    assert [row.size for row in value.layout.rows] == [1, 1 << 33, 2]
    assert value.wrong == []
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


class Recorder:
    """An open file that notes the tensors and the parts that are asked for."""

    def __init__(self, file: Any, asked: list[Any]) -> None:
        self._file, self._asked = file, asked

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.__exit__(None, None, None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def get_tensor(self, name: str) -> Any:
        self._asked.append(name)
        return self._file.get_tensor(name)

    def get_slice(self, name: str) -> Any:
        part = self._file.get_slice(name)
        return _Part(part, name, self._asked)


class _Part:
    def __init__(self, part: Any, name: str, asked: list[Any]) -> None:
        self._part, self._name, self._asked = part, name, asked
        self.get_shape = part.get_shape

    def __getitem__(self, index: Any) -> Any:
        if index is not ...:
            self._asked.append((self._name, index.start, index.stop))
        return self._part[index]


def test_all_tensors_are_read_and_of_large_ones_the_windows_and_their_middles(
    safetensors: ModuleType, monkeypatch: pytest.MonkeyPatch
):
    # Slow phases run again.
    monkeypatch.setattr(target, "SLOW_SECONDS", math.inf)
    asked: list[Any] = []
    module = ModuleType("recorder")
    vars(module).update(vars(safetensors))
    module.safe_open = lambda *given, **options: Recorder(safetensors.safe_open(*given, **options), asked)  # type: ignore[attr-defined]
    steps = (
        Step("tensors", 3_000, 3),
        Step("big", 1 << 24),
        Step("empties", 2),
        Step("big", (1 << 24) + 1),
        Step("rank", 64),
    )
    value = Huge().open(module)(encode(steps))[2]
    names = [one for one in asked if isinstance(one, str)]
    # By mmap, then by pread.
    assert names == 2 * [name for name in value.layout.names if name != "b3"]
    parts = [(first, last) for name, first, last in (one for one in asked if not isinstance(one, str)) if name == "b3"]
    assert set(windows((1 << 24) + 1)) < set(parts)
    assert len(parts) == 2 * len(windows((1 << 24) + 1)) - 1
    assert value.wrong == []


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
