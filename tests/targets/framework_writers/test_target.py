"""Targets ``*_writers`` of frameworks. Numpy stands in for the framework where none is installed; the parser is real."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given

from harness.errors import HarnessError
from harness.findings import crashes
from harness.format.encode import pack
from harness.observation import ACCEPT, REJECT, Event, Run, Trace
from harness.parsers.registry import Parser
from harness.programs import scripts, strategies
from harness.programs.arrays import SHAPES
from harness.programs.frameworks import FRAMEWORKS
from harness.replay.judge import judge_observation
from harness.targets.framework_writers import kits, writer
from harness.targets.framework_writers.program import DTYPES, LAYOUTS, VOCABULARY, WRITES, decode
from harness.targets.framework_writers.script import explain
from harness.targets.framework_writers.writer import Did, Writer
from harness.targets.known_findings import known
from harness.targets.registry import all_targets, get_target
from harness.triage import reproducer

S = VOCABULARY.step
L = {laid.word: number for number, laid in enumerate(LAYOUTS)}
TARGETS = [target for target in all_targets().values() if isinstance(target, Writer)]
#: Arrays of numpy through safetensors.numpy, with the functions of a framework. mlx lends its word: its arrays come as views.
_NUMPY = (
    kits.KITS["flax"].partition("def memory")[0].replace("getattr(ml_dtypes, dtype)", "getattr(numpy, dtype)")
    + """
def memory(dtype, shape, first):
    return of_numpy(dtype, shape, first)

def flipped(tensor):
    return tensor.T

def broadcast(tensor):
    return numpy.broadcast_to(tensor, (2, *tensor.shape))

def lazy(tensor):
    return numpy.concatenate([tensor[:1], tensor[1:]])

def held_as(tensor):
    return tensor.view()

def reported(tensor):
    return tensor
"""
)


@pytest.fixture(params=TARGETS, ids=lambda target: target.name)
def target(request: pytest.FixtureRequest) -> Writer:
    found: Writer = request.param
    if found.missing():
        pytest.skip(found.missing())
    if found.runs_in_fork_server:
        pytest.skip("it may end its process")
    return found


@pytest.fixture
def numpy_run(safetensors: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setitem(kits.KITS, "numpy", _NUMPY)
    like = replace(FRAMEWORKS["numpy"], word="mlx")
    return writer._Runner(like, safetensors, like.modules()).run


def signatures(target: Any, run: Run, *steps: Any) -> set[str]:
    data = VOCABULARY.encode(steps)
    return {one.signature for one in judge_observation(target, run, data, run(data))}


@given(data=strategies.programs(VOCABULARY))
def test_every_program_decodes_to_values_and_calls_that_begin_with_a_write(data: bytes) -> None:
    program = decode(data)
    assert program.items
    assert not program.calls or program.calls[0].kind in WRITES
    assert explain(FRAMEWORKS["mlx"], program).startswith(("m0 = memory(", "t0 = "))


def test_the_kits_have_the_same_functions() -> None:
    known_names = {name: set(scripts.definitions(kit)) for name, kit in kits.KITS.items()}
    assert len({frozenset(names) for names in known_names.values()}) == 1
    assert set(kits.KITS) == {target.like.module.rpartition(".")[2] for target in TARGETS}


def test_an_array_without_c_order_is_written_wrongly_and_known_as_numpy_s(numpy_run: Run) -> None:
    mlx = get_target("mlx_writers")
    wrong = {}
    for word, number in L.items():
        found = signatures(mlx, numpy_run, S("tensor", 0, SHAPES.index((3, 4)), number), S("save"))
        assert all(known(one) for one in found), found
        wrong[word] = {one.rpartition("/")[2] for one in found}
    assert wrong["transposed"] == {"transposed"}
    assert wrong["backwards"] == wrong["mirrored"] == {"backwards"}
    assert wrong["broadcast"] == wrong["broadcast-row"] == {"broadcast"}
    assert wrong["strided"] == wrong["cropped"] == wrong["column"] == {"strided"}
    for word in ("plain", "tail", "head", "row", "held", "lazy"):
        assert wrong[word] == set(), word


def test_right_files_come_back(numpy_run: Run) -> None:
    steps = [
        S("tensor", 0, 3),
        S("tensor", 1, 1),
        S("tensor", 2, 5),
        S("entry"),
        S("save_file"),
        S("load_file", 1),
        S("load"),
    ]
    outcome, _, trace = numpy_run(VOCABULARY.encode(steps))
    assert (outcome, len(trace.events)) == (ACCEPT, 3)
    assert signatures(get_target("mlx_writers"), numpy_run, *steps) == set()


def test_values_that_are_no_tensors_may_be_refused_in_python_s_words(numpy_run: Run) -> None:
    for number in range(5):
        assert numpy_run(VOCABULARY.encode([S("value", number), S("save")]))[0] == REJECT


def test_a_framework_without_such_a_tensor_ends_the_program(numpy_run: Run) -> None:
    assert numpy_run(VOCABULARY.encode([S("tensor", DTYPES.index("int4"), 3), S("save")]))[2].events == []


HELD = {"dtype": "U8", "shape": [2], "data": b"ab"}
RIGHT = pack([("a", "U8", (2,), b"ab")])


@pytest.mark.parametrize(
    ("file", "held", "layout", "kept", "aspects"),
    [
        (RIGHT, HELD, "", True, set()),
        (RIGHT, HELD, "", False, {"save: changed"}),
        (pack([("a", "U8", (2,), b"ax")]), HELD, "", True, {"mlx: bytes/plain"}),
        (pack([("a", "U8", (2,), b"ax")]), HELD, "strided", True, {"numpy: bytes/strided"}),
        (pack([("a", "I8", (2,), b"ab")]), HELD, "", True, {"mlx: dtype/plain"}),
        (pack([("a", "U8", (1, 2), b"ab")]), HELD, "", True, {"mlx: shape/plain"}),
        (pack([("b", "U8", (2,), b"ab")]), HELD, "", True, {"mlx: names"}),
        (pack([("a", "U8", (2,), b"ab")], {"x": "y"}), HELD, "", True, {"mlx: metadata"}),
        (RIGHT[:-1], HELD, "", True, {"mlx: layout.truncated/"}),
    ],
)
def test_each_fault_of_a_file_is_told_apart(
    file: bytes, held: dict[str, Any], layout: str, kept: bool, aspects: set[str]
) -> None:
    program = decode(VOCABULARY.encode([S("tensor", 1, 0), S("save")]))._replace(word="mlx")
    event = Event("save", ACCEPT, "", file, Did(program.calls[0], {"a": (held, layout)}, kept))
    run: Run = lambda data: (ACCEPT, "", Trace(program, [event]))  # noqa: E731
    found = {one.aspect for one in judge_observation(get_target("mlx_writers"), run, b"", run(b""))}
    assert {one if not one.startswith("mlx: layout") else "mlx: layout.truncated/" for one in found} == aspects


@pytest.mark.parametrize(
    ("value", "aspects"),
    [({"a": HELD}, set()), ({"a": HELD | {"data": b"ax"}}, {"load: values"}), ({}, {"load: names"})],
)
def test_a_wrong_reading_of_a_right_file_is_found(value: dict[str, Any], aspects: set[str]) -> None:
    program = decode(VOCABULARY.encode([S("tensor", 1, 0), S("save"), S("load")]))._replace(word="mlx")
    saved = Event("save", ACCEPT, "", RIGHT, Did(program.calls[0], {"a": (HELD, "")}))
    read = Event("load", ACCEPT, "", value, Did(program.calls[1], file=RIGHT))
    run: Run = lambda data: (ACCEPT, "", Trace(program, [saved, read]))  # noqa: E731
    assert {one.aspect for one in judge_observation(get_target("mlx_writers"), run, b"", run(b""))} == aspects


def test_a_refusal_of_what_a_file_can_hold_is_found() -> None:
    program = decode(VOCABULARY.encode([S("tensor", 1, 0), S("save")]))._replace(word="mlx")
    run: Run = lambda data: (REJECT, "x", Trace(program, [event]))  # noqa: E731
    for contiguous, aspects in ((True, {"mlx: SafetensorError: not today"}), (False, set())):
        about = Did(program.calls[0], {"a": (HELD, "")}, contiguous=contiguous)
        event = Event("save", REJECT, "SafetensorError: not today", None, about)
        assert {one.aspect for one in judge_observation(get_target("mlx_writers"), run, b"", run(b""))} == aspects


def test_a_framework_that_is_not_installed_is_named() -> None:
    for one in TARGETS:
        if one.missing():
            with pytest.raises((HarnessError, ModuleNotFoundError)):
                one.open(ModuleType("safetensors"))
            assert "not installed" in one.missing()


def test_what_the_framework_has_is_saved_and_read(target: Writer, safetensors: ModuleType) -> None:
    run = target.open(safetensors)
    for word, program in target.seeds().items():
        observation = run(program)
        assert observation[2].events, word
        found = {one.signature for one in judge_observation(target, run, program, observation)}
        assert [one for one in found if known(one) is None] == [], word


def test_a_reproducer_in_plain_python_cannot_tell_without_its_framework(wheel_parser: Parser, tmp_path: Path) -> None:
    mlx = get_target("mlx_writers")
    data = VOCABULARY.encode([S("tensor", 0, SHAPES.index((3, 4)), L["transposed"]), S("save")])
    rule = next(rule for rule in mlx.oracles[0].rules if rule.name == "roundtrip.written")
    crash = SimpleNamespace(
        target="mlx_writers", rule=rule, oracle="framework_roundtrip", aspect="numpy: bytes/transposed", summary="",
        id="x", releases=(), builds=("wheel",), signature="",
    )  # fmt: skip
    text = reproducer.write(crash, data)  # type: ignore[arg-type]
    assert "from harness" not in text
    crashes.put_kit(tmp_path)
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "reproduce.py").write_text(text)
    ended = subprocess.run(
        [sys.executable, tmp_path / "one" / "reproduce.py"], capture_output=True, text=True, check=False,
        env={"PYTHONPATH": f"{wheel_parser.root / 'site'}:{os.environ.get('PYTHONPATH', '')}", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert ended.returncode == (2 if mlx.missing() else 1), text + ended.stdout + ended.stderr


def test_a_dtype_without_a_name_counts_as_the_framework_holds_it() -> None:
    program = decode(VOCABULARY.encode([S("tensor", DTYPES.index("complex128"), 0), S("save")]))._replace(word="flax")
    run: Run = lambda data: (ACCEPT, "", Trace(program, [event]))  # noqa: E731
    for dtype, aspects in (("U8", set()), ("complex128", {"flax: accepted/dtype"})):
        event = Event("save", ACCEPT, "", RIGHT, Did(program.calls[0], {"a": (HELD | {"dtype": dtype}, "")}))
        assert {one.aspect for one in judge_observation(get_target("flax_writers"), run, b"", run(b""))} == aspects
