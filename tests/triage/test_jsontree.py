from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.triage.jsontree import MAX_DEPTH, Box, Raw, boxes, parse, raws, render

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
SPACE = st.text(" \n\t\r", max_size=3).map(str.encode)


@given(
    st.lists(VALUES, max_size=3) | st.dictionaries(st.text(), VALUES, max_size=3),
    st.integers(0, 3),
    SPACE,
    st.booleans(),
)
def test_a_tree_renders_to_the_very_bytes_it_was_read_from(value, indent: int, space: bytes, escaped: bool):
    text = space + json.dumps(value, indent=indent or None, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    found = parse(text + b" padding")
    assert found is not None
    root, end = found
    assert render(root) == text
    assert end == len(text)


@pytest.mark.parametrize(
    "text", [b'{"a" : 1e5 ,"a":01,"\\ud800":nul, "b":-}', b'{"a":[ [ ] , { } ]}', b'["\xff", 1 ,2 ]', b"{ }", b"[\n]"]
)
def test_odd_spellings_are_kept(text: bytes):
    found = parse(text)
    assert found is not None
    assert render(found[0]) == text


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"1",
        b'"a"',
        b"{",
        b"[1",
        b'{"a"}',
        b'{"a":}',
        b"{a:1}",
        b"[1,]",
        b'{"a":1,}',
        b'{"a" 1}',
        b'["a',
        b"[}",
        b"[1 2]",
    ],
)
def test_what_is_not_well_formed_has_no_tree(text: bytes):
    assert parse(text) is None


def test_depth_has_a_limit_and_no_recursion_error():
    assert parse(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH) is not None
    assert parse(b"[" * 100_000 + b"]" * 100_000) is None


def test_its_parts_are_listed():
    found = parse(b'{"a":[1,{"b":2}],"c":"d"}')
    assert found is not None
    root = found[0]
    assert [raw.text for raw in raws(root)] == [b'"a"', b'"c"', b'"d"', b"1", b'"b"', b"2"]
    assert [box.opening for box in boxes(root)] == [b"{", b"[", b"{"]


def test_an_emptied_box_keeps_its_white_space():
    found = parse(b"[\n 1, 2]")
    assert found is not None
    root: Box = found[0]
    root.entries.clear()
    assert render(root) == b"[\n ]"


def test_a_changed_piece_shows():
    found = parse(b'{"a" : 1}')
    assert found is not None
    root = found[0]
    assert isinstance(root.entries[0].value, Raw)
    root.entries[0].value.text = b"22"
    assert render(root) == b'{"a" : 22}'
