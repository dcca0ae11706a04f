"""Readers that lie about sharded checkpoints, each found in its lie; and honest ones, which pass."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.observation import ACCEPT, REJECT, Event, Observation, Trace
from harness.oracles.oracle import Execution
from harness.programs import arrays
from harness.targets.shards import oracle
from harness.targets.shards.program import OUTSIDE_TENSORS, VOCABULARY, Program, decode

S = VOCABULARY.step
TWO = [S("tensor"), S("tensor", 1, 1, 3)]
GOOD = decode(VOCABULARY.encode(TWO))
ESCAPING = decode(VOCABULARY.encode([*TWO, S("path", 0, 4)]))
DAMAGED = decode(VOCABULARY.encode([*TWO, S("damaged")]))
MOVED = decode(VOCABULARY.encode([*TWO, S("moved", 0, 1)]))
NO_INDEX = decode(VOCABULARY.encode([*TWO, S("index")]))


def found(program: Program, call: str, value: Any, outcome: str = ACCEPT) -> list[tuple[str, str]]:
    observation: Observation = outcome, "", Trace(program, [Event(call, outcome, "no", value, "mmap")])
    return [(one.rule.name, one.aspect) for one in oracle.check(Execution(b"", observation))]


def tensors(program: Program) -> dict[str, Any]:
    return {name: arrays.array(*about) for name, about in program.wanted.items()}


def headers(program: Program, **changes: Any) -> Any:
    files: dict[str, Any] = {shard: SimpleNamespace(tensors={}) for _, shard in program.weights}
    for name, shard in program.weights:
        dtype, shape, _ = program.wanted[name]
        files[shard].tensors[name] = SimpleNamespace(dtype=dtype, shape=list(shape))
    return SimpleNamespace(**{"weight_map": dict(program.weights), "files_metadata": files, **changes})


def test_honest_readers_pass():
    assert found(GOOD, "safe_open", tensors(GOOD)) == []
    assert found(GOOD, "hub.load", tensors(GOOD)) == []
    assert found(GOOD, "hub.metadata", headers(GOOD)) == []
    for wrong in (ESCAPING, DAMAGED, MOVED, NO_INDEX):
        for call in ("safe_open", "hub.load", "hub.metadata"):
            assert found(wrong, call, None, REJECT) == []


@pytest.mark.parametrize("call", ["safe_open", "hub.load"])
@pytest.mark.parametrize(
    ("lie", "aspect"),
    [
        ({"a": arrays.array("F32", (4,), 7)}, "bytes"),
        ({"a": arrays.array("F32", (2, 2), 0)}, "shape"),
        ({"a": arrays.array("I32", (4,), 0)}, "dtype"),
    ],
)
def test_another_tensor_than_the_index_says_is_found(call: str, lie: dict[str, Any], aspect: str):
    rule = "shards.safe_open" if call == "safe_open" else call
    assert found(GOOD, call, {**tensors(GOOD), **lie}) == [(rule, aspect)]
    assert found(GOOD, call, {"b": tensors(GOOD)["b"]}) == [(rule, "names")]


def test_a_refusal_of_what_is_in_order_is_found():
    assert found(GOOD, "safe_open", None, REJECT) == [("refused", "safe_open")]
    assert found(GOOD, "hub.load", None, REJECT) == [("hub.refused", "hub.load")]
    assert found(GOOD, "hub.metadata", None, REJECT) == [("hub.refused", "hub.metadata")]


def test_reading_what_is_out_of_order_is_found():
    assert found(DAMAGED, "safe_open", {}) == [("shards.safe_open", "accepted/shard: one byte short")]
    assert found(MOVED, "safe_open", {}) == [("shards.safe_open", "accepted/tensor: not in its shard")]
    assert found(DAMAGED, "hub.load", {}) == [("hub.load", "accepted/shard: one byte short")]
    # Said in the value, not by an error; and a folder without an index may hold one file.
    assert found(MOVED, "hub.load", {}) == []
    assert found(NO_INDEX, "hub.load", {}) == []


def test_headers_that_differ_and_headers_from_outside_are_found():
    other = headers(GOOD)
    other.files_metadata[GOOD.weights[0][1]].tensors["a"].dtype = "I32"
    assert found(GOOD, "hub.metadata", other) == [("hub.metadata", "tensor")]
    assert found(GOOD, "hub.metadata", headers(GOOD, weight_map={})) == [("hub.metadata", "weight-map")]
    outside = {"../outside.safetensors": SimpleNamespace(tensors={OUTSIDE_TENSORS[0][0]: None})}
    value = SimpleNamespace(weight_map={}, files_metadata=outside)
    assert found(ESCAPING, "hub.metadata", value) == [("hub.metadata", "accepted/path: outside the folder")]
