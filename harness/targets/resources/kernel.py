"""Copies of data, memory of small files and large headers, and standstills of other threads: measured and judged.

The kernel counts pages, and a thread's own CPU clock measures standstills. Limits come from upstream's texts and tests. Where these are
silent, a call is held against the same call of a peer: the newest release that is built as a wheel, in the same run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import paths
from harness.errors import EngineError
from harness.findings.finding import Finding
from harness.format.encode import encode_header
from harness.format.header import Tensor
from harness.parsers import registry, runtime
from harness.parsers.registry import Parser
from harness.targets.resources.calls import CALLS
from harness.targets.resources.oracle import COST, PER_TEXT

COPIES = "copies"
SPACE = "space"
STANDSTILL = "standstill"
#: The costs, each with its kinds of files.
SETTINGS = {COPIES: ("data",), SPACE: ("small", "header"), STANDSTILL: ("data",)}
WORDS = {"data": "a tensor of 32 MiB", "small": "a tensor of 4 bytes", "header": "4,096 and 32,768 tensors of no bytes"}

#: Bytes of the one tensor whose copies are counted: a copy stands out of all other memory.
DATA = 32 << 20
_ROW = 256
_COUNTS = (1 << 12, 1 << 15)
#: Bytes that a call on a small file may touch, and may map.
TOUCHED, MAPPED = 4 << 20, 32 << 20
#: Noise of the counts of large headers: a growing buffer doubles, and the allocator maps in steps.
_SLACK = 1 << 20

_LAZY = "Lazy loading: Can I inspect the file without loading everything ?"
_LOADED = "when you're loading a file you should never exceed the size of the file in memory"
_TO_FILE = "Writing directly to file reduces the need to allocate the whole amount to memory."
_OLDER = "release 0.7.0 held 3 copies"
#: Copies that a call may hold, with the sentence. Pages of a mapped file count as one.
HELD: dict[str, tuple[int, str]] = {
    **dict.fromkeys(("keys", "offset_keys", "metadata", "get_slice"), (0, _LAZY)),
    **dict.fromkeys(("deserialize", "numpy.load"), (1, _LOADED)),
    **dict.fromkeys(("serialize_file", "numpy.save_file"), (0, _TO_FILE)),
    **dict.fromkeys(("serialize", "numpy.save"), (3, _OLDER)),
    "safe_open": (0, _LAZY), "safe_open-pread": (0, _LAZY), "slice-first": (0, _LAZY),
    **dict.fromkeys(("get_tensor", "get_tensors", "numpy.load_file"), (2, _LOADED)),
    **dict.fromkeys(("get_tensor-pread", "get_tensors-pread", "numpy.load_file-pread"), (1, _LOADED)),
}  # fmt: skip
#: The largest share of a call in which other threads may stand still, by upstream's test of threads.
_RELEASES = "test_serialize_file_releases_gil: Test that serialize_file releases the GIL and can run concurrently."
STILL: dict[str, tuple[float, str]] = dict.fromkeys(("serialize_file", "numpy.save_file"), (0.6, _RELEASES))
#: A call stands still where a peer does not: the least share of the call, and the largest of the peer.
WORSE, BETTER = 0.85, 0.7

_CHILD = Path(__file__).with_name("kernel_child.py")
_LIMIT_S = 300.0


@dataclass(frozen=True, slots=True)
class Taken:
    """A call on one file: its end, bytes touched and mapped at the peak, shares of standstill; ``size`` of the header in bytes."""

    end: str
    size: int = 0
    touched: int = 0
    mapped: int = 0
    shares: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """One call at one cost in one setting, on the parser and on its peer ("" and none where there is no peer)."""

    call: str
    cost: str
    setting: str
    taken: tuple[Taken, ...]
    peer: str = ""
    by_peer: tuple[Taken, ...] = ()


def measured_calls(cost: str) -> tuple[str, ...]:
    """The calls that have this cost. Slices are left out of copies: their cost in bytes tells more."""
    return tuple(name for name in CALLS if cost == SPACE or name in HELD)


def peer_of(parser: Parser | None) -> Parser | None:
    """The newest release wheel that a parser is held against; None where there is none. A release is held against older ones."""
    if parser is None:
        return None
    itself = parser.manifest.get("source_hash") == f"release {parser.version}"
    mine = _number(parser.version)
    older = [
        one
        for one in registry.available()
        if one.flavour == "wheel"
        and one.manifest.get("source_hash") == f"release {one.version}"
        and not one.manifest.get("fixes")
        and not one.why_not_here()
        and (_number(one.version) < mine or (_number(one.version) == mine and not itself))
    ]
    return max(older, key=lambda one: _number(one.version), default=None)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def compare(site: Path, parser: Parser | None, cost: str, calls: Sequence[str]) -> list[Comparison]:
    """Measure calls on every file of a cost, with the library in ``site`` and with the peer of ``parser``.

    ``parser`` is the build in ``site``; None for a stand-in. Raises EngineError where the measuring process fails.
    """
    peer = peer_of(parser)
    instrumented = parser.name if parser is not None and parser.flavour != "wheel" else ""
    mine = _taken(site, instrumented, cost, calls)
    theirs = _taken(peer.site, "", cost, calls) if peer is not None else {}
    return [
        Comparison(call, cost, setting, taken, peer.name if peer is not None else "", theirs.get((call, setting), ()))
        for (call, setting), taken in mine.items()
    ]


def _taken(site: Path, parser: str, cost: str, calls: Sequence[str]) -> dict[tuple[str, str], tuple[Taken, ...]]:
    with tempfile.TemporaryDirectory(prefix="harness-kernel-") as name:
        folder = Path(name)
        files = {setting: _files(folder, setting) for setting in SETTINGS[cost]}
        places = [(call, setting) for call in calls for setting in SETTINGS[cost]]
        jobs = [
            {"setup": CALLS[call].setup, "code": CALLS[call].code, "path": str(path), "name": "t"}
            for call, setting in places
            for path, _ in files[setting]
        ]
        notes = iter(_notes(folder, site, parser, cost, jobs))
        found = {}
        for call, setting in places:
            rows = [(size, next(notes)) for _, size in files[setting]]
            found[call, setting] = tuple(
                Taken(
                    str(note["end"]), size, int(note.get("touched", 0)), int(note.get("mapped", 0)), tuple(note.get("shares", ()))
                )
                for size, note in rows
            )  # fmt: skip
        return found


def _files(folder: Path, setting: str) -> list[tuple[Path, int]]:
    """The files of a setting, each with the size of its header. Data is a hole in the file."""
    if setting == "header":
        rows = [[Tensor("t" if n == 0 else f"t{n}", "U8", (0,), 0, 0) for n in range(count)] for count in _COUNTS]
    elif setting == "small":
        rows = [[Tensor("t", "U8", (2, 2), 0, 4)]]
    else:
        rows = [[Tensor("t", "U8", (DATA // _ROW, _ROW), 0, DATA)]]
    made = []
    for number, tensors in enumerate(rows):
        path = folder / f"{setting}-{number}.safetensors"
        header = encode_header(tensors)
        path.write_bytes(header)
        os.truncate(path, len(header) + tensors[-1].end)
        made.append((path, len(header)))
    return made


def _notes(folder: Path, site: Path, parser: str, cost: str, jobs: list[dict[str, str]]) -> list[dict[str, Any]]:
    """The results of all jobs. A new process continues after a job that killed its process."""
    found: list[dict[str, Any]] = []
    environment = {**os.environ, "RUST_BACKTRACE": "0", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
    environment |= {"HARNESS_HOME": str(paths.home()), "PYTHONPATH": runtime.python_path(), "PYTHONHASHSEED": "0"}
    while len(found) < len(jobs):
        asked, notes = folder / "jobs.json", folder / "results.jsonl"
        asked.write_text(json.dumps(jobs[len(found) :]))
        notes.write_text("")
        command = [sys.executable, "-P", str(_CHILD), cost, str(site), parser, str(asked), str(notes)]
        try:
            run = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=False, timeout=_LIMIT_S
            )
            status, said = run.returncode, run.stderr
        except subprocess.TimeoutExpired:
            status, said = 0, ""
        more = [json.loads(line) for line in notes.read_text().splitlines()]
        if not more and status > 0:
            raise EngineError(f"{cost} cannot be measured: {said.strip()[-800:]}", hint="harness doctor")
        found += more
        if len(found) < len(jobs):
            found.append({"end": "died"})
    return found


# -- judgement ------------------------------------------------------------------------------------------------


def judge(one: Comparison) -> list[Finding]:
    """The findings about one call at one cost."""
    if any(taken.end != "ok" for taken in one.taken):
        return []
    peers = one.by_peer if one.by_peer and all(taken.end == "ok" for taken in one.by_peer) else ()
    if one.cost == COPIES:
        return _copies(one, peers)
    if one.cost == STANDSTILL:
        return _standstill(one, peers)
    return _header(one, peers) if one.setting == "header" else _small(one, peers)


def _found(one: Comparison, how: str, words: str, kind: str = "memory") -> list[Finding]:
    return [Finding(COST.member(one.call), f"{one.setting}/{how}", f"{one.call}, {words}", kind)]


def copies(taken: Taken) -> int:
    """How many copies of the data a call held at once, to the nearest whole number."""
    return round(taken.touched / DATA)


def _copies(one: Comparison, peers: Sequence[Taken]) -> list[Finding]:
    count = copies(one.taken[0])
    words = f"{WORDS['data']}: {count} copies held at once"
    limit, sentence = HELD[one.call]
    if count > limit:
        return _found(one, "copies", f"{words}, not {limit} ({sentence})")
    if peers and count > copies(peers[0]):
        return _found(one, "copies", f"{words}, and {copies(peers[0])} by {one.peer}")
    return []


def _small(one: Comparison, peers: Sequence[Taken]) -> list[Finding]:
    found = []
    for how, limit in (("touched", TOUCHED), ("mapped", MAPPED)):
        count = getattr(one.taken[0], how)
        if count > limit + (getattr(peers[0], how) if peers else 0):
            found += _found(one, how, f"{WORDS['small']}: {count:,} bytes {how}")
    return found


def _header(one: Comparison, peers: Sequence[Taken]) -> list[Finding]:
    found = []
    first, last = one.taken
    for how in ("touched", "mapped"):
        grown = getattr(last, how) - getattr(first, how)
        if grown > PER_TEXT * (last.size - first.size) + _SLACK:
            ratio = grown / (last.size - first.size)
            found += _found(one, how, f"{WORDS['header']}: {ratio:.0f} bytes {how} per byte of header")
    return found


def _standstill(one: Comparison, peers: Sequence[Taken]) -> list[Finding]:
    if not one.taken[0].shares:
        return []
    least = min(one.taken[0].shares)
    words = f"{WORDS['data']}: another thread stands still for {least:.0%} of the call at least"
    limit, sentence = STILL.get(one.call, (1.1, ""))
    if least > limit:
        return _found(one, "standstill", f"{words} ({sentence})", "time")
    if least >= WORSE and peers and peers[0].shares and min(peers[0].shares) <= BETTER:
        return _found(one, "standstill", f"{words}, and {min(peers[0].shares):.0%} by {one.peer}", "time")
    return []
