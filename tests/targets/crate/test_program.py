from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.format.judge import judge
from harness.parsers.crate_api.library import INCLUSIVE, NARROW, RANGE, SELECT, Item
from harness.programs import strategies
from harness.programs.arrays import DTYPES
from harness.targets.crate import rust
from harness.targets.crate.expectation import AT_END, MISALIGNED, NO_ELEMENTS, OUTSIDE, REVERSED, TOO_MANY, part
from harness.targets.crate.program import VOCABULARY, Call, bounds, decode

S = VOCABULARY.step


def calls(*steps) -> tuple[Call, ...]:
    return decode(VOCABULARY.encode(steps)).calls


@pytest.mark.parametrize(
    ("steps", "source"),
    [
        ([S("part")], "&[]"),
        ([S("part", 0, 1), S("range", 0, 1)], "1"),
        ([S("part", 0, 2), S("range", 1, 0, 1), S("range", 3)], "(0..1, ..)"),
        ([S("part", 0, 2), S("range", 5, 0, 2)], "(..2,)"),
        ([S("part"), S("range", 6, 0, 1)], "&[TensorIndexer::from(..=1)]"),
        (
            [S("part", 0, 1), S("narrow", 5, 0, 2), S("stride", 1)],
            "TensorIndexer::Narrow(Bound::Included(0), Bound::Excluded(2), NonZeroUsize::new(2).unwrap())",
        ),
    ],
)
def test_an_index_is_written_as_rust(steps, source):
    (call,) = calls(S("tensor", 0, 3), *steps)
    assert rust.index(call) == source


@pytest.mark.parametrize(("place", "shape"), [(0, (2, 3, 4)), (128, (4, 2, 3))])
def test_elements_of_less_than_a_byte_fill_bytes_and_their_rows_need_not(place: int, shape: tuple[int, ...]):
    program = decode(VOCABULARY.encode([S("tensor", DTYPES.index("F4"), 3, place)]))
    assert program.tensors[0][2] == shape
    assert judge(program.raw).verdict == "accept"


@pytest.mark.parametrize(
    ("item", "ends"),
    [
        (Item(RANGE, 1, 3), (1, 3, 1)),
        (Item(INCLUSIVE, 1, 3), (1, 4, 1)),
        (Item(NARROW, 1, 3, 2, 1, 2), (2, 4, 2)),
        (Item(NARROW), (0, 7, 1)),
    ],
)
def test_bounds_are_those_of_rust(item, ends):
    assert bounds(item, 7) == ends


@pytest.mark.parametrize(
    ("dtype", "shape", "items", "wanted"),
    [
        ("U8", (2,), [Item(SELECT, 0), Item(SELECT, 0)], TOO_MANY),
        ("U8", (2,), [Item(SELECT, 2)], OUTSIDE),
        ("U8", (2,), [Item(RANGE, 0, 3)], OUTSIDE),
        ("U8", (2,), [Item(RANGE, 1, 0)], REVERSED),
        ("F4", (4,), [Item(RANGE, 0, 1)], MISALIGNED),
        ("F4", (4,), [Item(NARROW, 0, 4, 1, 2, 2)], MISALIGNED),
        ("U8", (4,), [Item(NARROW, 0, 4, 1, 2, 2)], ((2,), b"\x01\x0f", "")),
        ("F4", (2, 2), [Item(SELECT, 1)], ((2,), b"\x08", "")),
        ("U8", (2,), [Item(RANGE, 2, 2)], ((0,), b"", AT_END)),
        ("U8", (0, 2), [Item(RANGE, 0, 0)], ((0, 2), b"", NO_ELEMENTS)),
        ("U8", (2,), [], ((2,), b"\x01\x08", "")),
    ],
)
def test_the_right_part(dtype, shape, items, wanted):
    found = part(dtype, shape, 0, tuple(items))
    assert (found.fault or (found.shape, found.data, found.place)) == wanted


@settings(max_examples=50)
@given(strategies.programs(VOCABULARY))
def test_undamaged_files_are_valid_and_programs_can_be_told(data: bytes):
    program = decode(data)
    if not program.damaged:
        judgement = judge(program.raw)
        assert judgement.verdict == "accept"
        assert judgement.header is not None
        assert [(t.name, t.dtype, t.shape) for t in judgement.header.tensors] == [t[:3] for t in program.tensors]
    assert rust.explain(program).count("\n    {\n") == len(program.calls)


@settings(max_examples=50)
@given(st.binary(max_size=80))
def test_any_bytes_are_a_program(data: bytes):
    assert len(decode(data).calls) <= VOCABULARY.max_steps
