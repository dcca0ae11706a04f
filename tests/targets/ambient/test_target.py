"""Target ``ambient`` on the real parser: states change and return, and calls within them give what they give without."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import threading
from types import ModuleType
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.observation import ACCEPT, REJECT, Trace
from harness.oracles.oracle import Execution
from harness.programs.strategies import programs
from harness.targets.ambient import answers, oracle, process, states
from harness.targets.ambient.answers import File
from harness.targets.ambient.program import DTYPES, INDICES, PATHS, SHAPES, VOCABULARY, decode
from harness.targets.ambient.states import STATES
from harness.targets.ambient.target import Ambient

TORCH = importlib.util.find_spec("torch") is not None
HERE = [state for state in STATES if not state.needs or importlib.util.find_spec(state.needs) is not None]
step = VOCABULARY.step
#: Kinds of states that the runner enters itself, and those that no setting shows.
SILENT = {
    "thread",
    "directory",
    "recursion limit",
    "flush denormals",
    "function mode",
    "bytecode",
    "enable_grad",
    "paddle enable_grad",
}


def number(words: str) -> int:
    return next(at for at, state in enumerate(STATES) if state.words == words)


def enter(words: str) -> Any:
    return step("enter", number(words))


@pytest.fixture(scope="module")
def run(safetensors: ModuleType) -> Any:
    for name in {state.needs for state in HERE if state.needs}:
        importlib.import_module(name)
    return Ambient().open(safetensors)


def aspects(run: Any, *steps: Any) -> set[str]:
    program = VOCABULARY.encode(steps)
    return {found.aspect for found in oracle.check(Execution(program, run(program), target=Ambient()))}


def within(state: states.State) -> list[str]:
    """The settings that a state changes, seen from within it; a call in it fails."""
    before, seen = process.settings(), list[str]()

    def fail() -> None:
        with state.enter():
            seen.extend(process.changed(before, process.settings()))
            raise LookupError("within")

    with pytest.raises(LookupError, match="within"):
        fail()
    assert process.changed(before, process.settings()) == [], state.words
    return seen


@pytest.mark.parametrize("kind", sorted({state.kind for state in HERE}))
def test_a_state_changes_a_setting_and_undoes_it_also_after_an_error(run: Any, kind: str) -> None:
    # One of several: a process may be in the state of another already.
    changes = [within(state) for state in HERE if state.kind == kind]
    assert any(changes) is (kind not in SILENT)


def test_states_are_left_in_any_order() -> None:
    first, second = number("gc disabled"), number("no_grad")
    around = [
        enter("gc disabled"),
        enter("no_grad"),
        step("load"),
        step("leave", 1),
        step("load"),
        step("leave"),
        step("load"),
    ]
    assert [call.states for call in decode(VOCABULARY.encode(around)).calls] == [(first, second), (second,), ()]


@pytest.mark.skipif(not TORCH, reason="needs torch")
@pytest.mark.parametrize("thread", [(), (enter("thread of its own"),)])
def test_default_devices_are_left_that_were_entered_within_others(run: Any, thread: tuple[Any, ...]) -> None:
    of_context, of_process = (at for at, state in enumerate(STATES) if state.words == "default device meta")
    before = process.settings()
    around = [step("enter", at) for at in (of_process, of_context, of_process, of_context)]
    assert aspects(run, *around, *thread, step("load")) == set()
    assert process.changed(before, process.settings()) == []


def test_a_signal_that_waits_while_another_state_blocks_it_ends_no_process() -> None:
    child = os.fork()
    if not child:
        with states._blocked(), states._pending():
            pass
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


@settings(max_examples=40)
@given(data=st.one_of(programs(VOCABULARY), st.binary(max_size=VOCABULARY.max_len)))
def test_any_bytes_are_a_program_that_leaves_the_process_as_it_was(run: Any, data: bytes) -> None:
    place, before = os.getcwd(), process.settings()
    trace = run(data)[2]
    assert isinstance(trace, Trace)
    assert len(trace.events) == len(trace.program.calls)
    assert Ambient().explain(data)
    assert os.getcwd() == place
    assert process.changed(before, process.settings()) == []


@pytest.mark.parametrize("name", Ambient().seeds())
def test_a_seed_makes_calls_and_gives_the_same_each_time(run: Any, name: str) -> None:
    program = Ambient().seeds()[name]
    found = run(program)
    assert found[2].events or Ambient().missing(program)
    ends = [(event.call, event.outcome, event.value.answer) for event in found[2].events if event.outcome == ACCEPT]
    again = [
        (event.call, event.outcome, event.value.answer) for event in run(program)[2].events if event.outcome == ACCEPT
    ]
    assert ends == again
    if "byte-order" not in name:
        assert oracle.check(Execution(program, found, target=Ambient())) == []
    assert list(Ambient().features(found)) or Ambient().missing(program)


@pytest.mark.parametrize("words", ["directory other", "directory removed"])
@pytest.mark.parametrize("call", ["load_file", "save_file", "serialize_file", "open"])
def test_paths_in_another_directory_and_in_none(run: Any, words: str, call: str) -> None:
    for path, (source, relative) in enumerate(PATHS):
        program = VOCABULARY.encode([enter(words), step(call, 0, 0, path)])
        observation = run(program)
        (event,) = observation[2].events
        gone = relative and words == "directory removed"
        # The parent of a removed directory is still there.
        if not (gone and source.startswith("../")):
            assert event.outcome == (REJECT if gone else ACCEPT), event.error
        assert oracle.check(Execution(program, observation, target=Ambient())) == []


def test_a_full_stack_and_a_warning_that_is_an_error_are_documented(run: Any) -> None:
    assert aspects(run, enter("recursion limit low"), step("save"), step("load"), step("load_file")) == set()
    assert aspects(run, enter("warnings error"), step("save"), step("load"), step("load_file")) == set()


def test_a_handle_lives_through_changes_of_the_state(run: Any) -> None:
    opened = [
        enter("directory other"),
        step("open", 0, 0, 2),
        step("leave"),
        enter("directory removed"),
        step("get_tensors"),
    ]
    assert aspects(run, *opened, step("get_slice"), step("leave"), step("names"), step("close")) == set()


def test_a_slice_object_is_made_outside_the_states_that_its_part_is_taken_in(
    safetensors: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: dict[str, threading.Thread] = {}
    real = safetensors.safe_open

    class Slice:
        def __init__(self, part: Any) -> None:
            threads["made"] = threading.current_thread()
            self._part = part

        def __getattr__(self, name: str) -> Any:
            return getattr(self._part, name)

        def __getitem__(self, index: Any) -> Any:
            threads["used"] = threading.current_thread()
            return self._part[index]

    class Opened:
        def __init__(self, *given: Any, **more: Any) -> None:
            self._file = real(*given, **more)

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *error: object) -> None:
            self._file.__exit__(*error)

        def get_slice(self, name: str) -> Slice:
            return Slice(self._file.get_slice(name))

    monkeypatch.setattr(safetensors, "safe_open", Opened)
    trace = Ambient().open(safetensors)(VOCABULARY.encode([enter("thread of its own"), step("index")]))[2]
    assert trace.events[0].outcome == ACCEPT
    assert threads["made"] is threading.main_thread() is not threads["used"]


@pytest.mark.skipif(not TORCH, reason="needs torch")
@pytest.mark.parametrize("index", range(len(INDICES)))
def test_a_part_of_one_element_is_read_whatever_its_stride(run: Any, index: int) -> None:
    one = step("tensor", DTYPES.index("I64"), SHAPES.index((1,)))
    trace = run(VOCABULARY.encode([one, step("open", 1), step("get_slice", 0, index)]))[2]
    answer = trace.events[-1].value.answer
    assert trace.events[-1].outcome == ACCEPT
    assert [len(tensor.data) for _, tensor in answer.tensors] == [0 if INDICES[index] in ("1:", ":0") else 8]


# -- the byte order -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "int16", "complex64", "bool", "float64"])
def test_a_file_is_swapped_as_the_writer_for_big_endian_machines_writes_it(
    safetensors: ModuleType, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module("safetensors.numpy")
    array = numpy.arange(1, 7).astype(dtype).reshape(2, 3)
    # ``byteswap`` of numpy is the standard here: it swaps the two parts of a complex number apart.
    wanted = module.save({"a": array.byteswap()})
    plain = File(module.save({"a": array}))
    assert answers.swapped(plain) == File(wanted)
    assert answers.swapped(answers.swapped(plain)) == plain
    monkeypatch.setattr(sys, "byteorder", "big")
    assert module.save({"a": array}) == wanted


def test_arrays_are_swapped_like_files() -> None:
    array = numpy.arange(6, dtype="int32").reshape(2, 3)
    assert answers.swapped(answers.tensors({"a": array})) == answers.tensors({"a": array.byteswap()})


def test_readers_and_writers_of_numpy_are_judged_within_the_other_byte_order(run: Any) -> None:
    big = enter("byte order big")
    assert aspects(run, big, step("save"), step("save_file"), step("load_file"), step("load_file", 0, 1)) == set()
    assert (
        aspects(run, big, step("get_tensor"), step("get_slice", 0, 2), step("deserialize"), step("serialize")) == set()
    )


def test_what_is_missing_without_torch_is_left_out(safetensors: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    bare = Ambient().open(safetensors)
    program = VOCABULARY.encode(
        [enter("no_grad"), enter("gc disabled"), step("load", 1), step("load", 2), step("load_model"), step("load")]
    )
    (event,) = bare(program)[2].events
    assert event.value.call.states == (number("gc disabled"),)
    assert Ambient().note().startswith("torch is not installed")
    assert Ambient().missing(program) == "torch and paddle are not installed"
    assert Ambient().missing(VOCABULARY.encode([enter("gc disabled"), step("load")])) == ""


# -- the state that makes the difference ------------------------------------------------------------------------------------


@pytest.mark.skipif(not TORCH, reason="needs torch")
def test_a_finding_names_the_smallest_set_of_states(run: Any) -> None:
    calls = [step("open", 1), step("get_slice", 0, 2)]
    pair = aspects(
        run, step("tensor", DTYPES.index("F32")), enter("byte order big"), enter("default device meta"), *calls
    )
    assert {aspect.split(": ")[1] for aspect in pair} == {"byte order and default device"}
    more = [
        enter("profile"),
        enter("byte order big"),
        enter("gc disabled"),
        enter("default device meta"),
        enter("no_grad"),
    ]
    assert aspects(run, step("tensor", DTYPES.index("F32")), *more, *calls) == pair


# -- paddle ---------------------------------------------------------------------------------------------------------------


def test_a_program_needs_paddle_where_a_call_or_a_state_is_about_it() -> None:
    target = Ambient()
    assert target.needs_for(VOCABULARY.encode([step("save", 2)])) == ("paddle",)
    assert target.needs_for(VOCABULARY.encode([enter("paddle no_grad"), step("load")])) == ("paddle",)
    assert "safetensors.paddle.save_file" in target.explain(target.seeds()["paddle-gc"])


def test_states_of_all_kinds_change_no_answer_for_paddle(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("paddle")
    module = importlib.import_module("safetensors.paddle")
    tensors = [step("tensor", 0, 1), step("tensor", 6, 0, 1), step("tensor", 2, 2, 2)]
    calls = [step("load", 2), step("load_file", 2), step("load_file", 2, 1), step("save", 2), step("save_file", 2)]
    for words in ("paddle default dtype float16", "paddle no_grad", "paddle check of numbers", "gc eager"):
        assert aspects(run, *tensors, enter(words), *calls) == set()
    load = module.load

    def of_default_dtype(data: bytes) -> Any:
        dtype = importlib.import_module("paddle").get_default_dtype()
        return {name: tensor.astype(dtype) for name, tensor in load(data).items()}

    monkeypatch.setattr(module, "load", of_default_dtype)
    assert aspects(run, step("tensor"), enter("paddle default dtype float64"), step("load", 2)) == {
        "paddle bytes: paddle default dtype float64: dtype"
    }
