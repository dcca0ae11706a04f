from __future__ import annotations

import ast

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.format.judge import judge
from harness.programs import arrays, strategies
from harness.targets.parallel import script as parallel_source
from harness.targets.parallel.program import ARITHMETIC, VOCABULARY, WITHIN, WORLDS, Call, decode

S = VOCABULARY.step
WORLD = {world: WORLDS.index(world) for world in WORLDS}
MANNER = {word: number for number, (word, _) in enumerate(ARITHMETIC)}


def call(*steps) -> Call:
    (made,) = decode(VOCABULARY.encode(steps)).calls
    return made


def parts(made: Call) -> list[str]:
    return [part.source for part in made.parts]


SEVEN = S("tensor", 0, arrays.SHAPES.index((7, 5)))


@pytest.mark.parametrize(
    ("manner", "world", "wanted"),
    [
        ("floor", 3, ["0:2", "2:4", "4:6"]),
        ("balanced", 3, ["0:3", "3:5", "5:7"]),
        ("ceiling", 4, ["0:2", "2:4", "4:6", "6:7"]),
        ("proportional", 3, ["0:2", "2:4", "4:7"]),
        ("last-takes-the-rest", 3, ["0:2", "2:4", "4:7"]),
        ("unbounded", 4, ["0:2", "2:4", "4:6", "6:8"]),
    ],
)
def test_a_dimension_is_shared_out_as_loaders_do(manner: str, world: int, wanted: list[str]):
    made = call(SEVEN, S("columns", 0, WORLD[world], MANNER[manner]))
    assert parts(made) == wanted
    assert made.form == f"columns/{manner}"
    assert made.covered == (6 if manner == "floor" else 7)


@pytest.mark.parametrize(
    ("kind", "source", "axis"),
    [("rows", ":, 0:3", 1), ("last", "..., 0:3", -1), ("ellipsis", "0:4, ...", 0), ("all-of-the-rest", "0:4, :", 0)],
)
def test_where_the_subscript_stands(kind: str, source: str, axis: int):
    made = call(SEVEN, S(kind, 0, WORLD[2], MANNER["balanced"]))
    assert (parts(made)[0], made.axis) == (source, axis)


def test_a_fused_tensor_gives_each_rank_its_share_of_every_block():
    made = call(S("tensor", 0, arrays.SHAPES.index((128,))), S("fused", 0, WORLD[2]))
    assert parts(made) == ["0:21", "42:63", "84:105", "21:42", "63:84", "105:126"]
    assert [made.parts[place].source for place in made.order] == [
        "0:21",
        "21:42",
        "42:63",
        "63:84",
        "84:105",
        "105:126",
    ]


def test_a_padded_vocabulary_ends_before_its_padding():
    made = call(SEVEN, S("padded", 0, WORLD[2], 1))  # up to 8 rows, and 7 are there
    assert parts(made) == ["0:4", "4:7"]


def test_more_ranks_than_rows_leave_some_with_nothing():
    made = call(S("tensor", 0, arrays.SHAPES.index((2, 3))), S("columns", 0, WORLD[3], MANNER["balanced"]))
    assert [(part.source, part.place) for part in made.parts] == [
        ("0:1", "inside"),
        ("1:2", "inside"),
        ("2:2", "empty-at-end"),
    ]


def test_places_say_what_may_be_asked():
    scalar, empty = S("tensor", 0, arrays.SHAPES.index(())), S("tensor", 0, arrays.SHAPES.index((0, 2)))
    assert {part.place for part in call(scalar, S("columns")).parts} == {"no-dimension"}
    assert {part.place for part in call(empty, S("columns")).parts} == {"of-no-elements"}
    unbounded = call(SEVEN, S("columns", 0, WORLD[4], MANNER["unbounded"]))
    assert [part.place for part in unbounded.parts] == ["inside", "inside", "inside", "outside"]


def test_ranks_that_share_or_interleave_are_not_put_together():
    assert call(SEVEN, S("strided", 0, WORLD[2])).order == ()
    assert call(SEVEN, S("replicated", 0, WORLD[4], WORLD[2])).order == ()
    assert parts(call(SEVEN, S("strided", 0, WORLD[2]))) == ["0:7:2", "1:7:2"]
    assert parts(call(SEVEN, S("replicated", 0, WORLD[4], WORLD[2]))) == ["0:3", "0:3", "3:6", "3:6"]


def test_stages_share_out_the_layers():
    layers = [S("tensor", 0, place) for place in range(3)]
    made = call(*layers, S("stages", WORLD[2], MANNER["balanced"], 1))
    assert (made.form, made.stages) == ("offset_keys/balanced", ((0, 1), (2,)))


def test_handles():
    program = decode(VOCABULARY.encode([S("handles", 2, 2, 1)]))
    assert (program.backends, program.keep) == (("mmap", "pread", "mmap"), True)


@given(strategies.programs(VOCABULARY))
def test_the_parts_are_those_of_numpy_whatever_the_program(data: bytes):
    """What the language says of a part, held against numpy alone."""
    program = decode(data)
    assert judge(arrays.file(program.tensors)).verdict == "accept"
    for made in program.calls:
        if made.kind == "stages":
            continue
        _, dtype, shape, salt = program.tensors[made.tensor]
        whole = arrays.array(dtype, shape, salt)
        for part in made.parts:
            if part.place == "no-dimension":
                with pytest.raises(IndexError):
                    whole[part.index]
            else:
                bounds = next(
                    one
                    for one in (part.index if isinstance(part.index, tuple) else (part.index,))
                    if one not in (..., slice(None))
                )
                inside = 0 <= bounds.start <= bounds.stop <= shape[made.axis]
                assert inside or part.place not in WITHIN
        if made.order:
            together = numpy.concatenate([whole[made.parts[place].index] for place in made.order], axis=made.axis)
            assert together.tobytes() == numpy.take(whole, range(made.covered), axis=made.axis).tobytes()


@given(st.binary(max_size=60))
def test_every_program_is_python(data: bytes):
    program = decode(data)
    ast.parse(parallel_source.explain(program))
    ast.parse(parallel_source.script(program).text)
