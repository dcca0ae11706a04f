"""The honest reader passes; one that lies about bytes, shapes, dtypes or refusals is found in its lie."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy
import pytest

from harness.oracles.oracle import Execution
from harness.programs.arrays import NUMPY_NAMES
from harness.targets.quantized import oracle
from harness.targets.quantized.program import AWRY, VOCABULARY, Held, cut, decode, stored_shape
from harness.targets.quantized.target import Quantized

S = VOCABULARY.step
READS = [
    S("deserialize"),
    S("get_tensor"),
    S("get_tensor", 1),
    S("get_tensors"),
    S("about"),
    S("part", 0, 1),
    S("part", 1, 1),
]
PROGRAM = VOCABULARY.encode([S("blocks", 0, 1), *READS])
BAD = VOCABULARY.encode([S("blocks", 0, 1), S("awry", 0, AWRY.index("odd")), *READS])


class Refused(Exception):
    """The documented error of the stand-in."""


def part(held: Held, source: str) -> Any:
    taken = cut(held, source)
    shape = None if taken is None else stored_shape(held.dtype, taken[0])
    if taken is None or shape is None:
        raise Refused
    return numpy.frombuffer(taken[1], NUMPY_NAMES.get(held.dtype, "u1")).reshape(shape)


class Honest:
    """A reader that answers from the program itself."""

    program = PROGRAM

    def __init__(self, path: str, **_: Any) -> None:
        made = decode(self.program)
        if not made.valid:
            raise Refused
        self.held = {one.name: one for one in made.tensors}
        self.sources = {call.index.__repr__(): call.source for call in made.calls}

    def get_tensor(self, name: str) -> Any:
        return part(self.held[name], "")

    def get_tensors(self) -> Any:
        return {name: part(one, "") for name, one in self.held.items()}

    def get_slice(self, name: str) -> Any:
        return Slice(self.held[name], self.sources)


class Slice:
    def __init__(self, held: Held, sources: dict[str, str]) -> None:
        self.held, self.sources = held, sources

    def get_dtype(self) -> str:
        return self.held.dtype

    def get_shape(self) -> list[int]:
        return list(self.held.shape)

    def __getitem__(self, index: Any) -> Any:
        return part(self.held, self.sources[repr(index)])


def rows(program: bytes) -> list[tuple[str, dict[str, Any]]]:
    made = decode(program)
    if not made.valid:
        raise Refused
    return [(one.name, {"dtype": one.dtype, "shape": list(one.shape), "data": one.content}) for one in made.tensors]


def found(program: bytes = PROGRAM, deserialize: Any = None, **methods: Any) -> set[tuple[str, str]]:
    reader = type("Reader", (Honest,), {"program": program, **methods})
    read = deserialize or (lambda raw: rows(program))
    module: Any = SimpleNamespace(safe_open=reader, deserialize=read, SafetensorError=Refused)
    observation = Quantized().open(module)(program)
    return {(one.rule.name, one.aspect) for one in oracle.check(Execution(program, observation))}


def test_the_honest_reader_passes():
    assert found() == set()
    assert found(BAD) == set()


def changed(key: str, value: Any) -> Any:
    return lambda raw: [(name, {**one, key: value}) for name, one in rows(PROGRAM)]


def lying(**methods: Any) -> Any:
    kind = type("LyingSlice", (Slice,), methods)
    return lambda self, name: kind(self.held[name], self.sources)


@pytest.mark.parametrize(
    ("lie", "finding"),
    [
        ({"deserialize": changed("dtype", "F32")}, ("quantized.deserialize", "dtype")),
        ({"deserialize": changed("shape", [1])}, ("quantized.deserialize", "shape")),
        ({"deserialize": changed("data", b"?")}, ("quantized.deserialize", "bytes")),
        ({"deserialize": lambda raw: []}, ("quantized.deserialize", "names")),
        ({"get_tensors": lambda self: {}}, ("quantized.get_tensors", "names")),
        ({"get_tensor": lambda self, name: part(self.held[name], "") + 1}, ("quantized.get_tensor", "bytes/F4")),
        (
            {"get_tensor": lambda self, name: part(self.held[name], "") + 1},
            ("quantized.get_tensor", "bytes/whole-bytes"),
        ),
        ({"get_tensor": lambda self, name: part(self.held[name], "").ravel()}, ("quantized.get_tensor", "shape/F4")),
        ({"get_slice": lying(get_dtype=lambda self: "U8")}, ("quantized.about", "differs")),
        (
            {"get_slice": lying(__getitem__=lambda self, index: part(self.held, "1:2"))},
            ("quantized.get_slice", "shape/F4"),
        ),
    ],
)
def test_a_liar_is_found_in_its_lie(lie: dict[str, Any], finding: tuple[str, str]):
    assert finding in found(**lie)


def test_a_part_of_half_bytes_must_be_refused():
    program = VOCABULARY.encode([S("single", 5, 0), S("part", 0, 6)])  # one element of four
    assert found(program) == set()
    rounded = lying(__getitem__=lambda self, index: numpy.zeros(1, "u1"))
    assert found(program, get_slice=rounded) == {("quantized.get_slice", "accepted/F4")}


def test_a_dtype_that_numpy_has_must_be_that_dtype():
    program = VOCABULARY.encode([S("gptq"), S("get_tensor")])
    as_unsigned = {"get_tensor": lambda self, name: part(self.held[name], "").view("u4")}
    assert found(program, **as_unsigned) == {("quantized.get_tensor", "dtype/whole-bytes")}


def test_both_ways_of_opening_must_refuse_what_is_wrong_and_take_what_is_right():
    def refuse(*_: Any, **__: Any) -> Any:
        raise Refused("no")

    assert found(deserialize=refuse) == {("refused", "deserialize")}
    assert found(__init__=refuse) == {("refused", "safe_open")}
    assert found(BAD, deserialize=lambda raw: []) == {("quantized.deserialize", "accepted")}
    assert ("quantized.safe_open", "accepted") in found(BAD, __init__=lambda self, path, **_: setattr(self, "held", {}))
