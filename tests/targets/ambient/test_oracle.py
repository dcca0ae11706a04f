"""Parsers that depend on ambient states or change them, and the findings of the oracle."""

from __future__ import annotations

import gc
import importlib
import itertools
import os
import sys
import threading
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy
import pytest

from harness.findings.severity import SIDE_EFFECT, STRICTNESS, WRONG_DATA, WRONG_EXCEPTION
from harness.oracles.oracle import Execution
from harness.targets.ambient import oracle, process
from harness.targets.ambient.program import VOCABULARY
from harness.targets.ambient.states import STATES
from harness.targets.ambient.target import Ambient

step = VOCABULARY.step
Load = Callable[..., Any]


def enter(words: str) -> Any:
    return step("enter", next(at for at, state in enumerate(STATES) if state.words == words))


@pytest.fixture
def found(safetensors: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The findings on a program, with a ``load_file`` for numpy made by a function of the real one."""
    module = importlib.import_module("safetensors.numpy")
    real = module.load_file

    def judged(lie: Callable[[Load], Load], *steps: Any) -> list[tuple[str, str, str]]:
        monkeypatch.setattr(module, "load_file", lie(real))
        program = VOCABULARY.encode(steps)
        # pytest makes errors of warnings.
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            observation = Ambient().open(safetensors)(program)
        findings = oracle.check(Execution(program, observation, target=Ambient()))
        return [(one.rule.name, one.aspect, one.severity) for one in findings]

    return judged


def when(condition: Callable[[], bool], then: Callable[[Load, Any], Any]) -> Callable[[Load], Load]:
    """A reader that does ``then`` where ``condition`` holds, and else its work."""

    def lie(real: Load) -> Load:
        return lambda path, **more: then(real, path) if condition() else real(path, **more)

    return lie


def zeros(real: Load, path: Any) -> Any:
    return {name: numpy.zeros_like(array) for name, array in real(path).items()}


def raising(error: BaseException) -> Callable[[Load, Any], Any]:
    def then(real: Load, path: Any) -> Any:
        raise error

    return then


def test_another_answer_names_the_state_and_the_difference(found: Any) -> None:
    lie = when(lambda: not gc.isenabled(), zeros)
    wanted = [("ambient.answer", "numpy mmap: gc disabled: bytes of a whole tensor", WRONG_DATA)]
    assert found(lie, enter("gc disabled"), step("load_file")) == wanted
    assert found(lie, enter("no_grad"), step("load_file")) == []
    assert found(lie, enter("gc disabled"), step("leave"), step("load_file")) == []
    # Of several states, the one that makes the difference is named.
    for around in (["numpy errors raise", "gc disabled"], ["gc disabled", "warnings always", "umask 0o77"]):
        assert found(lie, *map(enter, around), step("load_file")) == wanted


def test_two_states_that_differ_together_are_both_named(found: Any) -> None:
    lie = when(lambda: not gc.isenabled() and os.environb.get(b"HOME") == b"1", zeros)
    around = enter("gc disabled"), enter("environment HOME=1")
    assert found(lie, *around, step("load_file")) == [
        ("ambient.answer", "numpy mmap: environment and gc: bytes of a whole tensor", WRONG_DATA)
    ]


def test_a_state_is_named_alone_although_its_error_comes_of_the_order_of_tensors(found: Any) -> None:
    turns = itertools.count()

    def refuse(real: Load, path: Any) -> Any:
        # The first tensor is another each time, and the state shows in one of two.
        if sys.byteorder == "big" and next(turns) % 2 == 0:
            raise TypeError("of the state")
        raise KeyError("F4")

    around = [enter("byte order big"), enter("gc disabled"), enter("umask 0o77")]
    assert found(when(lambda: True, refuse), step("tensor", 1), step("tensor", 0, 1), *around, step("load_file")) == [
        ("ambient.answer", "numpy mmap: byte order big: raises TypeError: of the state", WRONG_EXCEPTION)
    ]


@pytest.mark.parametrize(
    ("lie", "words"),
    [
        (
            lambda real, path: {name: array.astype("float64") for name, array in real(path).items()},
            "dtype of a whole tensor",
        ),
        (
            lambda real, path: {name: array.reshape(-1, 1) for name, array in real(path).items()},
            "shape of a whole tensor",
        ),
        (lambda real, path: {f"x{name}": array for name, array in real(path).items()}, "names"),
    ],
)
def test_the_first_difference_is_told(found: Any, lie: Any, words: str) -> None:
    in_thread = when(lambda: threading.current_thread() is not threading.main_thread(), lie)
    assert found(in_thread, enter("thread of its own"), step("load_file")) == [
        ("ambient.answer", f"numpy mmap: thread of its own: {words}", WRONG_DATA)
    ]


def test_whole_tensors_on_another_device_are_told_from_slices(
    safetensors: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    module = importlib.import_module("safetensors.torch")
    real = module.load_file

    def load_file(path: Any, **more: Any) -> Any:
        where = torch.get_default_device()
        return {name: tensor.to(where) for name, tensor in real(path, **more).items()}

    monkeypatch.setattr(module, "load_file", load_file)
    steps = enter("default device meta"), step("load_file", 1), step("open", 1), step("get_slice")
    program = VOCABULARY.encode([step("tensor"), *steps])
    observation = Ambient().open(safetensors)(program)
    findings = oracle.check(Execution(program, observation, target=Ambient()))
    assert {one.aspect for one in findings} >= {
        "pt mmap: default device meta: device", "pt mmap: default device meta: device of a whole tensor"
    }  # fmt: skip


def test_errors_are_findings_but_for_the_documented_ones(found: Any, safetensors: ModuleType) -> None:
    def strict() -> bool:
        return warnings.filters[0][0] == "error"

    around, low = enter("warnings error"), enter("recursion limit low")
    wanted = "numpy mmap: warnings error: "
    assert found(when(strict, raising(ValueError("no"))), around, step("load_file")) == [
        ("ambient.answer", f"{wanted}raises ValueError: no", WRONG_EXCEPTION)
    ]
    assert found(when(strict, raising(safetensors.SafetensorError("no"))), around, step("load_file")) == [
        ("ambient.answer", f"{wanted}refused SafetensorError: no", STRICTNESS)
    ]
    assert found(when(strict, raising(UserWarning("careful"))), around, step("load_file")) == []
    assert found(when(strict, raising(RecursionError("deep"))), around, step("load_file")) != []
    limit = sys.getrecursionlimit()
    words = "maximum recursion depth exceeded"
    full = when(lambda: sys.getrecursionlimit() < limit, raising(RecursionError(words)))
    assert found(full, low, step("load_file")) == []


@pytest.mark.parametrize("kind", ["trace", "profile"])
def test_a_function_that_python_unsets_on_a_full_stack_is_no_side_effect(found: Any, kind: str) -> None:
    def fill(*_: Any) -> Any:
        return fill()

    full = when(lambda: getattr(sys, f"get{kind}")() is not None, fill)
    assert found(full, enter(kind), enter("recursion limit low"), step("load_file")) == []
    # Without a limit of its own a call that unsets it has a side effect.
    unset = when(
        lambda: getattr(sys, f"get{kind}")() is not None,
        lambda real, path: getattr(sys, f"set{kind}")(None) or real(path),
    )
    assert ("ambient.changed", f"numpy mmap: {kind}", SIDE_EFFECT) in found(unset, enter(kind), step("load_file"))


def _without_a_directory() -> bool:
    return os.readlink("/proc/self/cwd").endswith(" (deleted)")


def test_without_a_directory_an_error_of_every_state_is_right(found: Any) -> None:
    """A call may fail before it looks for the path."""
    relative = step("load_file", 0, 0, 2)
    always = when(lambda: True, raising(RuntimeError("tensors share memory")))
    assert found(always, enter("directory removed"), relative) == []
    for state, error in (
        ("recursion limit low", ValueError("argument 1: maximum recursion depth exceeded")),
        ("warnings error", UserWarning("deprecated")),
    ):
        within = when(_without_a_directory, raising(error))
        assert found(within, enter("directory removed"), enter(state), relative) == []
    gone = when(_without_a_directory, raising(RuntimeError("no directory")))
    assert found(gone, enter("directory removed"), relative) == [
        ("ambient.answer", "numpy mmap: directory removed: raises RuntimeError: no directory", WRONG_EXCEPTION)
    ]


def test_an_answer_without_a_directory_is_a_finding(found: Any) -> None:
    def anyway(real: Load) -> Load:
        return lambda path, **more: {}

    assert found(anyway, enter("directory removed"), step("load_file", 0, 0, 2)) == [
        ("ambient.answer", "numpy mmap: directory removed: accepted without a directory", WRONG_DATA)
    ]


def test_the_byte_order_that_a_reader_forgets_is_a_finding(found: Any) -> None:
    def forgetful(real: Load) -> Load:
        def read(path: Any, **more: Any) -> Any:
            return (
                {name: array.byteswap() for name, array in real(path, **more).items()} if big() else real(path, **more)
            )

        return read

    def big() -> bool:
        return sys.byteorder == "big"

    assert found(forgetful, enter("byte order big"), step("load_file")) == [
        ("ambient.answer", "numpy mmap: byte order big: bytes of a whole tensor", WRONG_DATA)
    ]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda: os.umask(0o123), "umask"),
        (lambda: os.chdir("/"), "directory"),
        (lambda: numpy.seterr(divide="raise"), "numpy errors"),
        (lambda: os.environ.__setitem__("HARNESS_TEST_AMBIENT", "1"), "environment"),
        (lambda: gc.set_threshold(gc.get_threshold()[0] + 1), "gc"),
        (lambda: warnings.simplefilter("ignore", ResourceWarning), "warnings"),
    ],
)
def test_a_setting_that_a_call_changes_is_a_finding_each_time(found: Any, change: Callable[[], Any], name: str) -> None:
    def lie(real: Load) -> Load:
        return lambda path, **more: (real(path, **more), change())[0]

    before = process.settings()
    for _ in range(2):
        assert found(lie, enter("stdout none"), step("load_file")) == [
            ("ambient.changed", f"numpy mmap: {name}", SIDE_EFFECT)
        ]
    assert process.changed(before, process.settings()) == []


def test_a_setting_that_changes_once_is_no_finding(found: Any) -> None:
    once = iter([lambda: None, lambda: os.umask(0o123)])

    def lie(real: Load) -> Load:
        return lambda path, **more: (real(path, **more), next(once, lambda: None)())[0]

    assert found(lie, enter("stdout none"), step("load_file")) == []
