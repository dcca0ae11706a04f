"""Savers that lie: the real one's file, changed, and what the oracle says of it."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

from harness.format.encode import pack
from harness.observation import REJECT, Event, Observation, Reading, Written
from harness.oracles.oracle import Execution
from harness.targets.loaders import resaved
from harness.targets.loaders.numpy import Numpy

PARTS = [("second", "F32", (2, 1), bytes(range(8))), ("first", "U8", (3,), b"abc"), ("empty", "I64", (2, 0), b"")]
FILE = pack(PARTS, {"a": "b"})


def saved(safetensors: ModuleType, data: bytes = FILE) -> tuple[Observation, dict[str, Event]]:
    observation = Numpy().open(safetensors)(data)
    return observation, {event.call: event for event in observation[2].events if event.call in resaved.SAVERS}


def findings(observation: Observation) -> list[tuple[str, str]]:
    found = resaved.check(Execution(FILE, observation))
    assert all((finding.oracle, finding.kind) == ("resaved", "roundtrip") for finding in found)
    return [(finding.rule.name, finding.aspect) for finding in found]


def test_the_honest_saver_is_not_accused(safetensors: ModuleType) -> None:
    for data in (FILE, pack(PARTS[::-1]), pack([]), pack(PARTS, {"a": "b", "c": "d"})):
        observation, events = saved(safetensors, data)
        assert set(events) == {"save", "save_file"}
        assert findings(observation) == []


def _change(written: Written, **changes: object) -> None:
    for name, value in changes.items():
        setattr(written, name, value)


LIES: dict[str, tuple[Callable[[Written], object], str, str]] = {
    "no file at all": (lambda written: _change(written, data=b"\0" * 9), "forbidden", "header.first-byte"),
    "trailing bytes": (lambda written: _change(written, data=written.data + b"x"), "forbidden", "layout.trailing"),
    "other bytes": (lambda written: _change(written, data=written.data[:-1] + b"x"), "content", "bytes"),
    "no metadata": (lambda written: _change(written, data=pack(PARTS)), "content", "metadata"),
    "a shape": (lambda written: _change(written, data=pack([("second", "F32", (2,), bytes(range(8))), *PARTS[1:]], {"a": "b"})), "content", "shape"),
    "a tensor less": (lambda written: _change(written, data=pack(PARTS[:2], {"a": "b"})), "content", "names"),
    "unreadable": (lambda written: _change(written, again="SafetensorError: no"), "unreadable", "SafetensorError: no"),
    "read otherwise": (lambda written: _change(written, again=Reading([], None)), "again", "names"),
    "its argument": (lambda written: _change(written, kept=False), "argument", "changed"),
}  # fmt: skip


@pytest.mark.parametrize("call", resaved.SAVERS)
@pytest.mark.parametrize("lie", LIES)
def test_every_lie_is_seen(safetensors: ModuleType, lie: str, call: str) -> None:
    tell, rule, words = LIES[lie]
    observation, events = saved(safetensors)
    # Two equal files are looked at once.
    _change(events["save" if call == "save_file" else "save_file"].value, data=FILE)
    tell(events[call].value)
    assert findings(observation) == [(f"resaved.{rule}", f"{call}: {words}")]


def test_a_refusal_of_what_was_loaded_is_seen(safetensors: ModuleType) -> None:
    observation, events = saved(safetensors)
    events["save"].outcome, events["save"].error = REJECT, 'Unknown dtype "x"'
    assert findings(observation) == [("resaved.refused", "save: Unknown dtype _")]


def test_a_saver_that_takes_away_from_its_argument_is_seen_by_the_target(safetensors: ModuleType, monkeypatch) -> None:
    import safetensors.numpy as own

    real = own.save

    def save(tensors, metadata=None):
        tensors["second"] = tensors["second"] * 1
        return real(tensors, metadata=metadata)

    monkeypatch.setattr(own, "save", save)
    observation, _ = saved(safetensors)
    assert findings(observation) == [("resaved.argument", "save: changed")]
