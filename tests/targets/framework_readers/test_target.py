"""Targets ``*_readers``: what the frameworks read, and what becomes of it. Frameworks that are not installed are skipped."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings

from harness.findings import crashes
from harness.observation import ACCEPT, RAISE, REJECT, Event, Run, Trace
from harness.parsers.registry import Parser
from harness.programs import strategies
from harness.programs.arrays import DTYPES
from harness.replay.judge import judge_observation
from harness.targets.framework_readers.program import VOCABULARY, decode
from harness.targets.framework_readers.reader import Reader
from harness.targets.known_findings import known
from harness.targets.registry import all_targets, get_target
from harness.triage import reproducer

S = VOCABULARY.step
TARGETS = [target for target in all_targets().values() if isinstance(target, Reader)]
#: The tensors of mmap are views of one mapping: found by this target, and not mended in 0.8.0.
SHARED = "torch_readers|differential|readers.shared|"


@pytest.fixture(params=TARGETS, ids=lambda target: target.name)
def target(request: pytest.FixtureRequest) -> Reader:
    found: Reader = request.param
    if found.missing():
        pytest.skip(found.missing())
    if found.runs_in_fork_server:
        pytest.skip("it may end its process")
    return found


@pytest.fixture(scope="module")
def runs(safetensors: ModuleType) -> dict[str, Run]:
    return {one.name: one.open(safetensors) for one in TARGETS if not one.missing() and not one.runs_in_fork_server}


def signatures(target: Any, run: Run, *steps: Any) -> set[str]:
    data = VOCABULARY.encode(steps)
    return {one.signature for one in judge_observation(target, run, data, run(data))}


@pytest.mark.parametrize(
    ("word", "steps", "judged"),
    [
        ("pt", [S("index"), S("ellipsis"), S("ellipsis")], False),
        ("pt", [S("index"), S("ellipsis")], True),
        ("pt", [S("pread"), S("index"), S("ellipsis"), S("ellipsis")], True),
        ("pt", [S("pread"), S("index", 0, 0, 1), S("ellipsis"), S("ellipsis")], False),
        ("np", [S("index"), S("ellipsis"), S("ellipsis")], True),
        ("pt", [S("index"), S("range", 2, 3, 11)], False),
        ("pt", [S("index"), S("range", 22, 3)], False),
        ("pt", [S("index"), S("range", 2, 15)], True),
        ("pt", [S("pread"), S("index"), S("range", 2, 3, 11)], True),
        ("np", [S("index"), S("range", 2, 3, 11)], True),
    ],
)
def test_a_framework_that_slices_itself_gets_one_ellipsis_and_no_large_integer(
    word: str, steps: list[Any], judged: bool
) -> None:
    program = decode(VOCABULARY.encode([S("tensor", 0, 3), *steps]))._replace(word=word)
    (call,) = [call for call in program.calls if call.kind == "get_slice"]
    assert program.judged(call) == judged


def test_every_seed_is_read_to_its_last_call_and_shows_nothing_new(target: Reader, runs: dict[str, Run]) -> None:
    run = runs[target.name]
    for word, program in target.seeds().items():
        observation = run(program)
        assert observation[0] == ACCEPT, (word, observation[1])
        found = {one.signature for one in judge_observation(target, run, program, observation)}
        assert [one for one in found if known(one) is None and not one.startswith(SHARED)] == []
        calls = [event.about.kind for event in observation[2].events]
        assert [kind for kind in target.call_names(program) if kind not in calls and kind not in _QUIET] == []


#: Steps that leave an event only where something goes wrong, or where values can change.
_QUIET = ("view", "close", "replace", "write")


def test_the_dtypes_of_torch_are_read_whole_and_in_parts(runs: dict[str, Run]) -> None:
    if "torch_readers" not in runs:
        pytest.skip("torch is not installed")
    target, run = get_target("torch_readers"), runs["torch_readers"]
    for number, dtype in enumerate(DTYPES):
        if dtype.startswith(("F4", "F6")):
            continue
        steps = [S("tensor", number, 4), S("get_tensor"), S("index", 0, 0, 1), S("range", 1, 5), S("split", 0, 0, 1)]
        observation = run(VOCABULARY.encode(steps))
        assert (observation[0], len(observation[2].events)) == (ACCEPT, 5), dtype
        assert signatures(target, run, *steps) == set()


def test_tensors_of_one_mapping_share_memory_for_torch_and_no_others_do(runs: dict[str, Run]) -> None:
    if "torch_readers" not in runs:
        pytest.skip("torch is not installed")
    target, run = get_target("torch_readers"), runs["torch_readers"]
    twice = [S("get_tensor"), S("get_tensor"), S("write"), S("get_tensor")]
    assert signatures(target, run, *twice) == {SHARED + "value of mmap", SHARED + "later read of mmap"}
    assert signatures(target, run, S("pread"), *twice) == set()
    for loads in (S("load"), S("load_file"), S("load_file", 1)):
        assert signatures(target, run, loads, loads, S("write"), loads, S("get_tensor")) == set()


def test_a_subscript_past_the_end_is_read_by_mmap_alone_for_torch(runs: dict[str, Run]) -> None:
    if "torch_readers" not in runs:
        pytest.skip("torch is not installed")
    target, run = get_target("torch_readers"), runs["torch_readers"]
    past = [S("tensor", 0, 3), S("index", 0, 0, 1), S("range", 1, 7)]
    assert signatures(target, run, *past) == {"torch_readers|differential|readers.backends|refused by pread/outside"}


def test_values_outlive_their_handle_and_their_file(target: Reader, runs: dict[str, Run]) -> None:
    steps = [
        S("tensor", 1, 3),
        S("get_tensor"),
        S("index"),
        S("int"),
        S("view", 1),
        S("replace"),
        S("close"),
        S("load_file"),
    ]
    observation = runs[target.name](VOCABULARY.encode(steps))
    assert observation[0] == ACCEPT
    assert signatures(target, runs[target.name], *steps) == set()


def test_a_call_that_raises_opens_the_handles_of_both_backends(runs: dict[str, Run]) -> None:
    """Else the second one is opened after the file is replaced, and gives the new content."""
    target, run = get_target("numpy_readers"), runs["numpy_readers"]
    reversed_range = [S("index", 0, 0, 1), S("range", 2, 1)]
    found = signatures(target, run, *reversed_range, S("replace"), S("index", 0, 0, 1))
    assert found == signatures(target, run, *reversed_range) != set()


class _Lying:
    """An open file for numpy, with one lie."""

    def __init__(self, opened: Any, lie: str) -> None:
        self._opened, self._lie = opened, lie
        self._kept: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._opened, name)

    def get_tensor(self, name: str) -> Any:
        tensor = self._opened.get_tensor(name)
        if self._lie == "bytes":
            tensor.reshape(-1).view("uint8")[0] ^= 1
        return self._kept.setdefault(name, tensor) if self._lie == "shared" else tensor


@pytest.mark.parametrize(
    ("lie", "steps", "found"),
    [
        ("bytes", [S("get_tensor")], "readers.get_tensor|bytes"),
        ("names", [S("load")], "readers.load|names"),
        ("shared", [S("get_tensor"), S("get_tensor"), S("write")], "readers.shared|value of mmap"),
    ],
)
def test_a_lie_is_found(
    safetensors: ModuleType, monkeypatch: pytest.MonkeyPatch, lie: str, steps: list[Any], found: str
) -> None:
    own = importlib.import_module("safetensors.numpy")
    target, load = get_target("numpy_readers"), own.load
    if lie == "names":
        monkeypatch.setattr(own, "load", lambda data: {name + "x": one for name, one in load(data).items()})
    liar: Any = SimpleNamespace(
        safe_open=lambda *path, **more: _Lying(safetensors.safe_open(*path, **more), lie),
        SafetensorError=safetensors.SafetensorError,
    )
    run = target.open(liar)
    assert signatures(target, run, *steps) == {f"numpy_readers|differential|{found}"}


def test_a_value_that_changes_by_itself_is_found() -> None:
    target = get_target("numpy_readers")
    program = decode(VOCABULARY.encode([S("get_tensor"), S("close")]))
    read, close = program.calls
    lost = Event("close", ACCEPT, "", [(read, 0, "bytes")], close)
    run: Run = lambda data: (ACCEPT, "", Trace(program, [lost]))  # noqa: E731
    assert {one.aspect for one in judge_observation(target, run, b"", run(b""))} == {"get_tensor: close"}


def test_most_mutated_programs_are_valid_to_the_last_call(runs: dict[str, Run]) -> None:
    target, run = get_target("numpy_readers"), runs["numpy_readers"]
    seeds, mutate = list(target.seeds().values()), target.mutator()
    assert mutate is not None
    outcomes = Counter(run(mutate(seeds[seed % len(seeds)], target.max_len, seed * 7919))[0] for seed in range(300))
    assert outcomes[ACCEPT] > 150
    assert outcomes[REJECT] + outcomes[RAISE] > 5


@settings(max_examples=60)
@given(data=strategies.programs(VOCABULARY))
def test_numpy_shows_nothing_new_whatever_the_program(runs: dict[str, Run], data: bytes) -> None:
    target, run = get_target("numpy_readers"), runs["numpy_readers"]
    found = {one.signature for one in judge_observation(target, run, data, run(data)) if one.oracle == "readers"}
    # Subscripts that numpy takes for something else are filed for target ``slices``.
    assert [one for one in found if known(one) is None and "|numpy.get_slice|" not in one] == []


def test_features_tell_the_seeds_apart(runs: dict[str, Run]) -> None:
    target, run = get_target("numpy_readers"), runs["numpy_readers"]
    seen = {name: frozenset(target.features(run(program))) for name, program in target.seeds().items()}
    assert len(set(seen.values())) == len(seen)


REPRODUCED = [
    [S("get_tensor"), S("get_tensor"), S("write")],
    [S("tensor", 0, 3), S("index", 0, 0, 1), S("range", 1, 7)],
]


@pytest.mark.parametrize("steps", REPRODUCED)
def test_a_reproducer_in_plain_python_shows_it(
    runs: dict[str, Run], wheel_parser: Parser, tmp_path: Path, steps: list[Any]
) -> None:
    if "torch_readers" not in runs:
        pytest.skip("torch is not installed")
    target, data = get_target("torch_readers"), VOCABULARY.encode(steps)
    found = next(
        one for one in judge_observation(target, runs["torch_readers"], data, runs["torch_readers"](data))
        if one.oracle == "readers"
    )  # fmt: skip
    crash = SimpleNamespace(
        target=target.name, rule=found.rule, oracle=found.oracle, aspect=found.aspect, summary=found.summary,
        id=found.id, releases=(), builds=("wheel",), signature=found.signature,
    )  # fmt: skip
    text = reproducer.write(crash, data)  # type: ignore[arg-type]
    assert "from harness" not in text
    crashes.put_kit(tmp_path)
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "reproduce.py").write_text(text)
    ended = subprocess.run(
        [sys.executable, tmp_path / "one" / "reproduce.py"], capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(wheel_parser.root / "site"), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert ended.returncode == 1, text + ended.stdout + ended.stderr


def test_a_backend_without_its_module_is_known_from_the_loader() -> None:
    target = get_target("paddle_readers")
    program = decode(VOCABULARY.encode([S("tensor", 0, 3), S("split"), S("index", 0, 0, 1)]))._replace(word="paddle")
    split, index = program.calls
    refused = Event(
        "get_slice", REJECT, "SafetensorError: Could not find module", None, split._replace(backend="pread")
    )
    read = Event("get_slice", ACCEPT, "", (None, program.wanted(index)), index)
    events = [refused, Event("backends", ACCEPT, "", (read, refused), index)]
    run: Run = lambda data: (REJECT, "", Trace(program, events))  # noqa: E731
    found = {one.signature for one in judge_observation(target, run, b"", run(b""))}
    assert found == {"paddle_readers|differential|agreement.deserialize-load_file.pread|outcome:accept/reject"}
    assert all(known(one) for one in found)


def test_a_part_that_ends_within_a_byte_may_be_refused(runs: dict[str, Run]) -> None:
    four = DTYPES.index("F4")
    steps = [S("tensor", four, 0), S("split", 0, 3, 2)]
    found = signatures(get_target("numpy_readers"), runs["numpy_readers"], *steps)
    assert {one for one in found if "|refused|" in one} == set()
