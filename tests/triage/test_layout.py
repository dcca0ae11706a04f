from __future__ import annotations

import json
import struct
from collections.abc import Mapping

import pytest

from harness.format.judge import judge
from harness.triage.jsontree import Box, Edit, apply, parse, render
from harness.triage.layout import Layout, read

TENSORS = {
    "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
    "b": {"dtype": "U8", "shape": [3], "data_offsets": [8, 11]},
    "c": {"dtype": "I16", "shape": [2], "data_offsets": [11, 15]},
}
BUFFER = b"AAAAAAAABBBCCCC"


def tree(tensors: Mapping[str, object]) -> Box:
    found = parse(json.dumps(tensors).encode())
    assert found is not None
    return found[0]


def offsets(root: Box) -> dict[str, list[int]]:
    return {name: fields["data_offsets"] for name, fields in json.loads(render(root)).items()}


def without(root: Box, number: int) -> None:
    root.entries = root.entries[:number] + root.entries[number + 1 :]


def repair(layout: Layout) -> tuple[bytes, list[Edit]]:
    """The buffer that goes with the repaired offsets, and the edits that take them back."""
    found = layout.repair()
    assert found is not None
    return found[0], apply(found[1])


def test_a_tensor_that_goes_takes_its_bytes_along():
    root = tree(TENSORS)
    layout = Layout(root, BUFFER)
    without(root, 1)
    buffer, undo = repair(layout)
    assert offsets(root) == {"a": [0, 8], "c": [8, 12]}
    assert buffer == b"AAAAAAAACCCC"
    header = render(root)
    assert judge(struct.pack("<Q", len(header)) + header + buffer).verdict == "accept"
    apply(undo)
    assert offsets(root) == {"a": [0, 8], "c": [11, 15]}


def test_a_smaller_shape_moves_what_follows():
    root = tree(TENSORS)
    layout = Layout(root, BUFFER)
    place = layout.places[0]
    place.tensor.shape.entries = []
    buffer, _ = repair(layout)
    assert offsets(root) == {"a": [0, 4], "b": [4, 7], "c": [7, 11]}
    assert buffer == b"AAAABBBCCCC"


@pytest.mark.parametrize(
    ("changed", "buffer", "rule"),
    [
        ({"c": {"dtype": "I16", "shape": [2], "data_offsets": [13, 17]}}, 17, "layout.hole"),
        ({"c": {"dtype": "I16", "shape": [2], "data_offsets": [10, 14]}}, 14, "layout.overlap"),
        ({"c": {"dtype": "I16", "shape": [3], "data_offsets": [11, 15]}}, 15, "tensor.size"),
        ({}, 20, "layout.trailing"),
        ({}, 13, "layout.truncated"),
    ],
)
def test_what_is_wrong_stays_wrong(changed: dict, buffer: int, rule: str):
    root = tree(TENSORS | changed)
    layout = Layout(root, bytes(buffer))
    without(root, 0)
    repaired, _ = repair(layout)
    header = render(root)
    assert judge(struct.pack("<Q", len(header)) + header + repaired).rule == rule


def test_a_fault_can_be_taken_back():
    root = tree({"a": {"dtype": "U8", "shape": [1], "data_offsets": [9, 10]}})
    layout = Layout(root, bytes(10))
    assert (layout.places[0].gap, layout.places[0].slack, layout.rest) == (9, 0, 0)
    layout.places[0].gap = 0
    buffer, _ = repair(layout)
    assert (offsets(root), buffer) == ({"a": [0, 1]}, b"\0")


def test_nothing_to_repair():
    assert Layout(tree(TENSORS), BUFFER).repair() is None


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"dtype": "F3", "shape": [], "data_offsets": [0, 1]},
        {"dtype": "U8", "shape": {}, "data_offsets": [0]},
        {"dtype": "U8", "shape": ["1"], "data_offsets": [0, 1]},
        {"dtype": "U8", "shape": [-1], "data_offsets": [0, 1]},
        {"dtype": "U8", "shape": [1], "data_offsets": [0, 1.5]},
        {"dtype": 3, "shape": [1], "data_offsets": [0, 1]},
    ],
)
def test_what_cannot_be_read_is_no_tensor(fields: dict):
    value = tree({"a": fields}).entries[0].value
    assert isinstance(value, Box)
    assert read(value) is None
