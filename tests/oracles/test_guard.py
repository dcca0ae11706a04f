"""The oracle of guarded memory, with liars: a parser that reads beyond a buffer, or gives bytes that nobody wrote."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy
import pytest

from harness.observation import ACCEPT, Event, Observation, Run, Trace, observe
from harness.oracles import guard
from harness.oracles.oracle import Execution
from harness.programs import guarded, progress
from harness.targets.registry import get_target

TARGET = get_target("writers")


def run_of(call: Callable[[bytes], Any]) -> Run:
    """A run of one call, which gives an answer for the input."""

    def run(data: bytes) -> Observation:
        progress.cell()[0] = 1
        return observe(Trace(None, [Event("load", ACCEPT, "", call(data))]))

    return run


def found(call: Callable[[bytes], Any], data: bytes = b"") -> list[tuple[str, str]]:
    run = run_of(call)
    findings = guard.check(Execution(data, run(data), run=run, target=TARGET))
    return [(one.rule.name, one.aspect) for one in findings]


def peek(memory: Any, before: int, behind: int) -> bytes:
    """The bytes of a buffer, and so many more."""
    return ctypes.string_at(memory.ctypes.data - before, len(memory) + before + behind)


def test_an_honest_call_has_no_finding():
    assert found(lambda data: peek(guarded.block(b"abc"), 0, 0)) == []


def test_a_byte_behind_a_buffer_ends_the_process():
    assert found(lambda data: peek(guarded.block(b"abc"), 0, 1)) == [("guard.outside", "past the end")]


def test_a_byte_before_a_buffer_ends_the_process():
    assert found(lambda data: peek(guarded.block(b"abc"), 1, 0)) == [("guard.outside", "before the start")]


def test_a_buffer_without_bytes_is_guarded_too():
    assert found(lambda data: peek(guarded.block(b""), 0, 1)) == [("guard.outside", "past the end")]


def test_a_bytes_object_is_guarded_but_for_its_own_zero():
    def read(more: int) -> Callable[[bytes], bytes]:
        # An object of 80 bytes: it ends at the page where objects are aligned, too.
        return lambda data: ctypes.string_at(id(guarded.text(b"x" * 47)) + bytes.__basicsize__ - 1, 47 + more)

    assert found(read(1)) == []
    assert found(read(2)) == [("guard.outside", "past the end")]


@pytest.mark.parametrize("size", range(40, 48))
def test_a_bytes_object_lies_where_its_python_can_use_it(size: int):
    def use(data: bytes) -> int:
        # A local variable in a loop: Python marks the low bits of its address while it lies on the stack.
        given = guarded.text(b"x" * size)
        return sum(bytes(memoryview(given)) == given and len(given + data) > 0 for _ in range(3))

    assert found(use) == []


@pytest.mark.parametrize("size", [1, 7, 24, 200, 512, 4000])
def test_memory_that_nobody_wrote_is_foreign(size: int):
    assert found(lambda data: numpy.empty(size, "uint8").tobytes()) == [("guard.foreign", "load")]


def test_the_last_page_of_a_mapped_file_is_foreign_behind_its_end(tmp_path: Path):
    descriptor = os.memfd_create("mapped")
    os.pwrite(descriptor, b"abc", 0)

    def read(data: bytes) -> bytes:
        guarded.tail(descriptor)
        with mmap.mmap(descriptor, 3) as mapped:
            address = numpy.frombuffer(mapped, "uint8").ctypes.data
            return ctypes.string_at(address, 4)

    try:
        assert found(read) == [("guard.foreign", "load")]
        assert os.fstat(descriptor).st_size == 3
        # The file of the parent is as before.
        assert read(b"") == b"abc\0"
    finally:
        os.close(descriptor)


def test_a_death_in_plain_memory_is_no_matter_of_guards():
    here = os.getpid()
    assert found(lambda data: os.abort() if os.getpid() != here else b"") == []


def test_answers_that_differ_by_chance_are_no_foreign_bytes():
    """Another number each time; a dictionary, empty tensors and metadata in any order."""
    seen = iter(range(1 << 20))
    assert found(lambda data: next(seen)) == []
    assert found(lambda data: [("a", b""), ("b", b"")][:: 1 if next(seen) % 2 else -1]) == []
    assert found(lambda data: [b'{"a":1,"b":2}', b'{"b":2,"a":1}'][next(seen) % 2]) == []


@pytest.mark.parametrize("period", [2, 3, 4, 6, 8])
def test_an_answer_that_changes_in_turns_does_not_follow_the_memory(period: int):
    seen = iter(range(1, 1 << 20))
    assert found(lambda data: next(seen) % period < period // 2) == []


def test_an_error_of_the_harness_in_the_child_is_one():
    def fails(data: bytes) -> bytes:
        assert guarded.current() is None, "only here"
        return b""

    with pytest.raises(RuntimeError, match="only here"):
        found(fails)


def test_where_there_are_no_guards_nothing_is_asked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(guarded, "why_not", lambda: "the kernel protects no page")
    assert found(lambda data: peek(guarded.block(b"abc"), 0, 1)) == []


def test_about_one_input_in_so_many_is_chosen_always_the_same():
    inputs = [number.to_bytes(4, "little") for number in range(4096)]
    chosen = [data for data in inputs if guard.chosen(data, 64)]
    assert 32 < len(chosen) < 128
    assert chosen == [data for data in inputs if guard.chosen(data, 64)]
    assert not any(guard.chosen(data, 0) for data in inputs)


def test_a_planted_over_read_of_a_spec_is_found(safetensors: ModuleType, monkeypatch: pytest.MonkeyPatch):
    """A writer that reads in steps of eight bytes gives right files, and passes every other oracle."""
    real = safetensors.serialize

    def serialize(specs: Any, metadata: Any) -> Any:
        for spec in specs.values():
            ctypes.string_at(spec.data_ptr, -(-spec.data_len // 8) * 8)
        return real(specs, metadata)

    monkeypatch.setattr(safetensors, "serialize", serialize)
    run, vocabulary = TARGET.open(safetensors), TARGET.vocabulary
    assert vocabulary is not None
    for shape, signs in ((0, []), (2, [("guard.outside", "past the end/serialize: plain")])):
        data = vocabulary.encode([vocabulary.step("spec", 0, shape), vocabulary.step("serialize")])
        assert TARGET.oracles[0](Execution(data, run(data))) == []
        execution = Execution(data, run(data), run=run, target=TARGET)
        assert [(one.rule.name, one.aspect) for one in guard.check(execution)] == signs
