"""Planted wrongs: the real parser behind a wrapper that lies, and what the oracle says of it."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from harness.format import judge
from harness.format.encode import encode, pack
from harness.format.header import Tensor
from harness.observation import ACCEPT, RAISE, Reading
from harness.oracles import differential
from harness.oracles.oracle import Execution
from harness.targets.files.deserialize import Deserialize
from harness.targets.files.safe_open import SafeOpen

PARTS = [("second", "F32", (2, 1), bytes(range(8))), ("first", "U8", (3,), b"abc"), ("empty", "I64", (0, 2), b"")]
METADATA = {"a": "b", "c": "d"}
FILE = pack(PARTS, METADATA)


def read(safetensors: ModuleType) -> Reading:
    """What the parser truly says of FILE."""
    outcome, _, value = SafeOpen().open(safetensors)(FILE)
    assert outcome == ACCEPT
    return SafeOpen().reading(value)


def findings(reading: Reading, data: bytes = FILE) -> list[tuple[str, str]]:
    found = differential.check(Execution(data, (ACCEPT, "", reading), judge.judge(data), target=SafeOpen()))
    assert all(finding.kind == finding.oracle == "differential" for finding in found)
    return [(finding.rule.name, finding.aspect) for finding in found]


@pytest.mark.parametrize("target", [Deserialize(), SafeOpen()])
def test_the_honest_parser_is_not_accused(safetensors: ModuleType, target: Any):
    for data in (FILE, pack([]), pack(PARTS[::-1]), pack(PARTS, {}), FILE[:-1], b"", b"\xff" * 40):
        observation = target.open(safetensors)(data)
        assert differential.check(Execution(data, observation, judge.judge(data), target=target)) == []


def _first(reading: Reading, **changes: Any) -> None:
    name, held = reading.tensors[0]
    reading.tensors[0] = name, {**held, **changes}


def _rename(reading: Reading) -> None:
    reading.tensors[0] = "swapped", reading.tensors[0][1]


def _swap_contents(reading: Reading) -> None:
    (a, held_a), (b, held_b), *rest = sorted(reading.tensors, key=lambda tensor: tensor[0] == "empty")
    reading.tensors[:] = [(a, {**held_a, "data": held_b["data"]}), (b, held_b), *rest]


def _flip(reading: Reading) -> None:
    for index, (name, held) in enumerate(reading.tensors):
        if held["data"]:
            data = bytearray(held["data"])
            data[-1] ^= 1
            reading.tensors[index] = name, {**held, "data": bytes(data)}
            return


LIES: dict[str, tuple[Callable[[Reading], object], str]] = {
    "one byte": (_flip, "bytes"),
    "the other tensor's bytes": (_swap_contents, "bytes"),
    "a name": (_rename, "names"),
    "a tensor too few": (lambda reading: reading.tensors.pop(), "names"),
    "a tensor twice": (lambda reading: reading.tensors.append(reading.tensors[0]), "names"),
    "dtype": (lambda reading: _first(reading, dtype="F8_E8M0"), "dtype"),
    "shape": (lambda reading: _first(reading, shape=[7]), "shape"),
    "a flat shape": (lambda reading: _first(reading, shape=[]), "shape"),
    "a metadata value": (lambda reading: setattr(reading, "metadata", {**METADATA, "a": "x"}), "metadata"),
    "no metadata": (lambda reading: setattr(reading, "metadata", None), "metadata"),
    "order": (lambda reading: setattr(reading, "offset_keys", ["first", "second", "empty"]), "offset-order"),
    "other keys": (lambda reading: setattr(reading, "offset_keys", ["first", "second", "other"]), "offset-keys"),
    "a key too few": (lambda reading: setattr(reading, "offset_keys", ["second", "first"]), "offset-keys"),
}


@pytest.mark.parametrize("lie", LIES)
def test_every_lie_about_an_accepted_file_is_seen(safetensors: ModuleType, lie: str):
    tell, aspect = LIES[lie]
    reading = read(safetensors)
    assert findings(reading) == []
    tell(reading)
    assert findings(reading) == [("misread", aspect)]


def test_a_wrong_acceptance_has_the_rule_that_is_broken(safetensors: ModuleType):
    hole = encode([Tensor("a", "U8", (1,), 1, 2)])
    assert findings(read(safetensors), hole) == [("layout.hole", "accepted/start")]


def test_a_wrong_refusal_has_the_parser_s_words_and_what_is_unusual_in_the_file():
    (finding,) = differential.refused(
        pack([("a", "U8", (0, 7), b"")]), judge.judge(pack([("a", "U8", (0, 7), b"")])), "no `a`"
    )
    assert (finding.rule.name, finding.aspect) == ("refused", "no _")
    assert "zero-dim" in finding.summary


def test_what_the_text_leaves_open_is_no_finding_either_way(safetensors: ModuleType):
    raw = b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"more":1}}'
    data = len(raw).to_bytes(8, "little") + raw + b"x"
    judgement = judge.judge(data)
    assert judgement.verdict == "unspecified"
    reading = read(safetensors)
    assert differential.accepted(data, judgement, reading) == differential.refused(data, judgement, "no") == []


def test_tensors_that_the_target_refused_on_its_own_are_not_missing(safetensors: ModuleType):
    data = pack([("six", "F6_E2M3", (4,), b"abc"), ("one", "U8", (1,), b"x")])
    outcome, _, value = SafeOpen().open(safetensors)(data)
    assert outcome == ACCEPT
    assert findings(value, data) == []


def test_what_was_read_before_a_tensor_failed_is_compared_too(safetensors: ModuleType):
    reading = read(safetensors)
    reading.metadata = None
    found = differential.check(Execution(FILE, (RAISE, "ValueError: no", reading), judge.judge(FILE)))
    assert [finding.aspect for finding in found] == ["metadata"]
