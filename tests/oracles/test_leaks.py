"""A parser that keeps something of every run: the real one behind wrappers that do, on purpose."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from harness import corpus_store, paths
from harness.findings.finding import Finding
from harness.format.encode import pack
from harness.observation import Observation, Run
from harness.oracles import leaks
from harness.oracles.leaks import Counts
from harness.oracles.oracle import Execution
from harness.targets.base import Target
from harness.targets.files.deserialize import Deserialize
from harness.targets.files.safe_open import SafeOpen
from harness.targets.registry import get_target

FILE = pack([("a", "F32", (2,), bytes(8)), ("b", "U8", (0,), b"")], {"k": "v"})
REFUSED = b"\x02\0\0\0\0\0\0\0[]"
RAISES = pack([("a", "BF16", (1,), b"xy")], None)


@pytest.fixture
def kept() -> Iterator[list[Any]]:
    """What the liars keep; given back at the end."""
    held: list[Any] = []
    yield held
    for thing in held:
        if isinstance(thing, int):
            os.close(thing)


def descriptor() -> int:
    return os.open("/dev/null", os.O_RDONLY)


def mapping() -> mmap.mmap:
    # Neighbours of the same kind become one line of /proc/self/maps, so every other one is of another kind.
    mapping.count += 1  # type: ignore[attr-defined]
    return mmap.mmap(-1, 4096, prot=mmap.PROT_READ if mapping.count % 2 else mmap.PROT_READ | mmap.PROT_WRITE)  # type: ignore[attr-defined]


mapping.count = 0  # type: ignore[attr-defined]


def block() -> ctypes.c_void_p:
    """Memory that only the C library knows of, as native code would lose it."""
    allocate = ctypes.CDLL(None).malloc
    allocate.restype = ctypes.c_size_t
    LOST.append(allocate(5000))
    return ctypes.c_void_p()


LOST: list[int] = []


def left(run: Run, data: bytes) -> list[Finding]:
    """What the oracle says of the runs of ``data``."""
    return leaks.check(Execution(data, run(data), run=run))


@pytest.mark.parametrize("target", [Deserialize(), SafeOpen()])
@pytest.mark.parametrize("data", [FILE, REFUSED, RAISES], ids=["accepted", "refused", "raising"])
def test_the_honest_parser_keeps_nothing(safetensors: ModuleType, target: Target, data: bytes):
    assert left(target.open(safetensors), data) == []


@pytest.mark.parametrize(
    ("lose", "rule"),
    [
        (descriptor, "leaks.descriptors"),
        (mapping, "leaks.mappings"),
        (dict, "leaks.objects"),
        (bytearray, "leaks.objects"),
    ],
)
@pytest.mark.parametrize("data", [FILE, REFUSED], ids=["accepted", "refused"])
def test_what_is_kept_is_found(
    safetensors: ModuleType, kept: list[Any], lose: Callable[[], Any], rule: str, data: bytes
):
    honest = SafeOpen().open(safetensors)

    def run(data: bytes) -> Observation:
        kept.append(lose())
        return honest(data)

    (found,) = left(run, data)
    assert (found.oracle, found.kind, found.rule.name) == ("leaks", "memory", rule)
    assert "every run leaves" in found.summary


def test_memory_that_only_the_c_library_knows_of(safetensors: ModuleType):
    honest = Deserialize().open(safetensors)
    # Room for the addresses beforehand: the list that holds them must not grow meanwhile.
    LOST[:] = [0] * 4000
    at = iter(range(4000))
    allocate = ctypes.CDLL(None).malloc
    allocate.restype = ctypes.c_size_t

    def run(data: bytes) -> Observation:
        allocate(5000)
        next(at)
        return honest(data)

    (found,) = left(run, FILE)
    assert found.rule.name == "leaks.bytes"
    assert "5,008.0 bytes" in found.summary


def test_what_is_kept_once_is_no_leak(safetensors: ModuleType, kept: list[Any]):
    honest = SafeOpen().open(safetensors)
    cache: dict[bytes, bytearray] = {}

    def run(data: bytes) -> Observation:
        cache.setdefault(data, bytearray(100_000))
        if len(kept) < 20:
            kept.append(descriptor())
        return honest(data)

    assert left(run, FILE) == []


def test_growth_that_stops_or_is_less_than_one_per_run_is_none():
    def counts(*descriptors: int) -> list[Counts]:
        return [Counts(number, 10, 10, 10, 10) for number in descriptors]

    assert leaks.judge(counts(3, 19, 35, 35), 16) == []
    assert leaks.judge(counts(3, 18, 33, 48), 16) == []
    (found,) = leaks.judge(counts(3, 19, 35, 51), 16)
    assert found.summary == "every run leaves 1.0 descriptors behind: 3 before, 51 after 48 runs"


@pytest.mark.parametrize("name", ["deserialize", "safe_open"])
def test_no_committed_seed_leaks(safetensors: ModuleType, name: str):
    """A sample of the corpus, spread over it: accepted, refused and raising files alike."""
    target = get_target(name)
    run: Run = target.open(safetensors)
    seeds = corpus_store.list_seeds(paths.corpus_dir() / name).seeds[::10]
    assert len(seeds) > 10
    assert {seed: found for seed, data in seeds if (found := left(run, data))} == {}
