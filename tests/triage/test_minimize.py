"""What the minimiser is worth: the smallest input of a planted condition, to the byte."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import HarnessError
from harness.format.judge import judge
from harness.triage.minimize import minimize
from harness.triage.search import remove_most
from tests.framing import framed

TENSORS = {
    "__metadata__": {"format": "pt", "k": "v"},
    "layer.0.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "layer.1": {"dtype": "F16", "shape": [4], "data_offsets": [24, 32]},
    "b": {"dtype": "U8", "shape": [], "data_offsets": [32, 33]},
}
SPREAD = json.dumps(TENSORS, indent=1).encode()
PLAIN = json.dumps(TENSORS).encode()
BUFFER = bytes(range(33))


def breaks(rule: str, aspect: str = "") -> Callable[[bytes], bool]:
    def keep(data: bytes) -> bool:
        found = judge(data)
        return found.rule == rule and aspect in ("", found.aspect)

    return keep


def accepted(condition: Callable = lambda header: True, spelt: Callable = lambda text: True) -> Callable[[bytes], bool]:
    def keep(data: bytes) -> bool:
        found = judge(data)
        header = found.header
        return found.verdict == "accept" and condition(header) and spelt(data[8 : 8 + header.size] if header else b"")

    return keep


def tensor(name: str, begin: int, end: int, dtype: str = "U8") -> str:
    return f'"{name}":{{"dtype":"{dtype}","shape":[],"data_offsets":[{begin},{end}]}}'


CASES = {
    "any valid file": (framed(SPREAD + b"  ", BUFFER), accepted(), framed(b"{}")),
    "two tensors": (
        framed(SPREAD, BUFFER),
        accepted(lambda header: len(header.tensors) > 1),
        framed(f"{{{tensor('', 0, 1)},{tensor('a', 1, 2)}}}".encode(), b"\0\0"),
    ),
    "a tensor in the middle": (
        framed(SPREAD, BUFFER),
        accepted(lambda header: any(t.dtype == "F16" for t in header.tensors)),
        framed(f"{{{tensor('', 0, 2, 'F16')}}}".encode(), b"\0\0"),
    ),
    "metadata": (
        framed(PLAIN, BUFFER),
        accepted(lambda header: header.metadata is not None and "k" in header.metadata),
        framed(b'{"__metadata__":{"k":""}}'),
    ),
    "a hole": (
        framed(PLAIN.replace(b"[24, 32]", b"[27, 35]").replace(b"[32, 33]", b"[35, 36]"), bytes(36)),
        breaks("layout.hole"),
        framed(f"{{{tensor('', 1, 2)}}}".encode()),
    ),
    "an overlap": (
        framed(PLAIN.replace(b"[24, 32]", b"[20, 28]").replace(b"[32, 33]", b"[28, 29]"), bytes(29)),
        breaks("layout.overlap"),
        framed(f"{{{tensor('', 0, 1)},{tensor('a', 0, 1)}}}".encode()),
    ),
    "a tensor of the wrong size": (
        framed(PLAIN.replace(b"[2, 3]", b"[2, 4]"), BUFFER),
        breaks("tensor.size"),
        framed(f"{{{tensor('', 0, 0)}}}".encode()),
    ),
    "a key that stands twice": (
        framed(PLAIN[:-1] + b',"b":{"dtype":"U8","shape":[],"data_offsets":[32,33]}}', BUFFER),
        breaks("header.duplicate-key"),
        framed(b'{"":0,"":0}'),
    ),
    "metadata that is no string": (
        framed(PLAIN.replace(b'"pt"', b'{"a": [1, 2]}'), BUFFER),
        breaks("metadata.strings", "value-not-string"),
        framed(b'{"__metadata__":{"":0}}'),
    ),
    "bytes after the last tensor": (framed(PLAIN, bytes(40)), breaks("layout.trailing"), framed(b"{}", b"\0")),
    "padding": (framed(SPREAD + b" \n ", BUFFER), breaks("header.padding", "newline"), framed(b"{\n")),
    "no UTF-8": (framed(PLAIN.replace(b"layer.0", b"lay\xffer.0"), BUFFER), breaks("header.utf8"), framed(b"\xff")),
    "white space inside": (
        framed(SPREAD, BUFFER),
        accepted(lambda header: True, lambda text: b"\n" in text),
        framed(b"{\n}"),
    ),
    "a header cut short": (
        struct.pack("<Q", 5000) + PLAIN,
        breaks("framing.header-truncated"),
        struct.pack("<Q", 1),
    ),
    "brackets in pairs, past any recursion": (
        framed(b'{"a":' + b"[" * 900 + b"]" * 900 + b"}"),
        lambda data: data.count(b"[") > 5 and data.count(b"[") == data.count(b"]"),
        b"[[[[[[]]]]]]",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_smallest_file_is_found(name: str):
    data, keep, smallest = CASES[name]
    found = minimize(data, keep)
    assert found == smallest
    assert minimize(found, keep) == found


def test_a_program_loses_steps_then_its_numbers():
    program = bytes(range(1, 41))
    found = minimize(program, lambda data: any(data[at] > 16 for at in range(0, len(data) - 3, 4)), unit=4)
    assert found == bytes((17, 0, 0, 0))


def test_an_input_that_shows_nothing_is_an_error():
    with pytest.raises(HarnessError, match="does not show the finding"):
        minimize(b"abc", lambda data: False)


def test_progress_is_told():
    told: list[tuple[int, int]] = []
    minimize(framed(PLAIN, BUFFER), accepted(), progress=lambda size, asked: told.append((size, asked)))
    assert [asked for _, asked in told] == list(range(1, len(told) + 1))
    assert told[-1][0] == len(framed(b"{}"))


@given(st.binary(max_size=60), st.integers(0, 255))
def test_any_bytes_at_all_are_minimised_to_a_fixed_point(data: bytes, byte: int):
    def keep(candidate: bytes) -> bool:
        return candidate.count(byte) >= min(2, data.count(byte))

    found = minimize(data, keep)
    assert found == bytes([byte]) * min(2, data.count(byte))


@given(st.binary(max_size=40))
@settings(max_examples=60)
def test_no_single_byte_can_go(tail: bytes):
    data = framed(PLAIN + tail, BUFFER)
    rule = judge(data).rule

    def keep(candidate: bytes) -> bool:
        return judge(candidate).rule == rule

    found = minimize(data, keep)
    without = [found[:at] + found[at + 1 :] for at in range(len(found))]
    header = int.from_bytes(found[:8], "little")
    repaired = [struct.pack("<Q", header - 1) + rest[8:] for rest in without if header and len(rest) >= 8]
    assert not [candidate for candidate in without + repaired[8:] if keep(candidate) and candidate < found]


@given(st.lists(st.integers(0, 9)), st.sets(st.integers(0, 9)))
def test_remove_most_leaves_just_what_is_needed(items: list[int], needed: set[int]):
    wanted = needed & set(items)
    left = remove_most(items, lambda rest: wanted <= set(rest))
    assert sorted(left) == sorted(wanted)
