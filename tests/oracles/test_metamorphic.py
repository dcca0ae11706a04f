"""A parser that contradicts itself: the real one behind a wrapper that reads some spellings otherwise."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from harness.findings.finding import Finding
from harness.format import judge
from harness.format.encode import encode, pack
from harness.format.header import Tensor
from harness.mutate import Rng, generate
from harness.observation import ACCEPT, PANIC, RAISE, REJECT, Observation, Reading, Run
from harness.oracles import metamorphic
from harness.oracles.header_writer import Spelling, write
from harness.oracles.oracle import Execution
from harness.targets.base import Target
from harness.targets.files.deserialize import Deserialize
from harness.targets.files.safe_open import SafeOpen

PARTS = [
    ("model.weight/\U0001f600", "F32", (2, 1, 3), bytes(range(24))),
    ("bias", "U8", (3,), b"abc"),
    ("none", "I64", (2, 0, 5), b""),
    ("scalar", "I16", (), b"xy"),
]
METADATA = {"format": "pt", "über": "\n"}


def plainly(data: bytes) -> bytes:
    """A file in the plain spelling, from which all others differ in one thing."""
    header = judge.judge(data).header
    assert header is not None
    return write(header.tensors, header.metadata, data[8 + header.size :], Spelling())


PACKED = pack(PARTS, METADATA)
FILE = plainly(PACKED)


def findings_of(safetensors: ModuleType, data: bytes = FILE, lie: Callable[[bytes, Observation], Observation] | None = None,
            target: Target | None = None) -> list[Finding]:  # fmt: skip
    """What the oracle finds when every observation of the real parser first goes through ``lie``."""
    target = target or SafeOpen()
    honest = target.open(safetensors)
    run: Run = honest if lie is None else lambda data: lie(data, honest(data))
    return metamorphic.check(Execution(data, run(data), judge.judge(data), run, target))


def rules(findings: list[Finding]) -> set[str]:
    return {finding.rule.name.removeprefix("metamorphic.") for finding in findings}


@pytest.mark.parametrize("target", [Deserialize(), SafeOpen()])
def test_the_honest_parser_agrees_with_itself(safetensors: ModuleType, target: Target):
    rng = Rng(20_000)
    run = target.open(safetensors)
    examined = 0
    for data in [FILE, PACKED, pack([]), pack([], {"a": "b"}), *(generate(rng) for _ in range(200))]:
        observation, judgement = run(data), judge.judge(data)
        if any(odd <= set(judge.features(data, judgement)) for odd in ODD):
            continue
        examined += observation[0] == ACCEPT
        assert metamorphic.check(Execution(data, observation, judgement, run, target)) == []
    assert examined > 50


# On files of these kinds 0.8.0 does contradict itself: finding that is the campaigns' business.
ODD = ({"zero-dim-with-huge-product"}, {"no-tensors", "empty-metadata"})


def header(data: bytes) -> bytes:
    return data[8 : 8 + int.from_bytes(data[:8], "little")]


def refuse_if(condition: Callable[[bytes], object]) -> Callable[[bytes, Observation], Observation]:
    def lie(data: bytes, honest: Observation) -> Observation:
        if data != FILE and condition(header(data)):
            return REJECT, "Error while deserializing: no `such` thing at line 1 column 77", ValueError()
        return honest

    return lie


# What a parser might trip over, and the relation that must show it. The file itself has none of these.
STUMBLES: dict[str, Callable[[bytes], object]] = {
    "tensor-order": lambda text: re.search(rb'"scalar".*"bias"', text),
    "field-order": lambda text: b'{"shape"' in text,
    "metadata-order": lambda text: re.search(rb'"\xc3\xbcber".*"format"', text),
    "metadata-place": lambda text: b'},"__metadata__"' in text,
    "white-space": lambda text: re.search(rb"[:,]\s", text),
    "padding": lambda text: text.endswith(b" "),
    "escape-name": lambda text: b'"scalar"' not in text,
    "escape-field": lambda text: b'"data_offsets"' not in text,
    "escape-dtype": lambda text: b'"F32"' not in text,
    "escape-metadata": lambda text: b'"format"' not in text,
    "escape-metadata-word": lambda text: b"__metadata__" not in text,
    "one-more-tensor": lambda text: text.count(b'"dtype"') == len(PARTS) + 1,
    "one-more-entry": lambda text: b"an entry" in text,
    "dimension-order": lambda text: b"[3,1,2]" in text,
}


@pytest.mark.parametrize("relation", STUMBLES)
def test_every_relation_sees_the_parser_that_stumbles_over_it(safetensors: ModuleType, relation: str):
    assert not STUMBLES[relation](header(FILE))
    found = findings_of(safetensors, lie=refuse_if(STUMBLES[relation]))
    assert relation in rules(found)
    (finding,) = (f for f in found if f.rule.name == f"metamorphic.{relation}")
    assert finding.kind == "differential"
    assert finding.aspect == "refused:Error while deserializing: no _ thing at line N column N"


def test_every_relation_has_its_stumble():
    assert STUMBLES.keys() == metamorphic.RELATIONS.keys()


def changed(**changes: Any) -> Callable[[bytes, Observation], Observation]:
    """Reads everything but the file itself with one change."""

    def lie(data: bytes, honest: Observation) -> Observation:
        outcome, error, reading = honest
        if data == PACKED or outcome != ACCEPT:
            return honest
        name, held = reading.tensors[-1]
        first = {key: value for key, value in changes.items() if key in held}
        tensors = [*reading.tensors[:-1], (changes.get("name", name), {**held, **first})]
        metadata = changes.get("metadata", reading.metadata)
        order = changes["order"](reading.offset_keys) if "order" in changes else reading.offset_keys
        return outcome, error, Reading(tensors, metadata, order)

    return lie


@pytest.mark.parametrize(
    ("change", "aspect"),
    [
        ({"name": "other"}, "names"),
        ({"dtype": "BF16"}, "dtype"),
        ({"shape": [1, 1]}, "shape"),
        ({"data": b"yx"}, "bytes"),
        ({"metadata": {"format": "pt"}}, "metadata"),
        ({"order": lambda keys: keys[::-1]}, "order"),
    ],
)
def test_reading_the_same_words_otherwise_is_seen(safetensors: ModuleType, change: dict[str, Any], aspect: str):
    found = findings_of(safetensors, PACKED, lie=changed(**change))
    assert ("metamorphic.respelt", aspect) in {(finding.rule.name, finding.aspect) for finding in found}


def test_reading_the_same_bytes_otherwise_is_seen(safetensors: ModuleType):
    runs = []

    def lie(data: bytes, honest: Observation) -> Observation:
        runs.append(data)
        outcome, error, reading = honest
        return (outcome, error, Reading(reading.tensors, {}, reading.offset_keys)) if len(runs) == 2 else honest

    found = findings_of(safetensors, lie=lie)
    assert [(finding.rule.name, finding.aspect) for finding in found] == [("metamorphic.same-bytes", "metadata")]


def test_what_is_written_again_and_not_read_again_is_a_round_trip(safetensors: ModuleType):
    # Both writers lay tensors out anew; ours by name, upstream's by alignment.
    def reordered(text: bytes) -> bool:
        return re.search(rb'"bias".{20,60}\[0,3\]', text) is not None or text.startswith(
            b'{"__metadata__":{"format":"pt"'
        )

    found = findings_of(safetensors, lie=refuse_if(reordered))
    assert {"encoded-again", "serialized-again"} & rules(found)
    kinds = {finding.kind for finding in found if finding.rule.name.endswith("-again")}
    assert kinds == {"roundtrip"}


def test_a_writer_that_fails_on_what_the_reader_read(safetensors: ModuleType, monkeypatch):
    def refuse(tensors, metadata):
        raise safetensors.SafetensorError("Error while serializing: tensor `a` too good")

    monkeypatch.setattr(safetensors, "serialize", refuse)
    (finding,) = findings_of(safetensors)
    assert (finding.kind, finding.rule.name) == ("roundtrip", "metamorphic.serialized-again")
    assert finding.aspect == "refused:Error while serializing: tensor _ too good"


@pytest.mark.parametrize(("outcome", "kind"), [(PANIC, "panic"), (RAISE, "contract")])
def test_a_variant_that_ends_undocumented_is_of_that_kind(safetensors: ModuleType, outcome: str, kind: str):
    def lie(data: bytes, honest: Observation) -> Observation:
        return (outcome, "Type: words 5", None) if b"more0" in data else honest

    found = findings_of(safetensors, lie=lie)
    assert {finding.kind for finding in found} == {kind}
    assert rules(found) == {"one-more-tensor", "one-more-entry"}


def test_nothing_is_asked_of_what_is_refused_or_not_understood(safetensors: ModuleType):
    def never(data: bytes) -> Observation:
        raise AssertionError("run again")

    target = SafeOpen()
    refused = pack(PARTS)[:-1]
    for observation in ((REJECT, "no", None), (ACCEPT, "", Reading([], None))):
        assert metamorphic.check(Execution(refused, observation, judge.judge(refused), never, target)) == []


def test_a_contradiction_comes_with_the_file_that_shows_it(safetensors: ModuleType):
    target = SafeOpen()
    honest = target.open(safetensors)
    lie = refuse_if(lambda text: b"an entry" in text)
    execution = Execution(FILE, honest(FILE), judge.judge(FILE), lambda data: lie(data, honest(data)), target)
    (finding,) = metamorphic.check(execution)
    ((contradicting, variant),) = execution.variants.items()
    assert contradicting == finding
    assert finding.rule.name == "metamorphic.one-more-entry"
    assert b'"more0":"an entry"' in variant
    assert honest(variant)[0] == ACCEPT


def test_findings_repeat(safetensors: ModuleType):
    lie = refuse_if(STUMBLES["white-space"])
    assert findings_of(safetensors, lie=lie) == findings_of(safetensors, lie=lie)


def test_empty_tensors_may_come_in_any_order(safetensors: ModuleType):
    empties = [Tensor(str(i), "U8", (0,), 1, 1) for i in range(8)]
    data = encode([Tensor("a", "U8", (1,), 0, 1), *empties, Tensor("b", "U8", (1,), 1, 2)])
    for _ in range(5):
        assert findings_of(safetensors, data) == []


def test_a_file_with_a_tensor_that_the_target_cannot_give_is_examined_all_the_same(safetensors: ModuleType):
    data = pack([("six", "F6_E2M3", (4,), b"abc"), *PARTS])
    assert findings_of(safetensors, data) == []
    found = findings_of(safetensors, data, lie=refuse_if(lambda text: b"an entry" in text))
    assert rules(found) == {"one-more-entry"}
