"""Parsers that lie, each about one thing of a handle's life, and the honest one."""

from __future__ import annotations

import importlib
from types import ModuleType, SimpleNamespace
from typing import Any, Self

import numpy
import pytest

from harness.observation import Observation
from harness.oracles.oracle import Execution
from harness.programs.steps import Step
from harness.targets.lifecycle.oracle import check
from harness.targets.lifecycle.program import VOCABULARY
from harness.targets.lifecycle.target import Lifecycle

step = VOCABULARY.step


class Wrapper:
    """A handle that passes everything on; liars change one call."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._closed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._inner.__exit__(*error)
        self._closed = True


class NeverClosed(Wrapper):
    def __exit__(self, *error: object) -> None:
        self._closed = True


class Shares(Wrapper):
    """Gives the same array twice."""

    def get_tensor(self, name: str) -> Any:
        kept = self.__dict__.setdefault("_kept", {})
        return kept.setdefault(name, self._inner.get_tensor(name))


class Forgets(Wrapper):
    def metadata(self) -> Any:
        return None


class WrongError(Wrapper):
    def keys(self) -> Any:
        if self._closed:
            raise OSError("closed")
        return self._inner.keys()


class Zeros(Wrapper):
    def get_tensors(self) -> Any:
        return {name: numpy.zeros_like(array) for name, array in self._inner.get_tensors().items()}


def run(safetensors: ModuleType, wrapper: type[Wrapper], *steps: Step) -> tuple[Observation, set[tuple[str, str]]]:
    importlib.import_module("safetensors.numpy")
    lying = SimpleNamespace(
        safe_open=lambda *a, **k: wrapper(safetensors.safe_open(*a, **k)),
        SafetensorError=safetensors.SafetensorError,
        TensorSpec=safetensors.TensorSpec,
        deserialize=safetensors.deserialize,
        numpy=safetensors.numpy,
        _safetensors_rust=safetensors._safetensors_rust,
    )
    lying.safe_open.get_tensors = True
    data = VOCABULARY.encode(steps)
    observation = Lifecycle().open(lying)(data)  # type: ignore[arg-type]
    return observation, {(found.rule.name, found.aspect) for found in check(Execution(data, observation))}


OPEN, EXIT = step("open"), step("exit")
STORIES = [
    (NeverClosed, (OPEN, EXIT, step("get_tensor")), {("lifecycle.get_tensor", "closed:given")}),
    (Shares, (OPEN, step("get_tensor"), step("change"), step("get_tensor", 0, 0, 1)), {("lifecycle.get_tensor", "open/mmap:value")}),
    (Forgets, (step("save", 0, 2), OPEN, step("metadata")), {("lifecycle.metadata", "open/mmap:value")}),
    (WrongError, (OPEN, EXIT, step("keys")), set()),  # an undocumented error is the oracle contract's matter
    (Zeros, (OPEN, step("unlink"), step("get_tensors")), {("lifecycle.get_tensors", "unlinked/mmap:value")}),
]  # fmt: skip


@pytest.mark.parametrize(("liar", "steps", "found"), STORIES, ids=lambda value: getattr(value, "__name__", ""))
def test_each_liar_is_found_and_the_honest_parser_is_not(
    safetensors: ModuleType, liar: type[Wrapper], steps: tuple[Step, ...], found: set[tuple[str, str]]
) -> None:
    observation, said = run(safetensors, liar, *steps)
    assert said == found
    if liar is WrongError:
        assert observation[0] == "raise"
    honest, said = run(safetensors, Wrapper, *steps)
    assert said == set()
    assert honest[0] in ("accept", "reject")


FILE = (step("file"), step("replace", 1, 0), step("open_file"))
#: Defects of release 0.8.0 that one cause gives many faces: each must have one name, whatever is asked of the handle.
ALIKE = [
    ((*FILE, step("get_tensor")), "lifecycle.open_file|elsewhere:misread"),
    ((*FILE, step("get_slice"), step("exit"), step("read")), "lifecycle.open_file|elsewhere:misread"),
    ((step("file"), step("unlink"), step("open_file")), "lifecycle.open_file|nowhere:FileNotFoundError"),
    ((OPEN, step("cut", 0, 2), step("get_tensor")), "lifecycle.cut|mmap:given"),
    ((OPEN, step("get_slice"), step("cut", 0, 2), step("read")), "lifecycle.cut|mmap:given"),
    ((step("save", 0, 6), OPEN, step("get_slice", 0, 2), step("read")), "lifecycle.read|nothing:SafetensorError"),
    (
        (step("save", 0, 6), OPEN, step("get_slice", 0, 2), step("unlink"), step("read")),
        "lifecycle.read|nothing:SafetensorError",
    ),
    *(((step("open_odd", number),), "lifecycle.open|unreadable:FileNotFoundError") for number in (2, 3, 5, 6)),
]


@pytest.mark.parametrize(("steps", "name"), ALIKE)
def test_one_cause_has_one_name(safetensors: ModuleType, steps: tuple[Step, ...], name: str) -> None:
    data = VOCABULARY.encode(steps)
    found = check(Execution(data, Lifecycle().open(safetensors)(data)))
    assert {f"{one.rule.name}|{one.aspect}" for one in found} == {name}
