from __future__ import annotations

import signal

import pytest

from harness.parsers import registry
from harness.programs.steps import Step
from harness.replay import exit_reason, replay
from harness.targets import known_findings
from harness.targets.base import UNCAUGHT
from harness.targets.lifecycle.program import VOCABULARY
from harness.targets.registry import get_target

step = VOCABULARY.step
TARGET = get_target("lifecycle")
PROGRAM = VOCABULARY.encode([step("open"), step("cut"), step("get_tensor")])

REPORT = b"""some words before
==4711==ERROR: AddressSanitizer: heap-use-after-free on address 0x602000001234 at pc 0x7f3e4495c49b bp 0x7ffe sp 0x7ffd
READ of size 8 at 0x602000001234 thread T0
    #0 0x7f3e4cd70ae2 in __asan_memcpy (/somewhere/lib/python3.11/site-packages/asan_with_fuzzer.so+0x12ae2)
    #1 0x7f3e44a08b86 in core::slice::copy /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/core/src/slice.rs:12:5
    #2 0x7f3e4495c49b in pyo3::attach /some/one/.cargo/registry/src/an.index-1949cf8c6b5b557f/pyo3-0.28.3/src/marker.rs:415:9
    #3 0x7f3e4495c49b in <safetensors_rust::Open>::get_tensor bindings/python/src/lib.rs:901:21
    #4 0x7f3e4495c49c in safetensors::tensor::View::data safetensors/src/tensor.rs:12:3

SUMMARY: AddressSanitizer: heap-use-after-free bindings/python/src/lib.rs:901:21 in get_tensor
==4711==ABORTING
"""


@pytest.mark.parametrize(
    ("status", "said", "outcome", "aspect"),
    [
        (-signal.SIGSEGV, b"", "crash", "SIGSEGV/get_tensor"),
        (-signal.SIGXCPU, b"", "hang", "timeout/get_tensor"),
        (None, b"", "hang", "timeout/get_tensor"),
        (-signal.SIGABRT, b"memory allocation of 99 bytes failed\n", "memory", "allocation/get_tensor"),
        (-signal.SIGABRT, b"thread 'main' has overflowed its stack\n", "crash", "stack-overflow/get_tensor"),
        (1, REPORT, "crash", "heap-use-after-free/get_tensor"),
        (77, REPORT.replace(b"heap-use-after-free", b"BUS"), "crash", "SIGBUS/get_tensor"),
        (1, REPORT.replace(b"heap-use-after-free", b"allocation-size-too-big"), "memory", "allocation/get_tensor"),
        (1, b"memory allocation of 9 bytes failed\n==1==ERROR: AddressSanitizer: ABRT on\n", "memory", "allocation/get_tensor"),
    ],
)  # fmt: skip
def test_an_end_has_the_same_name_in_every_build(status: int | None, said: bytes, outcome: str, aspect: str) -> None:
    end = exit_reason.exit_reason(TARGET, PROGRAM, status, said, 3)
    assert (end.outcome, end.finding.kind, end.finding.aspect) == (outcome, outcome, aspect)


def test_a_report_is_cut_out_and_holds_nothing_of_the_machine() -> None:
    end = exit_reason.exit_reason(TARGET, PROGRAM, 1, REPORT, 3)
    assert end.place == "bindings/python/src/lib.rs:901"
    lines = end.report.splitlines()
    assert lines[0].startswith("ERROR: AddressSanitizer: heap-use-after-free")
    assert lines[-1].startswith("SUMMARY: AddressSanitizer")
    assert "    #1 in core::slice::copy library/core/src/slice.rs:12:5" in lines
    assert "    #2 in pyo3::attach pyo3-0.28.3/src/marker.rs:415:9" in lines
    for word in ("/some", "/rustc", "/somewhere", "registry", "4711", "0x7f3e"):
        assert word not in end.report


def test_a_panic_before_a_death_tells_its_place() -> None:
    end = exit_reason.exit_reason(
        TARGET, PROGRAM, -6, b"\nthread '<unnamed>' panicked at safetensors/src/tensor.rs:12:5:\nboom\n", 0
    )
    assert (end.place, end.finding.aspect) == ("safetensors/src/tensor.rs:12", "SIGABRT")


@pytest.mark.parametrize(
    ("steps", "number", "aspect"),
    [
        ([step("open"), step("cut"), step("get_tensor")], 3, "SIGBUS/get_tensor"),
        ([step("open"), step("get_slice"), step("cut"), step("read")], 4, "SIGBUS/read"),
        ([step("open"), step("cut"), step("get_tensors")], 3, "SIGBUS/get_tensors"),
        ([step("open"), step("cut"), step("get_tensor")], 1, "SIGBUS unforeseen/open"),
        ([step("open"), step("cut"), step("get_tensor")], 0, "SIGBUS unforeseen"),
        ([step("open"), step("get_tensor")], 2, "SIGBUS unforeseen/get_tensor"),
        ([step("open", 0, 0, 1), step("cut"), step("get_tensor")], 3, "SIGBUS unforeseen/get_tensor"),
        ([step("open"), step("cut", 1), step("get_tensor")], 3, "SIGBUS unforeseen/get_tensor"),
    ],
)
def test_a_sigbus_is_by_design_only_where_the_model_foresees_it(steps: list[Step], number: int, aspect: str) -> None:
    program = VOCABULARY.encode(steps)
    for status, said in ((-signal.SIGBUS, b""), (77, REPORT.replace(b"heap-use-after-free", b"BUS"))):
        assert exit_reason.exit_reason(TARGET, program, status, said, number).finding.aspect == aspect
    rule = known_findings.verdict(f"lifecycle|crash|crash|{aspect}")
    assert (rule is not None and rule.verdict == "by-design") == ("unforeseen" not in aspect)
    # Of any other signal there is nothing to foresee.
    assert "unforeseen" not in exit_reason.exit_reason(TARGET, program, -signal.SIGSEGV, b"", number).finding.aspect


THROWN = (
    b"terminate called after throwing an instance of 'common::enforce::EnforceNotMet'\n  what():  (InvalidArgument)\n"
)
# What a framework's own handler adds, whoever aborted.
HANDLER = (
    b"C++ Traceback (most recent call last):\nFatalError: `Process abort signal` is detected by the operating system.\n"
)


@pytest.mark.parametrize("name", ["paddle", "flax"])
@pytest.mark.parametrize(
    ("said", "aspect"),
    [
        (THROWN + HANDLER, UNCAUGHT),
        (b"", "SIGABRT/framing.length"),
        (HANDLER, "SIGABRT/framing.length"),
        (b"double free or corruption (out)\n" + HANDLER, "SIGABRT/framing.length"),
        (b"unsafe precondition(s) violated: slice::from_raw_parts requires the pointer to be aligned and non-null\n"
         b"thread caused non-unwinding panic. aborting.\n" + HANDLER, "SIGABRT/framing.length"),
        (b"tensor `terminate called after throwing` is odd\n", "SIGABRT/framing.length"),
        (THROWN + b"fatal runtime error: Rust cannot catch foreign exceptions, aborting\n", "SIGABRT/framing.length"),
    ],
)  # fmt: skip
def test_an_abort_is_a_framework_s_only_where_the_process_said_so(name: str, said: bytes, aspect: str) -> None:
    target = get_target(name)
    end = exit_reason.exit_reason(target, b"", -signal.SIGABRT, said)
    assert end.finding.aspect == aspect
    assert bool(target.about_another(f"{name}|crash|crash|{aspect}")) == (aspect == UNCAUGHT)
    rule = known_findings.verdict(f"paddle|crash|crash|{aspect}")
    assert (rule is not None) == (aspect == UNCAUGHT)


def test_a_copy_between_places_that_overlap_has_a_name_of_its_own():
    target = get_target("lifetimes")
    data = target.seeds()["written"]
    words = b"unsafe precondition(s) violated: ptr::copy_nonoverlapping requires that both pointer arguments are aligned and non-null"
    ends = b"\n\nThis indicates a bug.\nthread caused non-unwinding panic. aborting.\n"
    overlap = words + b" and the specified memory ranges do not overlap" + ends
    call = len(target.call_names(data))
    for said, sign in ((overlap, "SIGABRT at an overlap"), (words + ends, "SIGABRT")):
        end = exit_reason.exit_reason(target, data, -signal.SIGABRT, said, call)
        assert end.finding.aspect == f"{sign}/{target.call_names(data)[-1]}"


def test_how_a_process_ended_in_words():
    assert exit_reason.died_of(-11) == "SIGSEGV"
    assert exit_reason.died_of(3) == "exit status 3"
    assert exit_reason.died_of(-63) == "signal 63"


@pytest.mark.skipif(
    registry.read("0.8.0-address") is None, reason="no AddressSanitizer build: harness build --sanitizer address"
)
def test_the_sanitizers_report_has_symbols_and_the_death_the_name_of_the_plain_build() -> None:
    plain, checked = (
        replay.once(registry.find(None, flavour=flavour), "lifecycle", PROGRAM, 60) for flavour in ("wheel", "address")
    )
    assert plain.signatures == checked.signatures == ("lifecycle|crash|crash|SIGBUS/get_tensor",)
    assert checked.place.startswith("bindings/python/src/lib.rs:")
    assert "get_tensor" in checked.report
    assert not plain.report
