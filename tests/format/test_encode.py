"""What the encoder writes is accepted and read back the same; damaged, it is refused by the rule that was broken."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.format.dtypes import DTYPE_BITS
from harness.format.encode import encode, encode_header, pack
from harness.format.features import FEATURES, features
from harness.format.header import Tensor
from harness.format.judge import judge
from tests.framing import framed

Part = tuple[str, str, tuple[int, ...], bytes]
METADATA = st.none() | st.dictionaries(st.text(), st.text(), max_size=3)


@st.composite
def parts(draw: st.DrawFn) -> list[Part]:
    names = draw(st.lists(st.text().filter("__metadata__".__ne__), max_size=4, unique=True))
    result = []
    for name in names:
        dtype = draw(st.sampled_from(sorted(DTYPE_BITS)))
        shape = tuple(draw(st.lists(st.integers(0, 4), max_size=4)))
        if math.prod(shape) * DTYPE_BITS[dtype] % 8:
            shape = (*shape, 4)
        size = math.prod(shape) * DTYPE_BITS[dtype] // 8
        result.append((name, dtype, shape, draw(st.binary(min_size=size, max_size=size))))
    return result


@given(parts(), METADATA, st.sampled_from([1, 8, 64]))
def test_what_is_packed_is_read_back(packed: list[Part], metadata: dict[str, str] | None, pad: int) -> None:
    data = pack(packed, metadata, pad=pad)
    judgement = judge(data)
    assert judgement.verdict == "accept"
    header = judgement.header
    assert header is not None
    assert header.size % pad == 0
    assert header.metadata == metadata
    assert [(t.name, t.dtype, t.shape, header.payload(data, t)) for t in header.tensors] == packed
    assert encode(header.tensors, header.metadata, data[8 + header.size :], pad=pad) == data


@given(parts(), METADATA, st.data())
def test_damage_is_refused(packed: list[Part], metadata: dict[str, str] | None, draw: st.DataObject) -> None:
    data = pack(packed, metadata)
    header = judge(data).header
    assert header is not None
    start = 8 + header.size
    assert judge(data + b"\0").rule == "layout.trailing"
    assert judge(data[: start - 1]).rule == "framing.header-truncated"
    assert judge((header.size + 1 + len(data)).to_bytes(8, "little") + data[8:]).rule == "framing.header-truncated"
    assert judge(data[:8] + b" " + data[9:]).rule == "header.first-byte"
    if len(data) > start:
        assert judge(data[:-1]).rule == "layout.truncated"
    if not header.tensors:
        return
    index = draw.draw(st.integers(0, len(header.tensors) - 1))

    def changed(**fields: object) -> str:
        tensors = list(header.tensors)
        tensors[index] = tensors[index]._replace(**fields)  # type: ignore[arg-type]
        return judge(encode(tensors, metadata, data[start:])).rule

    chosen = header.tensors[index]
    assert changed(dtype=chosen.dtype.lower()) == "tensor.dtype"
    assert changed(shape=(-1, *chosen.shape)) == "tensor.shape"
    assert changed(begin=chosen.end + 1) == "tensor.offsets"
    assert changed(end=chosen.end + 1) in {"tensor.size", "tensor.sub-byte"}
    if chosen.end > chosen.begin:
        moved = changed(begin=chosen.begin + 1, end=chosen.end + 1)
        assert moved in {"layout.hole", "layout.overlap", "layout.truncated"}


def test_order_is_the_callers() -> None:
    tensors = [Tensor("b", "U8", (2,), 2, 4), Tensor("a", "U8", (2,), 0, 2)]
    data = encode(tensors, payload=b"1234")
    header = judge(data).header
    assert header is not None
    assert header.tensors == tuple(tensors)
    assert [header.payload(data, tensor) for tensor in header.tensors] == [b"34", b"12"]


def test_a_buffer_of_zeros_is_made_where_none_is_given() -> None:
    assert encode([Tensor("a", "U8", (2,), 0, 2)], pad=1).endswith(b"}\0\0")


SCALAR = '{"dtype":"F32","shape":[],"data_offsets":[0,4]}'
SHOWS = {
    "no-tensors": framed("{}"),
    "scalar": pack([("a", "U8", (), b"1")]),
    "zero-dim": pack([("a", "U8", (0,), b"")]),
    "zero-dim-with-huge-product": pack([("a", "U8", (2**40, 0, 2**40), b"")]),
    "rank>32": pack([("a", "U8", (1,) * 33, b"1")]),
    "sub-byte": pack([("a", "F4", (2,), b"1")]),
    "empty-name": pack([("", "U8", (1,), b"1")]),
    "nul-in-name": pack([("a\0", "U8", (1,), b"1")]),
    "control-in-name": pack([("a\n", "U8", (1,), b"1")]),
    "non-ascii-name": pack([("é", "U8", (1,), b"1")]),
    "escape-in-key": framed('{"\\u0061":' + SCALAR + "}", bytes(4)),
    "escape-in-value": framed('{"__metadata__":{"a":"\\/"}}'),
    "whitespace-inside": framed("{ }"),
    "padded": framed("{} "),
    "empty-metadata": framed('{"__metadata__":{}}'),
    "metadata-not-first": framed('{"a":' + SCALAR + ',"__metadata__":{}}', bytes(4)),
    "offsets-out-of-order": encode([Tensor("b", "U8", (2,), 2, 4), Tensor("a", "U8", (2,), 0, 2)]),
    "misaligned": pack([("a", "U8", (1,), b"1"), ("b", "F32", (1,), b"1234")]),
    "large-header": encode_header([], {"a": "b" * (1 << 20)}),
}


@pytest.mark.parametrize("tag", FEATURES)
def test_every_feature_has_a_file_that_shows_it(tag: str) -> None:
    data = SHOWS[tag]
    assert tag in features(data, judge(data))


def test_a_plain_file_has_no_features() -> None:
    data = pack([("a", "F32", (2,), bytes(8)), ("b", "U8", (3,), bytes(3))], {"k": "v"}, pad=1)
    data = framed(data[8:-11].decode().ljust(160), data[-11:])
    assert features(data, judge(data)) == ("padded",)
    assert features(b"", judge(b"")) == ()
