from __future__ import annotations

import ctypes
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.engine.worker.inner import InnerLoop, Novelty
from harness.engine.worker.semantics import SemanticCounters
from harness.engine.worker.tally import Tally
from harness.parsers import compilation
from harness.parsers.registry import Parser

# The number is not a multiple of the blocks that the library looks at.
EDGES = 77
# FuzzerTracePC.h: counts are grouped by these least members.
BUCKETS = (1, 2, 3, 4, 8, 16, 32, 128)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("novelty") / "novelty.so"
    compilation.compile_novelty(out)
    return out


def test_an_instrumented_build_has_the_library(sancov_parser: Parser, wheel_parser: Parser) -> None:
    assert sancov_parser.novelty.is_file()
    assert not wheel_parser.novelty.exists()


@given(runs=st.lists(st.dictionaries(st.integers(0, EDGES + 8), st.integers(1, 255), max_size=6), max_size=12))
def test_a_run_is_new_where_a_counter_is_in_a_bucket_for_the_first_time(
    library: Path, runs: list[dict[int, int]]
) -> None:
    counters = (ctypes.c_uint8 * EDGES)()
    semantic = SemanticCounters()
    native = SimpleNamespace(address=ctypes.addressof(counters), size=EDGES)
    novelty = Novelty(library, cast(Any, native), semantic)
    seen: set[tuple[int, int]] = set()
    for run in runs:
        for place, count in run.items():
            if place < EDGES:
                counters[place] = count
            else:
                semantic.table[place - EDGES] = count
        shown = {(place, sum(least <= count for least in BUCKETS)) for place, count in run.items()}
        assert novelty.take() == bool(shown - seen)
        seen |= shown
        assert not any(counters)
        assert not any(semantic.table)
    # Runs that are cleared away stay new.
    counters[0] = semantic.table[0] = 255
    novelty.clear()
    assert not any(counters)
    assert not any(semantic.table)
    assert not novelty.take()


class _Batch:
    """Gives the inputs of one batch, then begins anew."""

    def __init__(self, *inputs: bytes) -> None:
        self.ready = list(inputs)

    def __call__(self, data: bytes, max_size: int, seed: int) -> bytes:
        return self.ready.pop(0)


def _loop(batch: _Batch, new: set[bytes]) -> tuple[bytes, list[bytes]]:
    ran: list[bytes] = []
    novelty = SimpleNamespace(clear=lambda: None, take=lambda: ran[-1] in new)
    loop = InnerLoop(batch, batch, ran.append, cast(Any, novelty), Tally(staged=True))
    return loop(b"", 100, 1), ran


def test_the_last_input_of_a_batch_is_libfuzzer_s_and_the_others_have_run() -> None:
    assert _loop(_Batch(b"a", b"b", b"c"), set()) == (b"c", [b"a", b"b"])


def test_the_first_input_that_shows_something_new_is_libfuzzer_s_at_once() -> None:
    batch = _Batch(b"a", b"b", b"c")
    assert _loop(batch, {b"b"}) == (b"b", [b"a", b"b"])
    assert batch.ready == [b"c"]


def test_a_mutator_without_batches_runs_nothing_by_itself() -> None:
    assert _loop(_Batch(b"a"), {b"a"}) == (b"a", [])
