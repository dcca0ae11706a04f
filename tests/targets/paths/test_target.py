from __future__ import annotations

import importlib
import importlib.util
import os
from types import ModuleType

import pytest

from harness.findings.finding import normalise
from harness.observation import ACCEPT, REJECT, Event, Run, Trace
from harness.programs.steps import Step
from harness.replay.judge import judge_run
from harness.targets.paths import other_process
from harness.targets.paths.program import ACTS, HANDLES, NAMES, SPELLINGS, THINGS, VOCABULARY, decode
from harness.targets.paths.target import Paths, _words

step = VOCABULARY.step
TARGET = Paths()
TORCH = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
traced = pytest.mark.skipif(bool(other_process.refusal()), reason="no ptrace")


@pytest.fixture(scope="module")
def run(safetensors: ModuleType) -> Run:
    return TARGET.open(safetensors)


def thing(name: str, content: int = 0) -> Step:
    return step("thing", THINGS.index(name), content)


def act(name: str, point: int, content: int = 0) -> Step:
    return step("act", ACTS.index(name), point, content)


def events(run: Run, *steps: Step) -> list[Event]:
    trace = run(VOCABULARY.encode(steps))[2]
    assert isinstance(trace, Trace)
    return trace.events


def found(run: Run, *steps: Step) -> set[str]:
    return {f"{one.rule.name}|{one.aspect}" for one in judge_run(TARGET, run, VOCABULARY.encode(steps))}


def test_every_kind_of_step_is_in_some_seed() -> None:
    steps = {number.kind for data in TARGET.seeds().values() for number in VOCABULARY.decode(data)}
    assert steps == set(range(len(VOCABULARY.kinds)))


@pytest.mark.parametrize("backend", [0, 1])
def test_regular_files_read_as_what_they_are(run: Run, backend: int) -> None:
    for name in ("file", "hard-link", "symlink", "sparse"):
        for call in (step("open", backend), step("load_file", backend), step("handle", 0, backend)):
            assert not found(run, thing(name, 2), call)
            assert [event.outcome for event in events(run, thing(name, 2), call)] == [ACCEPT]


#: Defects of release 0.8.0 that have a record: here they have the names of the targets that found them.
KNOWN = [
    ((thing("loop"), step("open")), "lifecycle.open|unreadable:FileNotFoundError"),
    ((thing("socket"), step("open", 1)), "lifecycle.open|unreadable:FileNotFoundError"),
    ((step("spelling", SPELLINGS.index("nul")), step("load_file")), "lifecycle.open|unreadable:FileNotFoundError"),
    ((thing("directory"), step("open")), "lifecycle.open|folder:OSError"),
    ((thing("symlink-directory"), step("open", 1)), "lifecycle.open|folder:OSError"),
    ((step("handle", HANDLES.index("moved")),), "lifecycle.open_file|nowhere:FileNotFoundError"),
    ((step("handle", HANDLES.index("replaced")),), "lifecycle.open_file|elsewhere:misread"),
    ((step("save_file", 0, 1),), "roundtrip.mode|existing"),
    ((thing("absent"), step("serialize_file", 0, 1)), "roundtrip.mode|new"),
]


@pytest.mark.parametrize(("steps", "name"), KNOWN)
def test_a_known_cause_has_its_known_name(run: Run, steps: tuple[Step, ...], name: str) -> None:
    assert found(run, *steps) == {name}


def test_a_reader_that_waits_for_a_pipe_is_released_and_found(run: Run) -> None:
    assert found(run, thing("fifo"), step("open")) == {"paths.wait|reader"}
    # With a writer at the other end nothing waits without end, and a pipe may be refused.
    assert found(run, thing("fed-fifo"), step("open", 1)) == set()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")
def test_a_user_without_root_s_rights_reads_the_own_file_and_no_other(run: Run) -> None:
    own, others = step("rights", 3, 1), step("rights", 3, 0)
    assert [event.outcome for event in events(run, step("user"), own, step("open"))] == [ACCEPT]
    assert found(run, step("user"), others, step("open")) == {"lifecycle.open|unreadable:FileNotFoundError"}
    assert "paths.protected|PermissionError" in found(run, step("user"), own, step("save_file"))


@traced
@pytest.mark.parametrize("backend", [0, 1])
def test_a_reader_of_numpy_gives_the_file_of_before_or_of_after(run: Run, backend: int) -> None:
    seen = set()
    for point in range(10):
        for name in ("replace", "unlink", "to-symlink", "short"):
            steps = thing("file", 2), act(name, point, 4), step("open", backend)
            assert found(run, *steps) <= {"lifecycle.open|unreadable:FileNotFoundError"}
            [event] = events(run, *steps)
            seen.add((name, event.outcome, len(event.value) if event.outcome == ACCEPT else 0))
    assert {("replace", "accept", 2), ("replace", "accept", 3), ("unlink", "reject", 0)} <= seen


@traced
def test_a_writer_leaves_a_whole_file_or_the_old_one_whatever_fails(run: Run) -> None:
    outcomes = set()
    for point in range(8):
        for name in ("ENOSPC", "EIO", "EINTR", "short", "replace", "sweep", "to-directory"):
            steps = act(name, point, 4), step("save_file", 0, 2)
            assert found(run, *steps) <= {"roundtrip.mode|existing"}
            outcomes.add((name, events(run, *steps)[0].outcome))
    assert {("ENOSPC", "reject"), ("short", "accept"), ("sweep", "reject"), ("to-directory", "reject")} <= outcomes


@TORCH
@pytest.mark.parametrize("backend", [0, 1])
def test_a_module_is_loaded_from_regular_files_as_what_they_are(run: Run, backend: int) -> None:
    for name in ("file", "hard-link", "symlink", "sparse"):
        for content in (2, 4, 5):
            steps = thing(name, content), step("load_model", backend)
            assert not found(run, *steps)
            assert [event.outcome for event in events(run, *steps)] == [ACCEPT]


@TORCH
@traced
def test_a_module_gets_the_file_of_before_or_of_after_and_is_written_whole(run: Run) -> None:
    seen = set()
    for point in range(10):
        for name in ("replace", "unlink", "short"):
            steps = thing("file", 2), act(name, point, 4), step("load_model", 1)
            assert found(run, *steps) <= {"lifecycle.open|unreadable:FileNotFoundError"}
            [event] = events(run, *steps)
            seen.add((name, event.outcome, len(event.value) if event.outcome == ACCEPT else 0))
        for name in ("ENOSPC", "short", "replace", "sweep"):
            writes = act(name, point, 4), step("save_model", 0, 2)
            assert found(run, *writes) <= {"roundtrip.mode|existing"}
            seen.add((name, events(run, *writes)[0].outcome, 0))
    assert {
        ("replace", "accept", 2),
        ("replace", "accept", 3),
        ("unlink", "reject", 0),
        ("ENOSPC", "reject", 0),
    } <= seen


@TORCH
def test_a_module_that_is_read_or_written_otherwise_is_found(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("safetensors.torch")
    load, save = module.load_file, module.save_file
    monkeypatch.setattr(module, "load_file", lambda *given, **more: {k: -v for k, v in load(*given, **more).items()})
    assert found(run, step("load_model")) == {"paths.read|pt.mmap: nothing: mixed"}
    monkeypatch.setattr(module, "save_file", lambda tensors, path, metadata: save({}, path, metadata))
    assert found(run, thing("symlink"), step("save_model", 0, 1)) == {"paths.replaced|link"}
    assert found(run, thing("absent"), step("save_model", 0, 1)) == {"paths.written|file"}


@TORCH
def test_a_path_that_is_no_str_may_be_refused_by_save_model_alone(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("safetensors.torch")
    path = step("spelling", SPELLINGS.index("Path"))
    assert found(run, path, step("save_model", 0, 1)) == {"roundtrip.mode|existing"}

    def refuses(*_: object) -> None:
        raise TypeError("no str")

    for name in ("save_model", "save_file"):
        monkeypatch.setattr(module, name, refuses)
    assert found(run, path, step("save_model", 0, 1)) == set()
    assert found(run, step("save_model", 0, 1)) == {"raise|save_model: TypeError: no str"}
    assert found(run, path, step("save_file", 1, 1)) == {"raise|save_file: TypeError: no str"}


def test_files_of_paddle_are_judged_like_all_others(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("paddle")
    module = importlib.import_module("safetensors.paddle")
    reads = step("open", 4), step("load_file", 4), step("load_file", 5)
    for name in ("file", "hard-link", "symlink"):
        assert found(run, thing(name, 4), *reads) == set()
        assert [event.outcome for event in events(run, thing(name, 4), *reads)] == [ACCEPT] * 3
    assert found(run, step("save_file", 2, 4)) == {"roundtrip.mode|existing"}
    load, save = module.load_file, module.save_file
    monkeypatch.setattr(module, "load_file", lambda *given, **more: {k: -v for k, v in load(*given, **more).items()})
    monkeypatch.setattr(module, "save_file", lambda tensors, path: save({}, path))
    assert found(run, reads[1]) == {"paths.read|paddle.mmap: nothing: mixed"}
    assert found(run, thing("absent"), step("save_file", 2, 4)) == {"paths.written|file"}


def test_a_program_needs_the_frameworks_of_its_calls() -> None:
    needs = {
        name: TARGET.needs_for(data) for name, data in TARGET.seeds().items() if name in ("read", "model", "paddle")
    }
    assert needs == {"read": (), "model": ("torch",), "paddle": ("paddle",)}


@traced
@pytest.mark.parametrize(("large", "writes"), [(0, 1), (1, 2), (2, 3)])
def test_a_full_disk_is_met_at_each_write_of_large_data_and_of_a_large_header(
    run: Run, large: int, writes: int
) -> None:
    [whole] = events(run, step("save_file", 0, 0, large))
    assert whole.outcome == ACCEPT
    failed = [
        (event.about.calls[2:4], event.outcome)
        for point in range(2, 2 + writes)
        for event in events(run, act("ENOSPC", point), step("save_file", 0, 0, large))
    ]
    assert len(failed) == writes
    assert {outcome for _, outcome in failed} == {"reject"}
    assert all(calls[0] == "write" for calls, _ in failed)


def test_a_path_that_is_too_long_is_no_pipe(run: Run) -> None:
    for name in ("fifo", "fed-fifo"):
        pipe = [step("name", NAMES.index("long-path")), thing(name), step("serialize_file", 0, 1), step("open")]
        assert [event.outcome for event in events(run, *pipe)] == [REJECT, REJECT]


@pytest.mark.parametrize("form", ["relative", "dotted"])
def test_a_path_that_is_too_long_is_so_in_each_form(run: Run, form: str) -> None:
    forms = [step("spelling", SPELLINGS.index("str")), step("spelling", SPELLINGS.index(form))]
    written = [step("name", NAMES.index("long-path")), *(word for one in forms for word in (one, step("save_file")))]
    assert [(event.outcome, event.about.plain.error) for event in events(run, *written)] == [(REJECT, "OSError")] * 2


def test_a_pipe_gets_no_large_content() -> None:
    (scene,) = decode(VOCABULARY.encode([thing("fifo"), step("save_file", 0, 3, 1)]))
    assert scene.given == 3


def test_runs_leave_nothing_behind_and_keep_the_folder_and_the_user(run: Run) -> None:
    place, descriptors = os.getcwd(), len(os.listdir("/proc/self/fd"))
    for number in range(len(THINGS)):
        events(run, step("thing", number), step("user"), step("open"), step("save_file"), step("handle"))
    other_process.ours()
    assert (os.getcwd(), os.geteuid()) == (place, os.getuid())
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 1


@pytest.mark.parametrize("name", TARGET.seeds())
def test_seeds_run_twice_alike_and_name_their_calls(run: Run, name: str) -> None:
    data = TARGET.seeds()[name]
    first, second = run(data), run(data)
    assert first[:2] == second[:2]
    assert [event.call for event in first[2].events] == TARGET.call_names(data)[: len(first[2].events)]
    assert list(TARGET.features(first)) == list(TARGET.features(second))


def test_the_note_tells_what_cannot_be_driven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(other_process, "refusal", lambda: "not permitted")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    note = TARGET.note()
    assert "ptrace: not permitted" in note
    assert "without root" in note


@pytest.mark.parametrize("name", ["x.safetensors", "a\n'b\".safetensors"])
def test_an_error_of_torch_about_a_file_has_the_same_words_whatever_the_file_is_called(name: str) -> None:
    words = _words(f"RuntimeError: file </d/{name}> size <0> is smaller than the required mapping size <80>")
    assert normalise(words) == "RuntimeError: torch cannot map the file _"
