"""Leaks of a run: descriptors, mappings, objects and memory, counted over many runs of one input.

One run may keep something (a cache, an interned name); the second run of the same input may not keep it again. So each
input runs until it has warmed up, then in windows. A leak is a count that grows in every window, by at least one for each
run. The runs are made in this process: ask where it costs nothing (a replay, a kept input), not on every execution.
"""

from __future__ import annotations

import ctypes
import gc
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cache

from harness.findings.finding import Finding
from harness.findings.rule import Rule
from harness.findings.severity import DENIAL
from harness.observation import Run
from harness.oracles.oracle import Execution, oracle

WINDOWS = 3
#: Runs in a window, and half as many again before the first. A long look must confirm the suspicion of a quick one:
#: Python's own free lists and tables fill for a hundred runs and more, and then no further.
QUICK = 16
LONG = 160
#: The last look, before bytes alone are told: allocators keep what was freed for a while, and count it as given out.
LONGEST = 640
#: Seconds of a run, beyond which it is not repeated.
SLOW_S = 0.05
#: Bytes for each run, below which a growth is not told: glibc rounds every block up to 16 and keeps a header of 8.
_BYTES = 24


@dataclass(frozen=True, slots=True)
class Counts:
    """Resources that this process holds. ``blocks`` are Python's own small ones, ``bytes`` those the C library has given out."""

    descriptors: int
    mappings: int
    objects: int
    blocks: int
    bytes: int


class _Info(ctypes.Structure):
    """glibc's ``struct mallinfo2``."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"
        )
    ]  # fmt: skip


@cache
def _allocator() -> Callable[[], _Info] | None:
    """``mallinfo2``; None before glibc 2.33, and in other C libraries."""
    found = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if found is not None:
        found.restype = _Info
    return found


def count() -> Counts:
    """The resources that this process holds now. Raises OSError where there is no /proc."""
    gc.collect()
    ask = _allocator()
    info = ask() if ask is not None else None
    given = info.uordblks + info.hblkhd if info is not None else 0
    with open("/proc/self/maps", "rb") as maps:
        mappings = sum(1 for _ in maps)
    # One descriptor is that of the folder being listed.
    return Counts(
        len(os.listdir("/proc/self/fd")) - 1, mappings, len(gc.get_objects()), sys.getallocatedblocks(), given
    )


#: The text that speaks of cost.
DOS = (
    "Prevent DOS attacks: We can craft the format in such a way that it's almost impossible to use malicious files to "
    "DOS attack a user."
)
LEAKS = Rule(
    "leaks.*",
    "leaks",
    "memory",
    DENIAL,
    title="Each run leaves something behind",
    why="Each read of the file leaves something behind. A process that reads files for long enough runs out of descriptors, mappings or memory.",
    sentence=DOS,
    should="each run gives back the descriptors, mappings and memory that it took",
    check="leak",
    costly=True,
)


@oracle(LEAKS)
def check(execution: Execution) -> list[Finding]:
    """The findings on one input, which is run some fifty times, and five hundred times more where those leave something.

    However the runs end, what they keep is judged. Bytes that nothing else goes with are looked at once more, for longer. A run
    that takes longer than :data:`SLOW_S` is not repeated.
    """
    run, data = execution.run, execution.data
    assert run is not None
    began = time.process_time()
    run(data)
    if time.process_time() - began > SLOW_S:
        return []
    found = _look(run, data, QUICK) and _look(run, data, LONG)
    return _look(run, data, LONGEST) if found and found[0].aspect == "bytes" else found


def _look(run: Run, data: bytes, runs: int) -> list[Finding]:
    with _collection_paused():
        for _ in range(runs + runs // 2):
            run(data)
        counts = [count()]
        for _ in range(WINDOWS):
            for _ in range(runs):
                run(data)
            counts.append(count())
    return judge(counts, runs)


def judge(counts: list[Counts], runs: int) -> list[Finding]:
    """The leaks in counts taken after every ``runs`` runs."""
    found = []
    for name, rule, least in _COUNTS:
        values = [getattr(one, name) for one in counts]
        steps = [after - before for before, after in itertools.pairwise(values)]
        if min(steps) >= least * runs:
            each = (values[-1] - values[0]) / (runs * len(steps))
            text = f"every run leaves {each:,.1f} {name} behind: {values[0]:,} before, {values[-1]:,} after {runs * len(steps)} runs"
            found.append(Finding(LEAKS.member(rule), name, text))
    # An object that is kept keeps its blocks and bytes: the cause is told, not what follows from it.
    return found[:1]


# From cause to consequence: a mapping is made of a descriptor, an object holds either.
_COUNTS = (
    ("descriptors", "descriptors", 1),
    ("mappings", "mappings", 1),
    ("objects", "objects", 1),
    ("blocks", "objects", 1),
    ("bytes", "bytes", _BYTES),
)
assert {name for name, *_ in _COUNTS} == {field.name for field in fields(Counts)}


@contextmanager
def _collection_paused() -> Iterator[None]:
    """The collector runs where we say, and looks only at what is made from now on: both make counts repeat, and quick."""
    was = gc.isenabled()
    gc.disable()
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        if was:
            gc.enable()
