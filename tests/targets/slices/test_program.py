from __future__ import annotations

import ast

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.format.judge import judge
from harness.programs import arrays, strategies
from harness.targets.slices import script
from harness.targets.slices.program import VOCABULARY, decode

S = VOCABULARY.step


def calls(*steps):
    return decode(VOCABULARY.encode(steps)).calls


@pytest.mark.parametrize(
    ("items", "source", "form"),
    [
        ([], "()", "empty"),
        ([S("range")], "slice(None)", "range"),
        ([S("range", 1, 3)], "slice(0, 2)", "range"),
        ([S("range", 2, 4, 2)], "slice(1, 1, 2)", "step"),
        ([S("int", 1), S("int", 3)], "(1, 2)", "int"),
        ([S("int", 7)], "-1", "negative"),
        ([S("int", 0, 1)], "numpy.int64(0)", "typed"),
        ([S("int", 2)], "2", "outside"),
        ([S("int", 14)], "2**31", "huge"),
        ([S("ellipsis"), S("int", 0)], "(..., 0)", "ellipsis"),
        ([S("odd", 0)], "None", "odd"),
    ],
)
def test_subscripts(items, source, form):
    (call,) = calls(S("tensor", 0, 3), S("index"), *items)
    assert (call.kind, call.tensor, call.source, call.form) == ("get_slice", 0, source, form)


def test_bounds_are_relative_to_the_dimension_that_an_item_is_for():
    (call,) = calls(S("tensor", 0, 17), S("index"), S("ellipsis"), S("range", 0, 3))  # the last of [2, 3, 4]
    assert call.source == "(..., slice(None, 4))"


def test_a_value_that_numpy_does_not_have_is_no_call():
    assert calls(S("tensor", 0, 3), S("index"), S("int", 7, 3)) == ()  # numpy.uint8(-1)


def test_forms_of_handing_over():
    sources = [calls(S("index", 0, form), S("int", 0))[0].source for form in (0, 2, 3, 4)]
    assert sources == ["0", "(0,)", "[0]", "((0,),)"]


def test_a_program_without_a_file_has_one_and_equal_names_stand_once():
    assert decode(b"").tensors == (("a", "F32", (2, 3), 0),)
    program = decode(VOCABULARY.encode([S("tensor", 0, 0, 1), S("tensor", 1, 0, 0), S("tensor", 2, 0, 1)]))
    assert [name for name, *_ in program.tensors] == ["b", "c"]


@given(strategies.programs(VOCABULARY))
def test_every_program_has_a_valid_file_and_is_python(data: bytes):
    program = decode(data)
    raw = arrays.file(program.tensors)
    judgement = judge(raw)
    assert judgement.verdict == "accept"
    assert judgement.header is not None
    assert [(t.name, t.dtype, t.shape) for t in judgement.header.tensors] == [t[:3] for t in program.tensors]
    ast.parse(script.explain(program))
    ast.parse(script.script(program).text)


@given(st.binary(max_size=120))
def test_any_bytes_are_a_program(data: bytes):
    program = decode(data)
    assert len(program.tensors) >= 1
    assert len(program.calls) <= VOCABULARY.max_steps


@pytest.mark.parametrize("dtype", arrays.DTYPES)
def test_contents_have_the_right_size_and_differ_by_salt(dtype: str):
    shape = (2, 4)
    first, second = arrays.content(dtype, shape), arrays.content(dtype, shape, 1)
    assert len(first) == len(second)
    assert first != second
    array = arrays.array(dtype, shape)
    if array is None:
        assert dtype not in arrays.NUMPY_NAMES
    else:
        assert array.tobytes() == first
        assert array.shape == shape
        assert array.dtype == numpy.dtype(arrays.NUMPY_NAMES[dtype])
