"""Values that go in the middle of a call, on the real parser: what 0.8.0 does wrong is found, and what is right is left alone."""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import signal
from types import ModuleType

import numpy
import pytest

from harness.observation import ACCEPT, RAISE, Run
from harness.programs.steps import Step
from harness.replay.judge import judge_run
from harness.targets.lifetimes import faults, kit
from harness.targets.lifetimes.program import HOLDERS, MAPPINGS, PLACES, READER_ACTS, VOCABULARY, WRITER_ACTS, decode
from harness.targets.lifetimes.target import Lifetimes

step, encode = VOCABULARY.step, VOCABULARY.encode
TARGET = Lifetimes()
TWO = (step("tensor"), step("tensor", 1, 1))
TORCH = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")


def mapping(kind: str) -> Step:
    return step("mapping", MAPPINGS.index(kind))


def plan(place: str, act: str, number: int = 0, *, on: int = 0, apart: bool = False, acts=WRITER_ACTS) -> Step:
    return step("plan", PLACES.index(place), acts.index(act), apart | number << 1 | on << 3)


@pytest.fixture(scope="module")
def run(safetensors: ModuleType) -> Run:
    return TARGET.open(safetensors)


def aspects(run: Run, *steps) -> list[str]:
    return [f"{one.rule.name} {one.aspect}" for one in judge_run(TARGET, run, encode(steps))]


def test_the_seeds_are_valid_and_show_nothing(run: Run) -> None:
    for name, data in TARGET.seeds().items():
        assert (name, run(data)[0]) == (name, ACCEPT)
        assert (name, judge_run(TARGET, run, data)) == (name, [])


@pytest.mark.parametrize("kind", ["archive", "lazy", "lazy-dict", "popping", "changing"])
def test_values_that_only_the_mapping_held_are_gone_when_they_are_written(run: Run, kind: str) -> None:
    found = aspects(run, step("tensor"), step("tensor"), mapping(kind), step("write"))
    assert found == ["lifetimes.written numpy.save:lazy:bytes"]


@pytest.mark.parametrize(
    ("place", "act"), [("pointer", "replace"), ("path", "clear"), ("path", "pop"), ("path", "replace")]
)
@pytest.mark.parametrize("apart", [False, True])
def test_values_that_another_part_of_the_program_lets_go_are_gone(run: Run, place: str, act: str, apart: bool) -> None:
    found = aspects(run, *TWO, plan(place, act, apart=apart), step("write", 1))
    assert found == ["lifetimes.written numpy.save_file:released:bytes"]


@pytest.mark.skipif(not faults.available(), reason="the kernel gives no userfaultfd")
@pytest.mark.parametrize("way", [0, 1])
def test_another_thread_lets_values_go_while_the_writer_reads(run: Run, way: int) -> None:
    found = aspects(run, *TWO, plan("fault", "clear"), step("write", way))
    assert found == [f"lifetimes.written numpy.save{'_file' * way}:released:bytes"]
    # Specs whose memory the caller keeps are written whole, and so is what torch's writers hold.
    for other in (4, 5, 2, 3) if "torch" not in TARGET.note() else (4, 5):
        assert aspects(run, *TWO, plan("fault", "clear"), step("write", other)) == []


def test_a_value_that_is_overwritten_may_be_written_in_either_version(run: Run) -> None:
    for place in ("pointer", "path", "collection"):
        assert aspects(run, *TWO, plan(place, "overwrite", 1), step("write", 1)) == []


@pytest.mark.parametrize("way", [0, 1, pytest.param(2, marks=TORCH), pytest.param(3, marks=TORCH)])
def test_an_array_of_the_other_byte_order_is_overwritten_in_its_order(run: Run, way: int) -> None:
    """Torch has no such tensors, and gets one of the usual order."""
    swapped = step("tensor", 0, 0, HOLDERS.index("swapped"))
    for place in ("pointer", "collection"):
        assert aspects(run, swapped, swapped, plan(place, "overwrite", 1, on=1), step("write", way)) == []


def test_memory_that_is_unmapped_kills_the_process(run: Run) -> None:
    program = encode((step("tensor", 0, 0, HOLDERS.index("unmapped")), *TWO, mapping("lazy"), step("write")))
    child = os.fork()
    if not child:
        for number in (signal.SIGSEGV, signal.SIGBUS):
            signal.signal(number, signal.SIG_DFL)
        run(program)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGSEGV
    assert TARGET.call_names(program) == ["numpy.save:lazy"]


def test_a_writer_that_holds_its_values_is_left_alone(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    numpy_module = importlib.import_module("safetensors.numpy")
    real = numpy_module._flatten
    held: list[object] = []

    def holding(tensors, keep):
        taken = dict(tensors.items())
        held.append(taken)
        return real(taken, held)

    monkeypatch.setattr(numpy_module, "_flatten", holding)
    for kind in MAPPINGS:
        assert aspects(run, *TWO, mapping(kind), step("write")) == []
    for act in WRITER_ACTS:
        assert aspects(run, *TWO, plan("path", act), step("write", 1)) == []


def test_a_swapped_copy_that_nothing_holds_is_found(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    numpy_module = importlib.import_module("safetensors.numpy")
    real = numpy_module._flatten
    big = HOLDERS.index("swapped")
    program = (step("tensor", 0, 0, big), step("tensor", 0, 0, big), step("write"))
    assert aspects(run, *program) == []
    monkeypatch.setattr(numpy_module, "_flatten", lambda tensors, keep: real(tensors, []))
    assert aspects(run, *program) == ["lifetimes.written numpy.save:held:bytes"]


def test_an_array_over_bytes_that_nothing_holds_is_found(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    numpy_module = importlib.import_module("safetensors.numpy")
    real = numpy_module.load

    def borrowing(data):
        given = {}
        for name, array in real(data).items():
            memory = kit.Memory(array.tobytes())
            raw = (ctypes.c_char * array.nbytes).from_address(memory.address)
            given[name] = numpy.frombuffer(raw, array.dtype).reshape(array.shape)
        return given

    assert aspects(run, step("load")) == []
    monkeypatch.setattr(numpy_module, "load", borrowing)
    assert aspects(run, step("load")) == ["lifetimes.read load:bytes", "lifetimes.read kept:bytes"]


@pytest.mark.parametrize("act", READER_ACTS)
@pytest.mark.parametrize("apart", [False, True])
def test_a_slice_reads_its_file_whatever_goes_in_the_middle(run: Run, act: str, apart: bool) -> None:
    program = [step("open"), step("get_slice", 0, 1), plan("item", act, apart=apart, acts=READER_ACTS)]
    program += [step("index", 0, 2), step("get_slice"), step("index", 0, 0, 1)]
    assert aspects(run, *program) == []
    assert f"at(1, {'other(' * apart}" in TARGET.explain(encode(program))


def test_a_handle_is_closed_by_a_finaliser_in_the_middle_of_a_read(run: Run) -> None:
    """Which container is the last one before a read depends on the version of Python."""
    ends = set()
    for number in range(12):
        program = encode((step("open"), plan("collection", "close", number, acts=READER_ACTS), step("get_tensor")))
        outcome, error, trace = run(program)
        assert judge_run(TARGET, run, program) == [] or outcome == RAISE
        ends.add((outcome, error, trace.events[1].outcome))
    assert (ACCEPT, "", ACCEPT) in ends


@TORCH
def test_tensors_of_torch_are_held_in_all_these_cases(run: Run) -> None:
    for kind in ("lazy-dict", "popping", "changing"):
        assert aspects(run, *TWO, mapping(kind), step("write", 2)) == []
    for place in PLACES:
        assert aspects(run, *TWO, plan(place, "replace"), step("write", 3)) == []
    for way in (2, 3):
        program = (step("open", 0, way), step("get_slice"), step("index", 0, 1), step("get_tensors", 0, 1))
        assert aspects(run, *program, step("close"), step("put", 0, 1), step("collect")) == []


MODEL = 6
SWAPPED = step("tensor", 0, 1, HOLDERS.index("swapped")), step("tensor", 3, 5, HOLDERS.index("swapped"))


@TORCH
@pytest.mark.parametrize("tensors", [TWO, SWAPPED])
def test_a_module_is_saved_whole_whatever_its_buffers_do(run: Run, tensors: tuple[Step, ...]) -> None:
    for place in ("path", "fault", "collection"):
        for act in WRITER_ACTS:
            for apart in (False, True):
                assert aspects(run, *tensors, plan(place, act, apart=apart), step("write", MODEL)) == []


@TORCH
def test_copies_that_nothing_holds_are_found_in_a_saved_module(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    torch_module = importlib.import_module("safetensors.torch")

    def forgetting(model, filename):
        specs = {
            name: torch_module.TensorSpec(
                dtype=str(one.dtype)[6:],
                shape=list(one.shape),
                data_ptr=one.contiguous().data_ptr(),
                data_len=one.nbytes,
            )
            for name, one in model.state_dict().items()
        }
        torch_module.serialize_file(specs, filename)

    monkeypatch.setattr(torch_module, "save_model", forgetting)
    assert aspects(run, *TWO, step("write", MODEL)) == []
    assert aspects(run, *SWAPPED, step("write", MODEL)) == ["lifetimes.written torch.save_model:held:bytes"]


@TORCH
def test_a_module_keeps_what_was_loaded_and_another_content_is_found(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    torch_module = importlib.import_module("safetensors.torch")
    real = torch_module.load_file
    for way in (7, 8):
        for act in READER_ACTS:
            program = plan("path", act, acts=READER_ACTS), step("load", way), step("put", 0, 1), step("collect")
            assert aspects(run, *program) == []
    monkeypatch.setattr(
        torch_module, "load_file", lambda *given, **more: {k: v * 0 for k, v in real(*given, **more).items()}
    )
    assert aspects(run, step("load", 8)) == ["lifetimes.read load:bytes", "lifetimes.read kept:bytes"]


def test_paddle_holds_what_it_writes_and_keeps_what_it_read(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("paddle")
    for kind in ("dict", "lazy-dict", "popping", "changing"):
        for way in (7, 8):
            assert aspects(run, *TWO, mapping(kind), step("write", way)) == []
    for place in ("path", "fault", "collection"):
        for act in WRITER_ACTS:
            assert aspects(run, *TWO, plan(place, act, apart=True), step("write", 8)) == []
    for way in (9, 10, 11):
        assert (
            aspects(run, plan("path", "churn", acts=READER_ACTS), step("load", way), step("unlink"), step("churn"))
            == []
        )
    module = importlib.import_module("safetensors.paddle")
    flatten, array_of = module._flatten, module._to_ndarray
    monkeypatch.setattr(module, "_to_ndarray", lambda *given: (array_of(*given)[0].copy(), given[0]))
    assert aspects(run, *TWO, step("write", 7)) == []
    monkeypatch.setattr(module, "_flatten", lambda tensors, keep: flatten(tensors, []))
    assert aspects(run, *TWO, step("write", 7)) == ["lifetimes.written paddle.save:held:bytes"]


def test_a_program_needs_the_frameworks_of_its_calls() -> None:
    for call, needs in (
        (step("write", MODEL), ("torch",)), (step("load", 8), ("torch",)), (step("load", 10), ("paddle",)),
        (step("write", 7), ("paddle",)), (step("write"), ()),
    ):  # fmt: skip
        assert TARGET.needs_for(encode((call,))) == needs


def test_any_bytes_are_a_program_whose_words_are_python() -> None:
    for kind in range(len(VOCABULARY.kinds)):
        for a in range(0, 256, 51):
            program = bytes((2, a, 255 - a, kind)) + bytes((kind, a, a + kind & 255, kind)) * 3
            decode(program)
            compile(TARGET.explain(program), "program", "exec")


def test_a_run_repeats(run: Run) -> None:
    program = encode(
        (*TWO, plan("collection", "churn", 9), step("write", 1), step("load"), step("open"), step("get_slice"))
    )
    first, again = run(program), run(program)
    assert [(one.call, one.outcome, one.value) for one in first[2].events] == [
        (one.call, one.outcome, one.value) for one in again[2].events
    ]
    assert list(TARGET.features(first)) == list(TARGET.features(again))


def test_a_name_never_stands_for_an_older_value(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run.__self__, "_frameworks", {""})  # type: ignore[attr-defined]
    assert aspects(run, step("load"), step("load", 4, 1)) == []
    assert aspects(run, step("load"), step("open"), step("open", 0, 2), step("get_tensor", 0, 1)) == []
