"""Every rule against the sentence it stands on, and every aspect with a file that shows it."""

# ruff: noqa: UP031  JSON is full of braces: str.format would bury it in doubled ones

from __future__ import annotations

import pytest

from harness.format.dtypes import DTYPE_BITS, byte_size
from harness.format.judge import ASPECTS, RULES, UNSPECIFIED, judge, quick
from harness.format.rules import HEADER_LIMIT, ORDER
from harness.format.strict import judge_strictly

FLOAT = '"dtype":"F32","shape":[1],"data_offsets":[0,4]'
FOUR = bytes(4)


def frame(header: str | bytes, buffer: bytes = b"") -> bytes:
    raw = header if isinstance(header, bytes) else header.encode()
    return len(raw).to_bytes(8, "little") + raw + buffer


def tensor(dtype: str = '"F32"', shape: str = "[1]", offsets: str = "[0,4]", more: str = "") -> str:
    return '{"dtype":%s,"shape":%s,"data_offsets":%s%s}' % (dtype, shape, offsets, more)


def one(
    dtype: str = '"F32"', shape: str = "[1]", offsets: str = "[0,4]", more: str = "", buffer: bytes = FOUR
) -> bytes:
    return frame('{"a":%s}' % tensor(dtype, shape, offsets, more), buffer)


def two(first: str, second: str, buffer: bytes) -> bytes:
    return frame('{"a":%s,"b":%s}' % (first, second), buffer)


def text(value: str) -> bytes:
    """A tensor with one more thing in it, so that every JSON value can be tried."""
    return one(more=',"x":' + value)


CASES: dict[tuple[str, str], list[bytes]] = {
    ("framing.length", "empty"): [b""],
    ("framing.length", "short"): [b"\0", b"\2\0\0\0\0\0\0"],
    ("framing.header-limit", "over"): [
        (HEADER_LIMIT + 1).to_bytes(8, "little"),
        b"\xff" * 8 + b"{}",
        (2**63).to_bytes(8, "little") + b"{}",
    ],
    ("framing.header-truncated", "short"): [b"\3" + bytes(7) + b"{}", HEADER_LIMIT.to_bytes(8, "little") + b"{}"],
    ("header.utf8", "surrogate"): [frame(b'{"\xed\xa0\x80":1}'), frame(b'{"\xed\xbf\xbf":1}')],
    ("header.utf8", "malformed"): [
        frame(b'{"\xff":1}'),
        frame(b'{"\xc0\x80":1}'),
        frame(b'{"\xf4\x90\x80\x80":1}'),
        frame(b'{"\xe2\x82'),
        frame(b"\xff\xfe{\0}\0"),
    ],
    ("header.first-byte", "empty"): [bytes(8), bytes(8) + b"{}"],
    ("header.first-byte", "whitespace"): [frame(" {}"), frame("\n{}"), frame("   ")],
    ("header.first-byte", "bom"): [frame("\ufeff{}")],
    ("header.first-byte", "other"): [frame("[]"), frame("null"), frame("\0{}"), frame("x")],
    ("header.padding", "newline"): [frame("{}\n"), frame("{} \n  "), frame('{"a\n')],
    ("header.padding", "tab"): [frame("{}\t"), frame("{}\t ")],
    ("header.padding", "carriage-return"): [frame("{}\n\r")],
    ("header.padding", "nul"): [frame("{}\0"), frame("{}\0\0\0\0\0\0")],
    ("header.padding", "other"): [frame("{}\x1f")],
    ("header.json", "unexpected-end"): [frame("{"), frame('{"a"'), frame('{"a":'), frame('{"a":['), frame('{"a')],
    ("header.json", "control-character"): [frame('{"\n":1}'), frame('{"a":"\0"}'), text('["\x1f"]')],
    ("header.json", "bad-escape"): [frame('{"\\x":1}'), frame('{"\\u12g4":1}'), frame('{"a":"\\'), text('"\\U0041"')],
    ("header.json", "bad-number"): [text(n) for n in ("01", "1.", ".5", "+1", "-", "1e", "1e+", "-01", "1.e1")],
    ("header.json", "bad-literal"): [text(n) for n in ("NaN", "Infinity", "True", "nul", "undefined")],
    ("header.json", "bad-key"): [frame("{1:2}"), frame("{a:1}"), frame("{,}"), frame("{'a':1}"), text("{[]:1}")],
    ("header.json", "bad-value"): [text(","), text(":"), text("[,1]"), text("'a'"), text("}"), text("\u00e9")],
    ("header.json", "trailing-comma"): [frame('{"a":1,}'), text("[1,]"), text('{"a":1,}'), one(shape="[1,]")],
    ("header.json", "separator"): [frame('{"a" 1}'), frame('{"a":1 "b":2}'), text("[1 2]"), text("[1}"), text("nullx")],
    ("header.json", "trailing-data"): [frame("{}{}"), frame("{}x"), frame("{} }"), frame("{}\n ]")],
    ("header.duplicate-key", "tensor-name"): [
        frame('{"a":{%s},"a":{%s}}' % (FLOAT, FLOAT), FOUR),
        frame('{"a":{%s},"\\u0061":{%s}}' % (FLOAT, FLOAT), FOUR),
        frame('{"\\ud83d\\ude00":{%s},"\U0001f600":{%s}}' % (FLOAT, FLOAT), FOUR),
        frame('{"\\ud800":1,"\\uD800":1}'),
    ],
    ("header.duplicate-key", "metadata"): [frame('{"__metadata__":{},"__metadata__":{}}')],
    ("header.duplicate-key", "metadata-key"): [frame('{"__metadata__":{"a":"b","a":"b"}}')],
    ("header.duplicate-key", "tensor-field"): [one(more=',"dtype":"F32"'), one(more=',"\\u0064type":"F32"')],
    ("header.duplicate-key", "extra-field"): [one(more=',"x":1,"x":1')],
    ("header.duplicate-key", "nested"): [
        text('{"b":1,"b":2}'),
        text('[[{"b":1,"c":{},"b":2}]]'),
        frame('{"a":[{"b":1,"b":2}]}'),
        frame('{"__metadata__":{"a":{"b":1,"b":2}}}'),
        text('{"b":{"c":{"d":1,"d":1}},"e":{}}'),
    ],
    ("metadata.strings", "null"): [frame('{"__metadata__":null}')],
    ("metadata.strings", "not-object"): [frame('{"__metadata__":%s}' % v) for v in ('"a"', "[]", "1", "false")],
    ("metadata.strings", "value-not-string"): [
        frame('{"__metadata__":{"a":%s}}' % v) for v in ("null", "1", "1.5", "true", "[]", "{}", '["b"]')
    ]
    + [frame('{"__metadata__":{%s}}' % FLOAT, FOUR)],
    ("tensor.fields", "array-form"): [frame('{"a":["F32",[1],[0,4]]}', FOUR), frame('{"a":[]}')],
    ("tensor.fields", "null"): [frame('{"a":null}')],
    ("tensor.fields", "scalar"): [frame('{"a":%s}' % v) for v in ('"F32"', "1", "true", "1.5", "-1")],
    ("tensor.fields", "missing"): [
        frame('{"a":{}}'),
        frame('{"a":{"dtype":"F32","shape":[1]}}', FOUR),
        frame('{"a":{"dtype":"F32","data_offsets":[0,4]}}', FOUR),
        frame('{"a":{"shape":[1],"data_offsets":[0,4]}}', FOUR),
        frame('{"a":{"Dtype":"F32","shape":[1],"data_offsets":[0,4]}}', FOUR),
    ],
    ("tensor.dtype", "unknown"): [
        one(dtype=d) for d in ('"f32"', '"F128"', '""', '"F32 "', '"\\ud800"', '"F\\u003332"')
    ],
    ("tensor.dtype", "not-string"): [one(dtype=d) for d in ("null", "32", '["F32"]', '{"F32":null}', "true")],
    ("tensor.shape", "not-list"): [one(shape=s) for s in ("1", "null", '"1"', '{"0":1}', "true")],
    ("tensor.shape", "not-integer"): [
        one(shape=s)
        for s in ("[1.5]", '["1"]', "[null]", "[[1]]", "[true]", "[1e-1]", "[{}]", "[1e-99999999999999999999]")
    ],
    ("tensor.shape", "negative"): [
        one(shape=s) for s in ("[-1]", "[-1,-1]", "[-1.0]", "[-99999999999999999999999]", "[-1e999]")
    ],
    ("tensor.offsets", "not-list"): [one(offsets=o) for o in ("4", "null", '"04"', '{"0":0,"1":4}')],
    ("tensor.offsets", "not-integer"): [
        one(offsets=o) for o in ('["0",4]', "[0,4.5]", "[null,4]", "[0,[4]]", "[false,4]")
    ],
    ("tensor.offsets", "negative"): [one(offsets=o) for o in ("[-4,0]", "[0,-4]")],
    ("tensor.offsets", "not-pair"): [one(offsets=o) for o in ("[]", "[4]", "[0,4,4]")],
    ("tensor.offsets", "beyond-u64"): [one(offsets=f"[{2**64},{2**64 + 4}]"), one(offsets="[0," + "9" * 5000 + "]")],
    ("tensor.offsets", "reversed"): [one(offsets="[4,0]"), one(shape="[0]", offsets="[1,0]")],
    ("tensor.size", "overflow"): [
        one(shape=f"[{2**62}]"),
        one(shape=f"[{2**32},{2**32}]"),
        one(shape=f"[{2**64}]"),
        one(shape="[" + "9" * 5000 + "]"),
        one(shape="[1e400]"),
        one(dtype='"U8"', shape=f"[{2**61}]", offsets=f"[0,{2**61}]"),
    ],
    ("tensor.size", "mismatch"): [
        one(shape="[2]"),
        one(shape="[0]"),
        one(offsets="[0,0]", buffer=b""),
        one(dtype='"F64"'),
        one(dtype='"F4"', shape="[4]"),
    ],
    ("tensor.sub-byte", "partial"): [
        one(dtype='"F4"', shape="[]", offsets="[0,1]", buffer=b"1"),
        one(dtype='"F4"', shape="[7]"),
        one(dtype='"F6_E2M3"', shape="[2]", offsets="[0,2]", buffer=b"12"),
        one(dtype='"F6_E3M2"', shape="[1]", offsets="[0,1]", buffer=b"1"),
    ],
    ("layout.hole", "start"): [one(offsets="[4,8]", buffer=bytes(8))],
    ("layout.hole", "middle"): [two(tensor(), tensor(offsets="[8,12]"), bytes(12))],
    ("layout.overlap", "same"): [two(tensor(), tensor(), FOUR)],
    ("layout.overlap", "partial"): [
        two(tensor(), tensor(offsets="[2,6]"), bytes(6)),
        two(tensor(shape="[3]", offsets="[0,12]"), tensor(offsets="[4,8]"), bytes(12)),
        two(tensor(shape="[2]", offsets="[0,8]"), tensor(offsets="[0,4]"), bytes(8)),
    ],
    ("layout.trailing", "no-tensors"): [frame("{}", b"1"), one(shape="[0]", offsets="[0,0]")],
    ("layout.trailing", "after-last"): [one(buffer=bytes(5))],
    ("layout.truncated", "missing-bytes"): [one(buffer=bytes(3)), one(buffer=b"")],
    ("layout.truncated", "empty-tensor"): [one(shape="[0]", offsets="[1,1]", buffer=b"")],
    ("unspecified.extra-field", "tensor"): [
        text("1"),
        text("[" * 1000 + "]" * 1000),
        one(more=',"":null,"__metadata__":{}'),
    ],
    ("unspecified.integer-form", "shape"): [
        one(shape=s) for s in ("[1.0]", "[1e0]", "[10e-1]", "[0.1e1]", "[1E+0]", "[1.000000000000000000000000000]")
    ]
    + [
        one(shape="[-0]", offsets="[0,0]", buffer=b""),
        one(shape="[-0.0e99999999999999999999999]", offsets="[0,0]", buffer=b""),
    ],
    ("unspecified.integer-form", "offsets"): [one(offsets=o) for o in ("[-0,4]", "[0.0,4]", "[0,4e0]", "[0,0.4e+1]")],
    ("unspecified.lone-surrogate", "tensor-name"): [frame('{"\\udc00\\ud800":%s}' % tensor(), FOUR)],
    ("unspecified.lone-surrogate", "metadata-key"): [frame('{"__metadata__":{"\\ud800":"\\ud800"}}')],
    ("unspecified.lone-surrogate", "metadata-value"): [frame('{"__metadata__":{"a":"\\uDFFF"}}')],
    ("unspecified.huge-dimension", "shape"): [
        one(shape=f"[0,{2**64}]", offsets="[0,0]", buffer=b""),
        one(shape=f"[{'1' * 5000},0]", offsets="[0,0]", buffer=b""),
    ],
    ("unspecified.empty-tensor-offset", "inside"): [two(tensor(), tensor(shape="[0]", offsets="[2,2]"), FOUR)],
}

FLAT = [(rule, aspect, data) for (rule, aspect), files in CASES.items() for data in files]


@pytest.mark.parametrize(
    ("rule", "aspect", "data"), FLAT, ids=lambda value: value[:40] if isinstance(value, str) else ""
)
def test_names_rule_and_aspect(rule: str, aspect: str, data: bytes) -> None:
    judgement = judge(data)
    assert (judgement.rule, judgement.aspect) == (rule, aspect)
    assert judgement.verdict == ("unspecified" if rule.startswith("unspecified.") else "reject")
    assert judgement.detail
    assert judgement.detail.isascii()
    assert len(judgement.detail) < 600
    assert judgement == judge_strictly(data, len(data))
    if rule.startswith(("framing.", "header.utf8", "header.first-byte", "header.padding")):
        assert quick(data) == rule
    else:
        assert quick(data) == ""


def test_every_aspect_has_a_file_that_shows_it() -> None:
    assert set(CASES) == set(ORDER)


def test_the_tables_name_the_same_rules() -> None:
    assert list(ASPECTS) == [*RULES, *(f"unspecified.{kind}" for kind in UNSPECIFIED)]
    assert len(UNSPECIFIED) <= 10


# What the text allows, sentence by sentence.


def accepted(data: bytes) -> bool:
    judgement = judge(data)
    assert judgement == judge_strictly(data, len(data))
    assert (judgement.header is not None) == (judgement.verdict == "accept")
    return judgement.verdict == "accept"


def test_header_data_may_be_padded_with_spaces() -> None:
    """The header data MAY be trailing padded with whitespace (0x20)."""
    assert accepted(frame("{}" + " " * 100))
    assert accepted(frame("{}"))


def test_a_header_of_just_the_limit() -> None:
    """There's a limit on the size of the header of 100MB."""
    assert accepted(HEADER_LIMIT.to_bytes(8, "little") + b"{}".ljust(HEADER_LIMIT))


@pytest.mark.parametrize("space", [" ", "\n", "\t", "\r", " \n\t\r"])
def test_white_space_inside_is_plain_json(space: str) -> None:
    """N bytes: a JSON UTF-8 string representing the header."""
    spaced = '{ "a" : { "dtype" : "F32" , "shape" : [ 1 ] , "data_offsets" : [ 0 , 4 ] } }'
    assert accepted(frame(spaced.replace(" ", space), FOUR))


@pytest.mark.parametrize(
    "name", ["", "\\u0000", "\\ud83d\\ude00", "é", "a:b", "a-0", "a\\\\ud800", "x" * 5000, "\\/\\b\\n"]
)
def test_any_string_names_a_tensor(name: str) -> None:
    """N bytes: a JSON UTF-8 string representing the header."""
    assert accepted(frame('{"%s":%s}' % (name, tensor()), FOUR))


def test_fields_come_in_any_order() -> None:
    """The header is a dict."""
    assert accepted(frame('{"a":{"data_offsets":[0,4],"shape":[1],"dtype":"F32"}}', FOUR))


@pytest.mark.parametrize("metadata", ["{}", '{"a":"b"}', '{"":""}', '{"a":"b","c":"d:e"}', '{"a":"\\u0000"}'])
def test_metadata_is_a_map_of_strings(metadata: str) -> None:
    """A special key __metadata__ is allowed to contain free form string-to-string map."""
    assert accepted(frame('{"__metadata__":%s,"a":%s}' % (metadata, tensor()), FOUR))
    assert accepted(frame('{"a":%s,"\\u005f_metadata__":%s}' % (tensor(), metadata), FOUR))


def test_metadata_is_no_tensor() -> None:
    """A special key __metadata__ is allowed."""
    header = judge(frame('{"__metadata__":{"k":"v"}}')).header
    assert header is not None
    assert header.metadata == {"k": "v"}
    assert header.tensors == ()


@pytest.mark.parametrize("shape", ["[0]", "[1,0]", "[0,1]", "[0,0]", f"[{2**64 - 1},{2**64 - 1},0]", f"[0,{2**63},3]"])
def test_empty_tensors(shape: str) -> None:
    """Empty tensors (tensors with 1 dimension being 0) are allowed."""
    assert accepted(one(shape=shape, offsets="[0,0]", buffer=b""))
    assert accepted(two(tensor(), tensor(shape=shape, offsets="[4,4]"), FOUR))
    assert accepted(two(tensor(shape=shape, offsets="[0,0]"), tensor(), FOUR))


def test_an_empty_tensor_between_two_others() -> None:
    """They are not storing any data in the databuffer, yet retaining size in the header."""
    parts = (tensor(), tensor(shape="[0]", offsets="[4,4]"), tensor(offsets="[4,8]"))
    assert accepted(frame('{"a":%s,"e":%s,"b":%s}' % parts, bytes(8)))
    assert accepted(frame('{"e":%s,"b":%s,"a":%s}' % (parts[1], parts[2], parts[0]), bytes(8)))


def test_rank_zero() -> None:
    """0-rank Tensors (tensors with shape []) are allowed, they are merely a scalar."""
    assert accepted(one(shape="[]"))


def test_tensor_values_are_not_looked_at() -> None:
    """Tensor values are not checked against, in particular NaN and +/-Inf could be in the file."""
    assert accepted(one(buffer=b"\xff\xff\xff\x7f"))
    assert accepted(one(dtype='"BOOL"', shape="[4]", buffer=b"\xff\2\3\4"))


def test_order_of_the_header_is_free() -> None:
    """The byte buffer needs to be entirely indexed, and cannot contain holes: nothing is said of order."""
    assert accepted(two(tensor(offsets="[4,8]"), tensor(), bytes(8)))


@pytest.mark.parametrize("dtype", sorted(DTYPE_BITS))
def test_every_dtype(dtype: str) -> None:
    """So total tensor byte size = END - BEGIN."""
    bits = DTYPE_BITS[dtype]
    assert accepted(one(dtype=f'"{dtype}"', shape="[2,4]", offsets=f"[0,{bits}]", buffer=bytes(bits)))
    assert (
        judge(one(dtype=f'"{dtype}"', shape="[2,4]", offsets=f"[0,{bits + 1}]", buffer=bytes(bits + 1))).verdict
        == "reject"
    )


def test_byte_size() -> None:
    assert byte_size("F32", (2, 3)) == 24
    assert byte_size("F6_E2M3", (4,)) == 3
    assert byte_size("F4", (3,)) is None
    assert byte_size("I64", ()) == 8
    assert byte_size("U8", (2**70, 0)) == 0


def test_what_the_text_leaves_open_is_still_read() -> None:
    odd = judge(one(shape="[1.0]")).header
    assert odd is not None
    assert odd.tensors[0].shape == (1,)
    assert judge(CASES["unspecified.huge-dimension", "shape"][1]).header is None


def test_a_broken_rule_wins_over_what_is_open() -> None:
    assert judge(one(shape="[1.0]", more=',"x":1', buffer=bytes(5))).rule == "layout.trailing"


def test_several_broken_rules_are_reported_by_rank_and_not_by_place() -> None:
    bad_dtype, bad_shape = tensor(dtype='"F33"'), tensor(shape="[-1]")
    assert judge(two(bad_dtype, bad_shape, FOUR)).rule == "tensor.dtype"
    assert judge(two(bad_shape, bad_dtype, FOUR)).rule == "tensor.dtype"


def test_spans_point_at_the_defect() -> None:
    def marked(data: bytes) -> bytes:
        span = judge(data).span
        assert span is not None
        return data[slice(*span)]

    assert marked(one(dtype='"F33"')) == b'"F33"'
    assert marked(one(shape="[ -1 ]")) == b"[ -1 ]"
    assert marked(one(offsets="[4,0]")) == b"[4,0]"
    assert marked(text('{"b":1,"b":2}')) == b'"b"'
    assert marked(frame('{"a":null}')) == b'"a":null'
    assert marked(frame('{"__metadata__":{"k\\u0020":7}}')) == b"7"
    assert marked(frame("{}\n")) == b"\n"
    assert marked(two(tensor(), tensor(offsets="[2,6]"), bytes(6))) == b"[2,6]"


@pytest.mark.parametrize("odd", ["[1]", '"a"', '""', "[]", "true", "{}"])
def test_a_dimension_of_another_type_is_never_multiplied(odd: str) -> None:
    for huge in (2**30, 2**45, 2**58):
        judgement = judge(one(shape=f"[{huge},{odd}]"))
        assert (judgement.rule, judgement.aspect) == ("tensor.shape", "not-integer")


def test_a_header_alone_with_the_size_of_the_file() -> None:
    """A sparse file of terabytes is judged by its front."""
    huge = 2**50
    front = frame('{"a":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (huge, huge))
    assert judge(front, len(front) + huge).verdict == "accept"
    assert judge(front, len(front) + huge - 1).rule == "layout.truncated"
    assert judge(front).rule == "layout.truncated"
