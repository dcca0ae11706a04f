from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from harness.format.dtypes import DTYPE_BITS
from harness.format.judge import judge
from harness.observation import REJECT
from harness.oracles import reserialize


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPE_BITS if not dtype.startswith("F6")])
def test_the_writer_takes_every_dtype_but_six_bit_floats(safetensors: ModuleType, dtype: str):
    content = bytes(range(8 * DTYPE_BITS[dtype] // 8))
    written = reserialize.serialize([("name", dtype, (4, 2), content)], {"a": "b"})
    assert isinstance(written, bytes)
    header = judge(written).header
    assert header is not None
    (tensor,) = header.tensors
    assert (tensor.name, tensor.dtype, tensor.shape, header.metadata) == ("name", dtype, (4, 2), {"a": "b"})
    assert header.payload(written, tensor) == content


@pytest.mark.parametrize(("dtype", "shape"), [("F6_E2M3", (4,)), ("F4", ()), ("F4", (2, 3))])
def test_what_it_cannot_say_is_left_out(safetensors: ModuleType, dtype: str, shape: tuple[int, ...]):
    assert reserialize.serialize([("fine", "U8", (1,), b"x"), ("name", dtype, shape, b"abc")], None) is None


def test_empty_tensors_and_empty_files(safetensors: ModuleType):
    written = reserialize.serialize([("none", "U8", (0,), b"")], None)
    assert isinstance(written, bytes)
    assert judge(written).verdict == "accept"
    nothing = reserialize.serialize([], None)
    assert isinstance(nothing, bytes)
    assert judge(nothing).verdict == "accept"


def test_a_writer_that_refuses_is_an_observation(safetensors: ModuleType):
    outcome = reserialize.serialize([("short", "U64", (9,), b"x")], None)
    assert isinstance(outcome, tuple)
    assert outcome[0] == REJECT


def test_releases_before_tensor_specs_take_dictionaries(monkeypatch):
    taken = {}

    def serialize(tensors, metadata):
        taken.update(tensors)
        return b"file"

    monkeypatch.setitem(sys.modules, "safetensors", SimpleNamespace(serialize=serialize, SafetensorError=ValueError))
    assert reserialize.serialize([("a", "BF16", (1,), b"xy")], None) == b"file"
    assert taken == {"a": {"dtype": "bfloat16", "shape": [1], "data": b"xy"}}


def test_without_a_parser_there_is_no_writer(monkeypatch):
    monkeypatch.delitem(sys.modules, "safetensors", raising=False)
    assert reserialize.serialize([("a", "U8", (1,), b"x")], None) is None
