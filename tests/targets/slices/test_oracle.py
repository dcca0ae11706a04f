"""The honest reader passes; a reader that lies in one way is found in that way."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.observation import ACCEPT, REJECT
from harness.oracles.oracle import Execution
from harness.programs import subscripts
from harness.targets.slices import oracle
from harness.targets.slices.program import VOCABULARY, decode
from harness.targets.slices.target import Slices

S = VOCABULARY.step
FILE = [S("tensor", 2, 3), S("tensor", 1, 16)]
PROGRAM = VOCABULARY.encode(
    [*FILE, S("index"), S("range", 2, 0), S("get_tensor", 1), S("get_shape"), S("get_dtype"), S("get_tensors"), S("all_shapes")]
)  # fmt: skip


class Refused(Exception):
    """The documented error of the stand-in."""


class Honest:
    """A reader that answers from what numpy says of the program's own arrays."""

    def __init__(self, path: str, **_: Any) -> None:
        from harness.programs import arrays

        self.arrays = {name: arrays.array(dtype, shape, salt) for name, dtype, shape, salt in decode(PROGRAM).tensors}
        self.dtypes = {name: dtype for name, dtype, _, _ in decode(PROGRAM).tensors}

    def offset_keys(self) -> list[str]:
        return list(self.arrays)

    def get_tensor(self, name: str) -> Any:
        return self.arrays[name]

    def get_tensors(self) -> dict[str, Any]:
        return dict(self.arrays)

    def get_slice(self, name: str) -> Any:
        return Part(self.arrays[name], self.dtypes[name])


class Part:
    def __init__(self, array: Any, dtype: str) -> None:
        self.array, self.dtype = array, dtype

    def __getitem__(self, index: Any) -> Any:
        return self.array[index]

    def get_shape(self) -> list[int]:
        return list(self.array.shape)

    def get_dtype(self) -> str:
        return self.dtype


def found(reader: type, program: bytes = PROGRAM) -> list[tuple[str, str]]:
    module: Any = SimpleNamespace(safe_open=reader, SafetensorError=Refused)
    observation = Slices().open(module)(program)
    assert observation[0] in (ACCEPT, REJECT), observation[1]
    return [(one.rule.name, one.aspect) for one in oracle.check(Execution(program, observation))]


def lying(**methods: Any) -> type:
    return type("Lying", (Honest,), methods)


def part(**methods: Any) -> Any:
    kind = type("LyingPart", (Part,), methods)
    return lambda self, name: kind(self.arrays[name], self.dtypes[name])


def test_the_honest_reader_passes():
    assert found(Honest) == []


@pytest.mark.parametrize(
    ("reader", "finding"),
    [
        (lying(get_tensor=lambda self, name: self.arrays[name] + 1), ("numpy.get_tensor", "bytes/whole")),
        (lying(get_tensor=lambda self, name: self.arrays[name].T), ("numpy.get_tensor", "shape/whole")),
        (lying(get_tensor=lambda self, name: self.arrays[name].astype("F")), ("numpy.get_tensor", "dtype/whole")),
        (lying(get_tensor=lambda self, name: self.arrays[name].tolist()), ("numpy.get_tensor", "type/whole")),
        (lying(get_tensors=lambda self: {}), ("numpy.get_tensors", "names")),
        (lying(get_tensors=lambda self: dict(reversed(self.arrays.items()))), ("numpy.get_tensors", "order")),
        (lying(get_slice=part(__getitem__=lambda self, index: self.array[:1])), ("numpy.get_slice", "bytes/range")),
        (lying(get_slice=part(get_dtype=lambda self: "I8")), ("numpy.get_dtype", "dtype")),
        (lying(get_slice=part(get_shape=lambda self: [])), ("numpy.get_shape", "shape")),
        (lying(offset_keys=lambda self: []), ("numpy.get_shape", "all")),
    ],
)  # fmt: skip
def test_a_liar_is_found_in_its_lie(reader: type, finding: tuple[str, str]):
    assert finding in found(reader)


def test_an_answer_where_numpy_has_none_is_found():
    program = VOCABULARY.encode([*FILE, S("index"), S("int", 2)])
    clamped = lying(get_slice=part(__getitem__=lambda self, index: self.array[0]))
    assert found(clamped, program) == [("numpy.get_slice", "accepted/outside")]


def test_an_answer_to_a_name_that_is_not_there_is_found():
    program = VOCABULARY.encode([*FILE, S("no_such_tensor")])
    assert found(lying(get_tensor=lambda self, name: 1), program) == [("numpy.get_tensor", "no-such-tensor")]


def refuse(*_: Any) -> Any:
    raise Refused("no")


def test_a_read_of_what_is_there_may_not_be_refused():
    lie = lying(get_slice=part(__getitem__=refuse), get_tensor=refuse, get_tensors=refuse)
    inside = [("refused", "get_slice/range"), ("refused", "get_tensor/whole"), ("refused", "get_tensors/whole")]
    assert found(lie) == inside
    for item, form in ((S("int", 0), "int"), (S("int", 8), "negative"), (S("ellipsis"), "ellipsis")):
        program = VOCABULARY.encode([*FILE, S("index"), item])
        assert found(lie, program) == [("refused", f"get_slice/{form}")]


@pytest.mark.parametrize(
    "item", [S("int", 6), S("range", 3), S("range", 0, 7), S("range", 8), S("range", 0, 1), S("odd")]
)
def test_a_subscript_that_leaves_the_tensor_or_gives_nothing_may_be_refused(item: Any):
    program = VOCABULARY.encode([*FILE, S("index"), item])
    assert found(lying(get_slice=part(__getitem__=refuse)), program) == []


@pytest.mark.parametrize("word", subscripts.ODD)
def test_other_items_may_be_refused_wherever_they_stand(word: str):
    odd = S("odd", subscripts.ODD.index(word))
    lie = lying(get_slice=part(__getitem__=refuse))
    one = [("refused", "get_slice/odd")]
    # A tuple is the whole subscript where it stands alone.
    assert found(lie, VOCABULARY.encode([*FILE, S("index"), odd])) == (one if word.startswith(("slice", "(")) else [])
    for items in ([odd, S("int")], [S("ellipsis"), odd]):
        assert found(lie, VOCABULARY.encode([*FILE, S("index"), *items])) == (one if word.startswith("slice") else [])
    assert found(lie, VOCABULARY.encode([*FILE, S("index"), *[odd] * 5])) == []
