"""Input made to exhaust a reader: no recursion, linear time (the sizes would not end otherwise), bounded memory."""

# ruff: noqa: UP031  JSON is full of braces: str.format would bury it in doubled ones

from __future__ import annotations

import sys
import tracemalloc

import pytest

from harness.format.judge import features, judge

DEEP = 100_000
MANY = 50_000


def frame(header: str | bytes, buffer: bytes = b"") -> bytes:
    raw = header if isinstance(header, bytes) else header.encode()
    return len(raw).to_bytes(8, "little") + raw + buffer


def fields(shape: str, more: str = "") -> str:
    return '{"a":{"dtype":"F32","shape":%s,"data_offsets":[0,0]%s}}' % (shape, more)


def pairs(form: str) -> str:
    return ",".join(form % index for index in range(MANY))


NESTED_OBJECTS = '{"x":' * DEEP + "1" + "}" * DEEP
NESTED_TWINS = '{"x":0,"y":' * DEEP + "1" + "}" * DEEP
HOSTILE = {
    "arrays never closed": ('{"a":' + "[" * DEEP, "header.json"),
    "objects never closed": ('{"a":' * DEEP, "header.json"),
    "arrays closed too often": (fields("[0]", ',"x":%s' % ("[" * DEEP + "]" * (DEEP + 1))), "header.json"),
    "mixed nesting crossed": ('{"a":' + '[{"a":' * DEEP + "]}" * DEEP + "}", "header.json"),
    "nested arrays as a tensor": ('{"a":%s}' % ("[" * DEEP + "]" * DEEP), "tensor.fields"),
    "nested objects as a tensor": ('{"a":%s}' % NESTED_OBJECTS, "tensor.fields"),
    "nested arrays as a shape": (fields("[" * DEEP + "]" * DEEP), "tensor.shape"),
    "nested metadata": ('{"__metadata__":{"a":%s}}' % NESTED_OBJECTS, "metadata.strings"),
    "nested extra field": (fields("[0]", ',"x":' + NESTED_OBJECTS), "unspecified.extra-field"),
    "nested extra field of two keys": (fields("[0]", ',"x":' + NESTED_TWINS), "unspecified.extra-field"),
    "duplicate at the bottom": (
        fields("[0]", ',"x":' + NESTED_OBJECTS.replace("1", '{"y":1,"y":2}')),
        "header.duplicate-key",
    ),
    "integer of 5,000 digits": (fields("[%s]" % ("9" * 5000)), "tensor.size"),
    "negative integer of 5,000 digits": (fields("[-%s]" % ("9" * 5000)), "tensor.shape"),
    "fraction of 5,000 digits": (fields("[0.%s]" % ("9" * 5000)), "tensor.shape"),
    "exponent of 5,000 digits": (fields("[1e%s]" % ("9" * 5000)), "tensor.size"),
    "zero to a huge exponent": (fields("[0e%s]" % ("9" * 5000)), "unspecified.integer-form"),
    "many huge dimensions": (fields("[%s1]" % ("18446744073709551615," * 50_000)), "tensor.size"),
    "many huge dimensions and a zero": (fields("[%s0]" % ("18446744073709551615," * 50_000)), ""),
    "the same tensor name": ("{%s}" % ",".join(['"a":0'] * MANY), "header.duplicate-key"),
    "the same metadata key": ('{"__metadata__":{%s}}' % ",".join(['"a":""'] * MANY), "header.duplicate-key"),
    "the same nested key": (fields("[0]", ',"x":{%s}' % ",".join(['"a":0'] * MANY)), "header.duplicate-key"),
    "other keys, the last one twice": (fields("[0]", ',"x":{%s,"0":1}' % pairs('"%d":0')), "header.duplicate-key"),
    "many names that are no tensors": ("{%s}" % pairs('"%d":0'), "tensor.fields"),
    "much metadata": ('{"__metadata__":{%s}}' % pairs('"%d":""'), ""),
    "many empty tensors": ("{%s}" % pairs('"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'), ""),
    "many lone surrogates": ('{"%s":1}' % ("\\ud800" * MANY), "tensor.fields"),
    "many backslashes, no end": ('{"%s' % ("\\\\" * MANY), "header.json"),
    "long white space before an error": ('{"a":1,%s}' % (" " * MANY), "header.json"),
    "open strings": ('{"a":"' * MANY, "header.json"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_is_judged_by_the_rule_it_breaks(name: str) -> None:
    header, rule = HOSTILE[name]
    judgement = judge(frame(header))
    assert judgement.rule == rule
    assert len(judgement.detail) < 600


@pytest.mark.parametrize(
    "name", ["nested extra field", "nested arrays as a shape", "the same nested key", "open strings"]
)
def test_memory_stays_in_proportion(name: str) -> None:
    data = frame(HOSTILE[name][0])
    judge(frame("{}"))
    tracemalloc.start()
    try:
        judge(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 * len(data) + 100_000


def test_recursion_limit_is_left_alone() -> None:
    before = sys.getrecursionlimit()
    judge(frame(HOSTILE["nested extra field"][0]))
    assert sys.getrecursionlimit() == before


def test_many_tensors_that_all_overlap() -> None:
    same = '"%d":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}'
    assert judge(frame("{%s}" % pairs(same), b"1")).rule == "layout.overlap"


def test_features_of_a_large_file() -> None:
    data = frame(HOSTILE["many empty tensors"][0])
    assert features(data, judge(data)) == ("zero-dim", "large-header")


def test_every_prefix_of_a_file_is_judged() -> None:
    whole = frame('{"__metadata__":{"é":"\\ud83d\\ude00"},"a":{"dtype":"F4","shape":[2 ,-0],"data_offsets":[0,1.0]}}')
    for length in range(len(whole)):
        cut = whole[:length]
        assert judge(cut).verdict == "reject"
        reframed = frame(whole[8:length]) if length >= 8 else b""
        assert judge(reframed).rule in {"framing.length", "header.utf8", "header.first-byte", "header.json"}


def test_every_byte_value_everywhere() -> None:
    whole = frame('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}  ', bytes(4))
    for place in range(len(whole) - 4):
        for value in range(256):
            judgement = judge(whole[:place] + bytes([value]) + whole[place + 1 :])
            assert (judgement.verdict == "accept") == (judgement.rule == "")
