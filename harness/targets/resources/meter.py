"""Counts the cost of calls in child processes: instructions with valgrind, bytes with ``mtrace`` of glibc.

Neither needs a clock, and neither depends on the load of the machine. Bytes are equal in every run. Instructions differ by a
few per cent, because every process has new seeds for the hash tables of Rust.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import paths
from harness.errors import EngineError, HarnessError
from harness.mutate.growth import FAMILIES, Grown
from harness.targets.resources.calls import CALLS, Call
from harness.targets.resources.oracle import INSTRUCTIONS, Point

#: The library that records allocations, by its name for the loader. Before glibc 2.34 libc has this code.
_RECORDER = "libc_malloc_debug.so.0"
_CHILD = Path(__file__).with_name("meter_child.py")
_GET_VALGRIND = "apt-get install valgrind"
#: Seconds for one process of several hundred calls on a busy machine. An idle machine needs a fiftieth.
_LIMIT_S = 1800.0
DIED = "died"
SETUP = "setup: "


@dataclass(frozen=True, slots=True)
class Counted:
    """One call: its end, and its cost. ``peak`` is for bytes alone. ``end`` is ``died`` where the call killed its process."""

    end: str
    result: int = 0
    cost: int = 0
    peak: int = 0

    @property
    def lost(self) -> bool:
        """Whether the call killed its process, or its setup failed: then it has no cost."""
        return self.end == DIED or self.end.startswith(SETUP)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One call on one family. ``ends`` are the ends of its runs; ``points`` are the counted runs."""

    call: str
    family: str
    cost: str
    ends: tuple[str, ...]
    points: tuple[Point, ...]


def valgrind() -> str:
    """The path of valgrind. Raises HarnessError where it is not installed."""
    found = shutil.which("valgrind")
    if found is None:
        raise HarnessError("valgrind, which counts instructions, is not installed", hint=_GET_VALGRIND)
    return found


def measure(site: Path, cost: str, pairs: Sequence[tuple[str, str]], parser: str = "") -> list[Measurement]:
    """The costs (``instructions`` or ``bytes``) of (call, family) pairs, with the library in ``site``.

    ``parser`` is the name of the build where it is instrumented: then the process loads the fuzzer first, and instructions are
    not the users'. Raises HarnessError without valgrind, EngineError where the counting process fails.
    """
    with tempfile.TemporaryDirectory(prefix="harness-meter-") as name:
        folder = Path(name)
        made: dict[tuple[str, int], tuple[Grown, Path]] = {}
        jobs: list[tuple[Call, Grown, Path]] = []
        for call, family in pairs:
            for n in FAMILIES[family].sizes:
                if (family, n) not in made:
                    path = folder / f"{family}-{n}.safetensors"
                    grown = FAMILIES[family].make(n)
                    path.write_bytes(grown.data)
                    made[family, n] = grown, path
                jobs.append((CALLS[call], *made[family, n]))
        counted = iter(_count(folder, (str(site), parser), cost, jobs))
        return [
            _measured(call, family, cost, [next(counted) for _ in FAMILIES[family].sizes]) for call, family in pairs
        ]


def point(call: Call, grown: Grown, n: int, counted: Counted) -> Point:
    """The parts of one member of a family that ``call`` needs, and the cost of the call."""
    parts = {**grown.parts, "result": counted.result}
    text, data = (sum(parts[part] for part in kind) for kind in (call.text, call.data))
    return Point(n, len(grown.data), text, data, counted.cost, counted.peak)


def _measured(call: str, family: str, cost: str, counted: list[Counted]) -> Measurement:
    points = []
    last = counted[-1].end
    for n, one in zip(FAMILIES[family].sizes, counted, strict=True):
        # A failing call has another cost. The end on the largest member decides which runs count.
        if one.end == last and not one.lost:
            points.append(point(CALLS[call], FAMILIES[family].make(n), n, one))
    return Measurement(call, family, cost, tuple(one.end for one in counted), tuple(points))


def _count(folder: Path, library: tuple[str, str], cost: str, jobs: list[tuple[Call, Grown, Path]]) -> list[Counted]:
    """All jobs. A new process continues after a job that killed its process."""
    listed = [{"setup": c.setup, "code": c.code, "path": str(path), "name": g.name} for c, g, path in jobs]
    done: list[Counted] = []
    while len(done) < len(listed):
        done += _process(folder, library, cost, listed[len(done) :])
    return done


def _process(folder: Path, library: tuple[str, str], cost: str, jobs: list[dict[str, str]]) -> list[Counted]:
    """The jobs of one process, with the job that killed it."""
    asked, notes, record = (folder / name for name in ("jobs.json", "results.jsonl", "record"))
    asked.write_text(json.dumps(jobs))
    notes.write_text("")
    for old in folder.glob("record*"):
        old.unlink()
    environment = {**os.environ, "PYTHONHASHSEED": "0", "RUST_BACKTRACE": "0", "OPENBLAS_NUM_THREADS": "1"}
    # The loader resolves symbols at the start, not in the first call that needs one.
    environment["LD_BIND_NOW"] = "1"
    environment["HARNESS_HOME"] = str(paths.home())
    site, parser = library
    python = [sys.executable, "-I", str(_CHILD), cost, site, str(asked), str(notes), *filter(None, [parser])]
    if cost == INSTRUCTIONS:
        command = [
            valgrind(), "--tool=callgrind", "--dump-line=no", "-q", f"--callgrind-out-file={record}", "--zero-before=getppid",
            "--dump-before=getpgrp", *python,
        ]  # fmt: skip
    else:
        command = python
        environment |= {"PYTHONMALLOC": "malloc", "LD_PRELOAD": _RECORDER, "MALLOC_TRACE": str(record)}
    try:
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=_LIMIT_S)
        status, said = run.returncode, run.stderr
    except subprocess.TimeoutExpired:
        status, said = 0, ""
    found = [json.loads(line) for line in notes.read_text().splitlines()]
    if len(found) < len(jobs):
        if not found and status > 0:
            raise EngineError(f"{cost} cannot be counted: {said.strip()[-800:]}", hint="harness doctor")
        found.append({"end": DIED})
    if cost == INSTRUCTIONS:
        _add_dumps(found, record)
    return [Counted(**note) for note in found]


def _add_dumps(notes: list[dict[str, Any]], record: Path) -> None:
    """Add the counts of callgrind to the notes. Dump 1 is of the first pair of marks, with nothing in between."""
    number = 1
    for note in notes:
        if Counted(**note).lost:
            continue
        number += 1
        text = record.with_name(f"{record.name}.{number}").read_text()
        # Not "totals": these count new code between the marks twice.
        note["cost"] = int(re.findall(r"^summary: (\d+)$", text, re.MULTILINE)[0])
