"""Honest ranks pass; a reader that lies to one rank is found in that way."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.oracles.oracle import Execution
from harness.programs import arrays
from harness.targets.parallel import oracle
from harness.targets.parallel.program import VOCABULARY, decode
from harness.targets.parallel.target import Parallel

S = VOCABULARY.step
FILE = [S("tensor", 2, arrays.SHAPES.index((8, 8))), S("tensor", 1, arrays.SHAPES.index((7, 5)))]
PROGRAM = VOCABULARY.encode(
    [*FILE, S("columns"), S("rows", 1, 3, 1), S("strided", 1), S("stages", 0, 1), S("whole", 1)]
)


class Refused(Exception):
    """The documented error of the stand-in."""


class Honest:
    """A reader that answers from what numpy says of the program's own arrays."""

    program = PROGRAM

    def __init__(self, path: str, **_: Any) -> None:
        tensors = decode(self.program).tensors
        self.arrays = {name: arrays.array(dtype, shape, salt) for name, dtype, shape, salt in tensors}

    def keys(self) -> list[str]:
        return sorted(self.arrays)

    def offset_keys(self) -> list[str]:
        return list(self.arrays)

    def get_tensor(self, name: str) -> Any:
        return self.arrays[name]

    def get_slice(self, name: str) -> Any:
        return self.part(self.arrays[name])

    def part(self, array: Any) -> Any:
        return SimpleNamespace(take=array) if array is None else Part(array)


class Part:
    def __init__(self, array: Any) -> None:
        self.array = array

    def __getitem__(self, index: Any) -> Any:
        return self.array[index]


def found(reader: type, program: bytes = PROGRAM) -> list[tuple[str, str]]:
    module: Any = SimpleNamespace(safe_open=reader, SafetensorError=Refused)
    observation = Parallel().open(module)(program)
    return [(one.rule.name, one.aspect) for one in oracle.check(Execution(program, observation))]


def lying(program: bytes = PROGRAM, **methods: Any) -> Any:
    return type("Lying", (Honest,), {**methods, "program": program})


def part(take: Any) -> Any:
    kind = type("LyingPart", (Part,), {"__getitem__": take})
    return lambda self, array: kind(array)


def test_honest_ranks_pass():
    assert found(Honest) == []


def shifted(self: Part, index: Any) -> Any:
    """The second rank's part begins one row too late."""
    if index == slice(4, 8):
        return self.array[[5, 6, 7, 7]]
    return self.array[index]


def short(self: Part, index: Any) -> Any:
    return self.array[4:7] if index == slice(4, 8) else self.array[index]


def flat(self: Part, index: Any) -> Any:
    return self.array[index].ravel() if index == slice(4, 8) else self.array[index]


def contiguous(self: Part, index: Any) -> Any:
    """Steps are ignored."""
    if isinstance(index, slice) and index.step:
        return self.array[slice(index.start, None)][: len(self.array[index])]
    return self.array[index]


@pytest.mark.parametrize(
    ("reader", "finding"),
    [
        (lying(part=part(shifted)), ("parallel.columns", "bytes")),
        (lying(part=part(short)), ("parallel.columns", "shape")),
        (lying(part=part(flat)), ("parallel.columns", "parts-do-not-fit")),
        (lying(part=part(contiguous)), ("parallel.strided", "bytes")),
        (lying(part=part(lambda self, index: self.array[index].astype("f8"))), ("parallel.rows", "dtype")),
        (lying(get_tensor=lambda self, name: self.arrays[name][::-1]), ("parallel.whole", "bytes")),
        (lying(get_tensor=lambda self, name: self.arrays[name][::-1]), ("parallel.stages", "bytes")),
        (lying(keys=lambda self: sorted(self.arrays, reverse=True)), ("parallel.stages", "names/keys")),
    ],
)
def test_a_liar_is_found_in_its_lie(reader: type, finding: tuple[str, str]):
    assert finding in found(reader)


def refuse(self: Part, index: Any) -> Any:
    raise Refused("no")


@pytest.mark.parametrize(
    ("steps", "place"),
    [
        ([S("tensor"), S("columns")], "inside"),
        ([S("tensor", 0, arrays.SHAPES.index((2, 3))), S("columns", 0, 3, 1)], "empty-at-end"),
        ([S("tensor", 0, arrays.SHAPES.index((0,))), S("columns")], "of-no-elements"),
    ],
)
def test_a_refusal_within_the_tensor_is_found(steps: list[Any], place: str):
    program = VOCABULARY.encode(steps)
    assert ("refused", place) in found(lying(program, part=part(refuse)), program)


def test_a_refusal_outside_the_tensor_is_allowed_and_a_dimension_that_is_not_there_must_be_refused():
    outside = VOCABULARY.encode([FILE[1], S("columns", 0, 2, 5)])  # [6:8] of 7 rows
    honest = part(lambda self, index: refuse(self, index) if index == slice(6, 8) else self.array[index])
    assert found(lying(outside, part=honest), outside) == []
    scalar = VOCABULARY.encode([S("tensor", 0, arrays.SHAPES.index(())), S("columns")])
    given = part(lambda self, index: self.array)
    assert found(lying(scalar, part=given), scalar) == [("parallel.columns", "accepted/no-dimension")] * 2
    assert found(lying(scalar, part=part(refuse)), scalar) == []


def test_tensors_without_elements_may_stand_in_any_order_where_they_share_a_place():
    empty = [S("tensor", 0, arrays.SHAPES.index((0,))), S("tensor", 0, arrays.SHAPES.index((2, 0)))]
    by_offset = S("stages", 0, 1, 1)
    backwards = lying(VOCABULARY.encode([*empty, by_offset]), offset_keys=lambda self: list(self.arrays)[::-1])
    assert found(backwards, backwards.program) == []
    backwards = lying(
        VOCABULARY.encode([empty[0], FILE[1], by_offset]), offset_keys=lambda self: list(self.arrays)[::-1]
    )
    assert found(backwards, backwards.program) == [("parallel.stages", "names/offset_keys")] * 2
