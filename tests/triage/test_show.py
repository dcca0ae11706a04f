from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.format.encode import pack
from harness.format.judge import judge
from harness.triage import show
from tests.framing import framed


def shown(data: bytes, *, width: int = 80, colour: bool = False, size: int | None = None) -> list[str]:
    return list(show.lines(data, size or len(data), judge(data, size).span, width=width, colour=colour))


def test_the_header_stands_a_tensor_a_line_with_the_fault_marked():
    header = b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"__metadata__":{"x":"1","x":"2"}}'
    lines = shown(framed(header, b"\1"))
    assert lines == [
        "length prefix: 86 bytes of header",
        "header:",
        "  {",
        '    "a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},',
        '    "__metadata__":{"x":"1","x":"2"}',
        "                            ^^^",
        "  }",
        "buffer: 1 bytes from 94",
    ]


def test_the_mark_is_red_where_there_are_colours():
    lines = shown(framed(b'{"a":0,"a":0}'), colour=True)
    assert any('\033[1;31m"\033[0m\033[1;31ma\033[0m' in line for line in lines)


def test_what_is_no_text_is_shown_in_hex():
    lines = shown(framed(b'{"a\xff":1}'))
    assert any("7b 22 61 ff 22" in line for line in lines)
    assert any(line.strip() == "^^" for line in lines)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the whole file, 0 of the 8 bytes"),
        (b"\1\2\3", "the whole file, 3 of the 8 bytes"),
        (b"\xff" * 8, "past the end of the file"),
        (struct.pack("<Q", 200_000_000) + b"{}", "past the end of the file by 199,999,998 bytes"),
        (bytes(8), "no header"),
        (framed(b"[]"), "no text that starts with '{'"),
        (framed(b"{}\n"), "}\\x0a"),
        (framed(b"{}", b"zz"), "buffer: 2 bytes from 10"),
    ],
)
def test_every_kind_of_frame_is_told(data: bytes, words: str):
    assert words in "\n".join(shown(data))


def test_of_a_long_header_the_part_around_the_fault_is_shown():
    parts = [(f"t{i}", "U8", (1,), b"x") for i in range(3_000)]
    data = pack(parts, None)
    broken = data.replace(b'"t1500":{"dtype":"U8"', b'"t1500":{"dtype":"X8"')
    lines = shown(broken)
    assert len(lines) < show.MOST_PIECES + 10
    assert any("t1500" in line for line in lines)
    assert any("pieces before" in line for line in lines)
    assert any("pieces after" in line for line in lines)
    long_name = pack([("n" * 50_000, "U8", (1,), b"x")], None)
    assert sum(map(len, shown(long_name))) < 2_000


@given(st.binary(max_size=200), st.integers(40, 120), st.booleans())
def test_no_bytes_break_it(tail: bytes, width: int, with_frame: bool):
    data = framed(tail) if with_frame else tail
    for line in shown(data, width=width):
        assert "\n" not in line
        assert line.isprintable() or line == ""


def test_the_table_lists_metadata_and_tensors():
    data = pack([("weights", "F32", (2, 3), bytes(24)), ("bits", "F4", (2,), b"x")], {"format": "pt"})
    header = judge(data).header
    assert header is not None
    text = "\n".join(show.table(header, width=100))
    assert "'format': 'pt'" in text
    assert "[2, 3]  'weights'" in text
    assert "F4 (4 bit)" in text
    many = judge(pack([(f"t{i}", "U8", (1,), b"x") for i in range(100)], None)).header
    assert many is not None
    assert "... and 40 more" in "\n".join(show.table(many, width=100))
