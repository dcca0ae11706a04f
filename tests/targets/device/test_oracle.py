"""Calls that lie about devices, and what the oracle says of them."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from harness.observation import ACCEPT, REJECT, Event, Trace
from harness.oracles.oracle import Execution
from harness.programs import arrays
from harness.targets.device import oracle
from harness.targets.device.program import FILE, INDICES, TYPES, VOCABULARY, WORDS, Call, decode
from harness.targets.device.target import Device

CONTENT = {name: arrays.content(dtype, shape, salt) for name, dtype, shape, salt in FILE}


def call(name: str, a: int = 0, b: int = 0, c: int = 0, *, kind: str = "open", framework: int = 0) -> Call:
    steps = [VOCABULARY.step(name, a, b, c), VOCABULARY.step(kind, *([framework] if kind == "open" else []))]
    (made,) = decode(VOCABULARY.encode(steps))
    return made


def name(text: str, **more: Any) -> Call:
    kind = next(kind for kind in sorted(TYPES, key=len, reverse=True) if text.startswith(kind))
    index = [words for words, _ in INDICES].index(text.removeprefix(kind))
    made = call("name", TYPES.index(kind), index, **more)
    assert made.given.value == text
    return made


def findings(made: Call, outcome: str, value: Any = None) -> list[tuple[str, str]]:
    found = oracle.check(Execution(b"", (outcome, "", Trace(b"", [Event(made.kind, outcome, "no", value, made)]))))
    return [(finding.rule.name, finding.aspect) for finding in found]


@pytest.mark.parametrize(
    "text", ["cuda:x", "cuda:-1", "cuda:", "cuda:+1", "cuda:01", "CUDA", "gpu:0", "cuda:0:0", "", "mps:x"]
)
def test_what_names_no_device_is_to_be_refused(text: str) -> None:
    for framework in (0, 1):
        made = name(text, framework=framework)
        assert [rule for rule, _ in findings(made, ACCEPT)] == ["device.accepted"]
        assert findings(made, REJECT) == []


@pytest.mark.parametrize("text", ["cuda", "cuda:0", "xpu:0", "cpu", "cpu:0", "mps:0"])
def test_what_torch_names_is_to_be_taken(text: str) -> None:
    made = name(text, framework=1)
    assert findings(made, ACCEPT) == []
    assert [rule for rule, _ in findings(made, REJECT)] == ["device.refused"]
    # Whether there are that many is another question.
    assert findings(name("cuda:127", framework=1), REJECT) == []


def test_numpy_has_one_place() -> None:
    assert findings(name("cuda:0"), ACCEPT) == [("device.accepted", "open numpy: accelerator")]
    assert findings(name("cuda:0"), REJECT) == []
    assert findings(name("cpu"), REJECT) == [("device.refused", "open numpy: plain")]
    assert findings(call("number"), REJECT) == []


@pytest.mark.parametrize(("step", "right"), [(("number", 0), True), (("number", 2), False), (("number", 10), False),
                                             (("number", 1, 6), False), (("odd", 2), False), (("odd", 6), False)])  # fmt: skip
def test_numbers_and_other_values(step: tuple[Any, ...], right: bool) -> None:
    made = call(*step, framework=1)
    assert findings(made, ACCEPT) == [] if right else findings(made, ACCEPT)[0][0] == "device.accepted"


def test_data_must_be_the_file_s_and_where_it_was_asked_for() -> None:
    made = name("cuda:0", kind="load_file")
    assert findings(made, ACCEPT, ("cuda", CONTENT)) == []
    assert findings(made, ACCEPT, ("cpu", CONTENT)) == [("device.place", "load_file pt")]
    assert findings(made, ACCEPT, ("cuda", {**CONTENT, "b": b"odd!"})) == [("device.bytes", "load_file pt")]
    assert findings(made, ACCEPT, ("cuda", {"a": CONTENT["a"]})) == [("device.bytes", "load_file pt")]


def redirected(kind: str, **more: Any) -> Call:
    return name("cuda", framework=1)._replace(redirected=True, kind=kind, **more)


def test_a_redirected_device_is_the_cpu() -> None:
    made = redirected("open")
    assert findings(made, ACCEPT, ("cpu", CONTENT)) == []
    assert findings(made, ACCEPT, ("cuda", CONTENT)) == [("device.place", "open pt")]
    part = redirected("part", plain=("cpu", {"a": b"1234"}))
    assert findings(part, ACCEPT, ("cpu", {"a": b"1234"})) == []
    assert findings(part, ACCEPT, ("cpu", {"a": b"4321"})) == [("device.bytes", "open pt")]
    assert findings(part, REJECT) == [("device.refused", "open pt: plain: F32")]
    # The CPU refuses the part, too.
    assert findings(redirected("part"), REJECT) == findings(redirected("part"), ACCEPT) == []


def test_words_for_frameworks() -> None:
    def word(which: str) -> Call:
        at = [text for text, _ in WORDS].index(which)
        (made,) = decode(VOCABULARY.encode([VOCABULARY.step("framework", at)]))
        return made

    def refused(made: Call) -> list[tuple[str, str]]:
        event = Event("open", REJECT, f"SafetensorError: framework {made.word} is invalid", None, made)
        found = oracle.check(Execution(b"", (REJECT, "", Trace(b"", [event]))))
        return [(finding.rule.name, finding.aspect) for finding in found]

    for text in ("PT", "", "keras"):
        assert findings(word(text), ACCEPT) == [("device.framework", "accepted")]
        assert refused(word(text)) == []
    for text in ("pt", "tf", "flax", "numpy"):
        assert refused(word(text)) == [("device.framework", "refused")]
        assert findings(word(text), ACCEPT) == []
    # No text names these.
    assert refused(word("jax")) == findings(word("jax"), ACCEPT) == []


def test_the_real_reader_is_not_accused_of_what_it_does_right(safetensors: ModuleType) -> None:
    run = Device().open(safetensors)
    steps = [VOCABULARY.step("open"), VOCABULARY.step("name", 9), VOCABULARY.step("open"), VOCABULARY.step("odd", 2)]
    program = VOCABULARY.encode([*steps, VOCABULARY.step("open", 0, 1)])
    observation = run(program)
    assert [event.outcome for event in observation[2].events] == [ACCEPT, REJECT, REJECT]
    assert oracle.check(Execution(program, observation)) == []
