from __future__ import annotations

from types import ModuleType

import pytest

from harness.findings.finding import Finding, Record, normalise
from harness.findings.signature import finding_id
from harness.format import encode
from harness.format.encode import pack
from harness.format.header import Tensor
from harness.oracles import contract, differential, metamorphic

PREFIX = "Error while deserializing: "
JSON = PREFIX + "invalid JSON in header: "


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (JSON + "expected value at line 1 column 2", JSON + "expected value at line 31 column 4711"),
        (PREFIX + "invalid offset for tensor `a`", PREFIX + "invalid offset for tensor `model.layers.0 [1, 2]`"),
        (PREFIX + "invalid offset for tensor `a`", PREFIX + "invalid offset for tensor `a`b``"),
        (PREFIX + "invalid offset for tensor `a`", PREFIX + "invalid offset for tensor `dtype`"),
        (PREFIX + "invalid offset for tensor `a`", PREFIX + "invalid offset for tensor `" + "n \n" * 9_000 + "`"),
        (PREFIX + "invalid offset for tensor `a`", PREFIX + "invalid offset for tensor `\u202e\U0001f600\ud800`"),
        (JSON + 'invalid type: string "a", expected usize', JSON + r'invalid type: string "\"x\", 3", expected usize'),
        (JSON + "invalid type: integer `3`, expected a map", JSON + "invalid type: integer `-77`, expected a map"),
        (JSON + "invalid type: floating point `1e308`, expected", JSON + "invalid type: floating point `0.5`, expected"),
        (JSON + "unknown variant `F33`, expected one of `BOOL`, `F4` at", JSON + "unknown variant `x`, expected one of `U8` at"),
        (PREFIX + "tensor of type F32 and shape (1, 2) can't be created from 7 bytes",
         PREFIX + "tensor of type F32 and shape () can't be created from 123456 bytes"),
        ("File does not contain tensor a", "File does not contain tensor some other: name"),
        ("Could not read tensor a from file: end of file", "Could not read tensor b from file: c from file: end of file"),
        ("TypeError: data type 'bfloat16' not understood", "TypeError: data type 'float8' not understood"),
        ("PanicException: range end index 8 out of range for slice of length 4",
         "PanicException: range end index 99 out of range for slice of length 98"),
        ("x at 0x7f00dead", "x at 0x1"),
        ("no kernel of uint32 among int64, bool, bfloat16", "no kernel of float8_e4m3fn among int64, bool, float16"),
        ("shape [1, [2, 3]] of 4", "shape [] of 77"),
    ],
)  # fmt: skip
def test_same_defect_same_words(first: str, second: str):
    assert normalise(first) == normalise(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (JSON + "missing field `dtype` at line 1", JSON + "missing field `shape` at line 1"),
        (JSON + "duplicate field `dtype` at line 1", JSON + "missing field `dtype` at line 1"),
        (JSON + "expected `,` or `}` at line 1", JSON + "expected `,` or `]` at line 1"),
        (JSON + "expected `:` at line 1", JSON + "expected value at line 1"),
        ("PanicException: called `Option::unwrap()` on a `None` value", "PanicException: called `Result::unwrap()` on an `Err` value: 3"),
        ("TypeError: data type 'x' not understood", "ValueError: data type 'x' not understood"),
        (PREFIX + "header too large", PREFIX + "header too small"),
        ("invalid type: integer `3`, expected u8", "invalid type: integer `3`, expected u16"),
        ("cannot view uint8 as bool", "cannot view uint8 as uint16"),
    ],
)  # fmt: skip
def test_other_defect_other_words(first: str, second: str):
    assert normalise(first) != normalise(second)


def test_words_are_short_and_on_one_line():
    words = normalise("an error\nover lines " + "and more of it " * 100)
    assert len(words) <= 160
    assert "\n" not in words


def _refusal(safetensors: ModuleType, data: bytes) -> str:
    with pytest.raises(safetensors.SafetensorError) as refused:
        safetensors.deserialize(data)
    return normalise(str(refused.value))


def _with_header(text: str) -> bytes:
    raw = text.encode()
    return len(raw).to_bytes(8, "little") + raw


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ('{"a":{"dtype":"F33","shape":[],"data_offsets":[0,4]}}', '{"long name":{"shape":[1,2],"dtype":"x","data_offsets":[0,4]}}'),
        ('{"a":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}}', '{"a":{"dtype":"U8","shape":[1,"\\"twenty\\""],"data_offsets":[0,4]}}'),
        ('{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', '{"bcd":{"dtype":"F32","shape":[1,1,-9223372036854775808],"data_offsets":[0,4]}}'),
        ('{"a":1', '{"abc":1  \n\n'),
    ],
)  # fmt: skip
def test_the_parser_s_own_messages_lose_what_is_the_input_s(safetensors: ModuleType, first: str, second: str):
    assert _refusal(safetensors, _with_header(first)) == _refusal(safetensors, _with_header(second))


@pytest.mark.parametrize(
    "name", ["a", "dtype", "`", "a`, expected `b`", "'\"[1, 2]", "x" * 3_000, "1 2 3", "\u202e \n"]
)
def test_a_name_leaves_no_trace(safetensors: ModuleType, name: str):
    holed = encode.encode([Tensor(name, "U8", (1,), 1, 2)])
    assert _refusal(safetensors, holed) == "Error while deserializing: invalid offset for tensor _"


def test_numbers_of_words_stay(safetensors: ModuleType):
    broken = bytearray(pack([("name", "U8", (1,), b"x")]))
    broken[10] = 0xFF
    assert "invalid utf-8 sequence of N bytes from index N" in _refusal(safetensors, bytes(broken))


PADDING = Finding(differential.RULES["header.padding"], "accepted/newline", "a \n at 10", target="deserialize")


def test_a_finding_has_the_kind_of_its_rule_unless_it_ended_otherwise():
    assert Finding(contract.PANICKED, "x", "summary").kind == "panic"
    related = Finding(metamorphic.RELATION.member("padding"), "raised:x", "summary", "contract")
    assert (related.kind, related.rule.kind) == ("contract", "differential")
    assert related.on("safe_open").signature == "safe_open|contract|metamorphic.padding|raised:x"


def test_a_finding_is_of_a_target_from_when_that_is_known():
    nowhere = Finding(PADDING.rule, PADDING.aspect, PADDING.summary)
    assert nowhere.target == ""
    assert nowhere != PADDING
    assert nowhere.on("deserialize") == PADDING
    assert hash(nowhere.on("deserialize")) == hash(PADDING)
    assert nowhere.target == ""
    assert nowhere.on("safe_open").id != PADDING.id


def test_a_finding_says_what_its_files_say():
    assert PADDING.about() == {
        "id": "header.padding-83c1b013",
        "target": "deserialize",
        "oracle": "differential",
        "kind": "differential",
        "rule": "header.padding",
        "aspect": "accepted/newline",
        "signature": "deserialize|differential|header.padding|accepted/newline",
    }
    assert PADDING.id == finding_id(PADDING.signature)
    assert (PADDING.severity, PADDING.why, PADDING.sentence) == (
        "leniency", PADDING.rule.why, "The header data MAY be trailing padded with whitespace (0x20)",
    )  # fmt: skip


@pytest.mark.parametrize("aspect", ["accepted/newline", "a|b", "", "pread.get_slice: TypeError: _"])
@pytest.mark.parametrize(
    "rule", [PADDING.rule, contract.RAISED, metamorphic.RELATION.member("white-space"), metamorphic.SERIALIZED]
)
def test_a_finding_comes_back_from_its_fields_and_from_its_signature(rule, aspect: str):
    finding = Finding(rule, aspect, "a 'summary'", "panic", "safe_open")
    assert Finding.of(finding.fields(), "safe_open") == finding
    again = Finding.of_signature(finding.signature, finding.oracle, finding.summary)
    assert again == finding
    assert again.rule is rule


def test_a_finding_of_a_package_that_is_not_installed_keeps_its_signature():
    sig = "theirs|contract|theirs.rule|an aspect"
    finding = Finding.of_signature(sig, "theirs", "summary")
    assert (finding.signature, finding.id) == (sig, finding_id(sig))
    assert (finding.oracle, finding.severity, finding.sentence) == ("theirs", "wrong exception", "")
    with pytest.raises(ValueError, match="not a signature"):
        Finding.of_signature("deserialize|panic", "contract", "summary")


def test_a_record_is_read_as_its_finding():
    class Kept(Record):
        def __init__(self) -> None:
            self.finding = PADDING

    kept = Kept()
    for name in ("id", "target", "oracle", "kind", "rule", "aspect", "signature", "summary"):
        assert getattr(kept, name) == getattr(PADDING, name)
