"""Words for devices on the real parser, and data on a device where there is one."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

from harness.observation import ACCEPT, REJECT, Trace
from harness.oracles.oracle import Execution
from harness.programs import arrays
from harness.targets.device import oracle
from harness.targets.device.program import FILE, REAL, VOCABULARY, WORDS, decode
from harness.targets.device.redirect import redirected
from harness.targets.device.target import Device

step = VOCABULARY.step
CONTENT = {name: arrays.content(dtype, shape, salt) for name, dtype, shape, salt in FILE}


def outcomes(safetensors: ModuleType, *steps) -> list[tuple[str, str, object]]:
    trace = Device().open(safetensors)(VOCABULARY.encode(steps))[2]
    assert isinstance(trace, Trace)
    return [(event.call, event.outcome, event.value) for event in trace.events]


def test_the_cpu_gives_what_the_file_holds(safetensors: ModuleType) -> None:
    for backend in (0, 1):
        assert outcomes(safetensors, step("open", 0, backend)) == [("open", ACCEPT, ("cpu", CONTENT))]


def test_numpy_is_refused_an_accelerator(safetensors: ModuleType) -> None:
    for given in (step("name"), step("name", 3, 1), step("number")):
        ((_, outcome, error),) = outcomes(safetensors, given, step("open"))
        assert outcome == REJECT
        assert "is not supported for framework numpy" in str(error)


def test_calls_of_a_framework_that_is_not_installed_are_passed_over(safetensors: ModuleType, monkeypatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert outcomes(safetensors, step("open", 1), step("load_file"), step("open")) == [
        ("open", ACCEPT, ("cpu", CONTENT))
    ]
    assert Device().note().startswith("torch is not installed")
    assert Device().missing(VOCABULARY.encode([step("load_file")])) == "torch is not installed"
    assert Device().missing(VOCABULARY.encode([step("open")])) == ""


def test_without_a_device_it_says_that_nothing_is_read_onto_one(monkeypatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setattr("pathlib.Path.glob", lambda self, pattern: iter(()))
    assert Device().note() == "there is no CUDA device: words for devices are tried, and nothing is read onto one"
    monkeypatch.setattr("pathlib.Path.glob", lambda self, pattern: iter(("/dev/nvidia0",)))
    assert Device().note() == ""


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
def test_torch_reads_onto_the_cpu_by_both_calls(safetensors: ModuleType) -> None:
    made = outcomes(safetensors, step("open", 1), step("open", 1, 1), step("load_file"), step("load_file", 1))
    assert made == [(call, ACCEPT, ("cpu", CONTENT)) for call in ("open", "open", "load_file", "load_file")]


@pytest.mark.skipif(Device().note() != "", reason=Device().note())
def test_torch_reads_onto_a_cuda_device(safetensors: ModuleType) -> None:
    for given in (step("name"), step("name", 0, 1), step("number")):
        program = VOCABULARY.encode(
            [given, step("open", 1), step("open", 1, 1), step("load_file"), step("load_file", 1)]
        )
        observation = Device().open(safetensors)(program)
        assert [event.value for event in observation[2].events] == [("cuda", CONTENT)] * 4
        assert oracle.check(Execution(program, observation)) == []


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
@pytest.mark.parametrize("number", range(REAL))
def test_a_redirected_accelerator_gives_what_the_cpu_gives(safetensors: ModuleType, number: int) -> None:
    steps = [step("redirect"), step("name", number), step("open", 1), step("open", 1, 1), step("load_file")]
    assert [value for _, _, value in outcomes(safetensors, *steps)] == [("cpu", CONTENT)] * 3
    program = VOCABULARY.encode([step("redirect"), step("name", number), *(step("part", n % 2, n) for n in range(16))])
    observation = Device().open(safetensors)(program)
    compared = [e.value == e.about.plain for e in observation[2].events if e.about.plain is not None]
    assert compared.count(True) == len(compared) > 8
    assert oracle.check(Execution(program, observation)) == []


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
def test_only_accelerators_are_redirected() -> None:
    import torch

    assert redirected(lambda: torch.empty(2, device="cuda:1", pin_memory=True).to("npu").to(0)).device.type == "cpu"
    assert redirected(lambda: torch.empty(2, device="meta")).device.type == "meta"
    with pytest.raises(RuntimeError):
        redirected(lambda: torch.empty(2, device="cuda:x"))


def test_without_its_framework_no_tensor_is_had(safetensors: ModuleType, monkeypatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: found(name) if name == "torch" else None)
    for word in ("tf", "jax", "mlx", "paddle"):
        if found({"tf": "tensorflow"}.get(word, word)) is None:
            ((_, outcome, error),) = outcomes(safetensors, step("framework", [w for w, _ in WORDS].index(word)))
            assert (outcome, type(error)) == (REJECT, ModuleNotFoundError)


def test_any_bytes_are_a_program_and_its_words_are_python() -> None:
    for number in (*range(len(VOCABULARY.kinds)), 255):
        for a in range(0, 256, 17):
            program = bytes((number, a, a + number & 255, number)) + VOCABULARY.encode([step("open")])
            calls = decode(program)
            assert calls
            compile(Device().explain(program), "program", "exec")
            made = Device().script(program)
            assert made is not None
            compile(made.text, "program", "exec")


@pytest.mark.parametrize("program", Device().seeds().values(), ids=Device().seeds())
def test_seeds_make_calls(safetensors: ModuleType, program: bytes) -> None:
    trace = Device().open(safetensors)(program)[2]
    assert trace.events
    assert list(Device().features((ACCEPT, "", trace)))
