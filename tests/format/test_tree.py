"""The tolerant reader behind the mutators: what it finds, that it loses no byte, and how it puts files together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.format.judge import judge
from harness.format.tree import DEEP, NUMBER, PARSED_LIMIT, SHALLOW, SOUND, STRING, Doc, prefix, text
from harness.mutate import Rng, generate
from tests.framing import framed

HEADER = b'{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}, "__metadata__":{"k":"v"},"b":{"shape":[],"dtype":"U8","data_offsets":[24,25]} }'


def test_it_reads_tensors_metadata_and_layout() -> None:
    doc = Doc(framed(HEADER, bytes(25)))
    assert doc.health == SOUND
    assert [(t.name, t.dtype, t.dims, t.begin, t.end, t.bits, t.count) for t in doc.tensors] == [
        (b'"a"', "F32", (2, 3), 0, 24, 32, 6),
        (b'"b"', "U8", (), 24, 25, 8, 1),
    ]
    assert len(doc.members) == 3
    assert [doc.data[slice(*value)] for _, value in doc.items()] == [b'"v"']
    a, b = doc.tensors
    assert (doc.pieces[a.at_dtype], doc.pieces[a.at_shape], doc.pieces[a.at_offsets]) == (b'"F32"', b"[2,3]", b"[0,24]")
    assert [doc.data[slice(*span)] for span in b.spans] == [b'"U8"', b"[]", b"[24,25]"]
    assert b"".join(doc.pieces[a.first : a.last]) == HEADER[1:56]


@given(st.binary(max_size=400), st.booleans())
def test_pieces_and_tokens_hold_every_byte_of_any_input(data: bytes, whole: bool) -> None:
    doc = Doc(framed(b"{" + data, b"rest") if whole else data)
    assert b"".join(doc.pieces) + doc.buffer == doc.data[8:]
    doc.scan()
    assert doc.starts[0] == 8
    assert doc.starts[-1] == max(8, doc.end)


@given(st.integers(0, 2**31))
def test_generated_files_are_sound_and_read_as_the_judge_reads_them(seed: int) -> None:
    data = generate(Rng(seed))
    doc, header = Doc(data), judge(data).header
    assert doc.health == SOUND
    assert header is not None
    assert [(t.dtype, t.shape, t.begin, t.end) for t in header.tensors] == [
        (t.dtype, t.dims, t.begin, t.end) for t in doc.tensors
    ]
    assert [t.name for t in header.tensors] == [text(t.name) for t in doc.tensors]
    assert doc.render(doc.pieces, doc.buffer) == data


@given(st.integers(0, 200), st.integers(0, 10_000), st.binary(min_size=1, max_size=3))
def test_what_the_judge_accepts_is_sound_here_and_nearly_the_other_way_round(seed: int, at: int, new: bytes) -> None:
    data = bytearray(generate(Rng(seed)))
    spot = 8 + at % (len(data) - 8)
    data[spot : spot + len(new)] = new
    damaged = bytes(data)
    verdict, health = judge(damaged), Doc(damaged).health
    if verdict.verdict == "accept":
        assert health == SOUND
    elif health == SOUND:
        # Guesses on the lenient side, as the parser is: the search is to look at just these.
        assert verdict.rule in {
            "header.duplicate-key",
            "header.padding",
            "header.first-byte",
        } or verdict.rule.startswith("unspecified.")


@pytest.mark.parametrize(
    ("header", "health"),
    [
        (b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', DEEP),
        (b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', DEEP),
        (b'{"a":{"dtype":"F32","shape":[18446744073709551615,2],"data_offsets":[0,4]}}', DEEP),
        (b'{"a":{"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,4]}}', SHALLOW),
        (b'{"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}}', SHALLOW),
        (b'{"a":{"dtype":"F32","shape":[1]}}', SHALLOW),
        (b'{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}', SHALLOW),
        (b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},}', SHALLOW),
        (b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}', SHALLOW),
        (b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}}', SHALLOW),
        (b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}\n', SOUND),
        (b' {"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', SOUND),
        (b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":[[{}]]}}', SOUND),
        (b'{"a":{"dtyp\\u0065":"F32","shape":[1],"data_offsets":[0,4]}}', SOUND),
        (b'{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', SHALLOW),
        (b'{"__metadata__":{"a":1},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', SHALLOW),
        (b'{"\xff":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', SHALLOW),
    ],
)
def test_health(header: bytes, health: int) -> None:
    assert Doc(framed(header, bytes(4))).health == health


def test_a_damaged_prefix_does_not_hide_the_header() -> None:
    doc = Doc(b"\xff" * 8 + HEADER + bytes(25))
    assert not doc.framed
    assert doc.health == SHALLOW
    assert doc.end == 8 + len(HEADER)
    assert len(doc.tensors) == 2
    # Whatever is made of it has its prefix repaired.
    assert judge(doc.splice(8, 9, b"{")[0]).verdict == "accept"


@pytest.mark.parametrize("depth", [1, 100, 20_000])
def test_nesting_is_read_without_recursion(depth: int) -> None:
    header = b'{"a":' + b"[" * depth + b"]" * depth + b',"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'
    doc = Doc(framed(header, b"x"))
    assert [t.name for t in doc.tensors] == [b'"b"']
    assert doc.health == SHALLOW


def test_headers_past_the_limit_are_left_alone() -> None:
    doc = Doc(framed(b"{" + b" " * PARSED_LIMIT + b"}", b"x"))
    assert doc.pieces == [doc.data[8:-1]]
    assert doc.scan() == b""
    assert doc.members == []


@pytest.mark.parametrize(
    "part", [b'"', b'"\\"', b"[", b'{"', b'"a":{', b'"a":[', b'"a":"', b'{"a":', b'"":{"":0},', b"\\"]
)
def test_hostile_headers_are_read_whole(part: bytes) -> None:
    # Not under a clock: quadratic work on 60 kB takes so long that nobody would miss it.
    doc = Doc(framed(b"{" + part * (60_000 // len(part)), b"x"))
    assert b"".join(doc.pieces) + doc.buffer == doc.data[8:]
    assert len(doc.scan()) == len(doc.starts) - 1


def test_splice_repairs_the_prefix_for_each() -> None:
    doc = Doc(framed(HEADER, bytes(25)))
    start, stop = doc.tensors[0].spans[0]
    outs = doc.splice(start, stop, b'"I32"', b'"F32_LONGER"', b"")
    for out, new in zip(outs, (b'"I32"', b'"F32_LONGER"', b""), strict=True):
        assert out == framed(HEADER.replace(b'"F32"', new, 1), bytes(25))
    (huge,) = doc.splice(start, stop, b"x" * 5000)
    assert int.from_bytes(huge[:8], "little") == len(HEADER) - 5 + 5000


def test_tokens_have_kinds() -> None:
    doc = Doc(framed(b'{"a" : [12,-3.5e+7, nUll]}'))
    kinds = doc.scan()
    tokens = [doc.data[a:b] for a, b in zip(doc.starts, doc.starts[1:], strict=False)]
    assert tokens == [b"{", b'"a"', b" ", b":", b" ", b"[", b"12", b",", b"-3.5e+7", b",", b" ", b"nUll", b"]", b"}"]
    assert [token for token, kind in zip(tokens, kinds, strict=True) if kind == NUMBER[0]] == [b"12", b"-3.5e+7"]
    assert [token for token, kind in zip(tokens, kinds, strict=True) if kind == STRING[0]] == [b'"a"']


@pytest.mark.parametrize("size", [0, 5, 4095, 4096, 1 << 63, (1 << 64) + 3])
def test_prefix(size: int) -> None:
    assert int.from_bytes(prefix(size), "little") == size % (1 << 64)
