from __future__ import annotations

import pytest

from harness.parsers import build
from harness.parsers.probe import probe, read_log
from harness.parsers.registry import Parser


def test_the_engine_sees_into_an_instrumented_parser(sancov: Parser) -> None:
    seen = probe(sancov)
    assert (seen.mutator, seen.executed) == (True, True), seen.log
    assert seen.counters > 5000
    assert 50 < seen.edges < seen.counters


def test_the_engine_sees_nothing_of_a_plain_wheel(wheel: Parser) -> None:
    seen = probe(wheel)
    assert (seen.executed, seen.counters, seen.edges) == (True, 0, 0), seen.log


@pytest.mark.long
def test_address_sanitizer_and_the_mutator_are_live_together() -> None:
    seen = probe(build.build(flavour="address"))
    assert (seen.mutator, seen.executed) == (True, True), seen.log
    assert seen.counters > 5000
    assert seen.edges > 50


def test_a_mutator_that_is_not_heard_shows() -> None:
    """The log of a run under the documented preload: counters, but silence about the mutator."""
    log = "INFO: Running with entropic power schedule (0xFF, 100).\nINFO: Loaded 1 modules   (9003 inline 8-bit counters): 9003 [0x1, 0x2),\n"
    seen = read_log(
        log + "#2\tINITED cov: 73 ft: 74 corp: 1/1b\n#200\tDONE   cov: 99 ft: 100\nDone 200 runs in 0 second(s)\n"
    )
    assert (seen.mutator, seen.counters, seen.edges, seen.executed) == (False, 9003, 99, True)


def test_a_process_that_died_early_did_not_execute() -> None:
    seen = read_log("Traceback (most recent call last):\nImportError: undefined symbol: __sanitizer_cov_trace_cmp8\n")
    assert (seen.mutator, seen.counters, seen.edges, seen.executed) == (False, 0, 0, False)
