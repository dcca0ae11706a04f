"""The coverage of single runs: :func:`spectra`, and its child ``python -m harness.coverage.spectra SPEC``.

Each input runs in a fork of the child, judged in full. The counters of llvm-cov and of the parser's Python lines lie in
memory that the forks share with the child. So a run that dies leaves its coverage behind.
"""

from __future__ import annotations

import base64
import ctypes
import json
import mmap
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.coverage import batches
from harness.coverage.counts import Region
from harness.coverage.llvm import region_counts
from harness.engine.worker.native import load_address, section
from harness.errors import EngineError
from harness.observation import Observation, Run
from harness.parsers import registry, runtime
from harness.parsers.registry import Parser
from harness.programs import progress
from harness.replay.child import answer, limit_memory
from harness.replay.exit_reason import exit_reason
from harness.targets.base import Target
from harness.targets.registry import get_target

_PROFILE = "__llvm_prf_cnts"
_PAGE = mmap.PAGESIZE
# Rows of a table of Python lines: times run, and the number of the step at which an exception last passed.
_COUNT, _RAISED = range(2)
_SHARED, _FIXED, _ANONYMOUS = 0x01, 0x10, 0x20
_POLL_S = 0.0005
#: Seconds after which no further input runs: slow ones may take half a minute each.
BUDGET_S = 60.0

# A number of llvm-cov holds several runs. Each has the digits of its largest count, and some for sums. llvm-profdata refuses
# numbers above 2**56.
_BITS, _FOR_SUMS = 56, 4

Counts = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Runs:
    """The measurements of a child: a row per input that ran.

    ``signatures`` are those of all findings of a run. ``rust`` has the counters of llvm-cov. ``lines`` counts how often each
    Python line ran; ``files`` has the place of each file's first line. ``raised`` is the number of the step at which an
    exception passed a line. ``profile`` is a raw profile, in which ``pattern`` stands for the counters. ``loaded`` has the
    counters of llvm-cov from before the first input.
    """

    signatures: list[tuple[str, ...]]
    rust: Counts
    lines: Counts
    raised: Counts
    files: list[tuple[str, int]]
    profile: bytes
    pattern: bytes
    loaded: Counts


def spectra(
    build: Parser,
    target: str,
    inputs: Sequence[bytes],
    signature: str = "",
    *,
    relations: bool = False,
    oracles: bool = False,
    budget_s: float = BUDGET_S,
) -> Runs:
    """Run ``inputs`` on a coverage build, as many as ``budget_s`` allows. Raises EngineError when the child cannot start.

    A finding of ``signature`` may be about another spelling of its input: the run of that is measured too. With ``oracles``
    the runs are measured that oracles make. With ``relations``, the costly oracles are asked
    (:class:`harness.replay.replay.Replayer`).
    """
    with tempfile.TemporaryDirectory(prefix="harness-spectra-") as name:
        folder = Path(name)
        found = (build.name, str(build.root))
        spec = {
            "parser": found, "target": target, "out": name, "signature": signature, "relations": relations,
            "oracles": oracles, "budget_s": budget_s,
        }  # fmt: skip
        profile = folder / "profraw"
        batches.run(
            "harness.coverage.spectra", inputs, spec, lambda _: {"LLVM_PROFILE_FILE": str(profile)}, batch=len(inputs)
        )
        told = json.loads((folder / "told.json").read_text())
        python = np.load(folder / "python.npy")
        return Runs(
            [tuple(signatures) for signatures in told["runs"]],
            np.load(folder / "rust.npy"),
            python[:, _COUNT],
            python[:, _RAISED],
            [(path, first) for path, first in told["files"]],
            profile.read_bytes(),
            _pattern(told["counters"]).tobytes(),
            np.load(folder / "loaded.npy"),
        )


def regions(build: Parser, runs: Runs) -> tuple[list[tuple[str, Region]], Counts]:
    """The regions of the parser's own Rust files, and how often each run reached each: a row per run.

    llvm-cov takes one number per counter. So several runs share a profile, each with some digits of the number.
    """
    distinct, places = np.unique(runs.rust, axis=0, return_inverse=True)
    rows: dict[int, dict[tuple[str, Region], int]] = {}
    with tempfile.TemporaryDirectory(prefix="harness-spectra-") as name, ThreadPoolExecutor(batches.cores()) as pool:

        def count(numbered: tuple[int, tuple[list[int], int]]) -> None:
            number, (group, bits) = numbered
            folder = Path(name) / str(number)
            folder.mkdir()
            shifts = np.arange(len(group), dtype=np.uint64)[:, None] * np.uint64(bits)
            packed: Counts = (distinct[group] << shifts).sum(axis=0, dtype=np.uint64)
            profile = folder / "packed.profraw"
            profile.write_bytes(runs.profile.replace(runs.pattern, packed.tobytes()))
            counts = region_counts(build, [profile], folder)
            mask = (1 << bits) - 1 if len(group) > 1 else (1 << 64) - 1
            for digits, at in enumerate(group):
                rows[at] = {place: value >> digits * bits & mask for place, value in counts.items()}
            shutil.rmtree(folder)

        list(pool.map(count, enumerate(_groups([int(row.max(initial=0)) for row in distinct]))))
    names = sorted({place for row in rows.values() for place in row})
    table = np.array([[rows[at].get(place, 0) for place in names] for at in range(len(distinct))], np.uint64)
    return names, table[places.reshape(-1)]


def _groups(largest: Sequence[int]) -> Iterator[tuple[list[int], int]]:
    """Runs that share a profile, and the bits of each. ``largest`` has the largest count of each run."""
    waiting = sorted(range(len(largest)), key=largest.__getitem__, reverse=True)
    while waiting:
        bits = largest[waiting[0]].bit_length() + _FOR_SUMS
        together = max(_BITS // bits, 1)
        yield waiting[:together], bits
        del waiting[:together]


def _pattern(size: int) -> Counts:
    return np.arange(1 << 40, (1 << 40) + size, dtype=np.uint64)


class _Shared:
    """A table of numbers that forks share."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._memory = mmap.mmap(-1, max(8 * int(np.prod(shape)), 8))
        self.table: Counts = np.frombuffer(self._memory, np.uint64, int(np.prod(shape))).reshape(shape)


class _RustCounters:
    """The counters of a coverage build, moved into memory that forks share.

    Other data of the module lies on the same pages. :meth:`reset` undoes the changes of a fork there.
    """

    def __init__(self, module: Path) -> None:
        address, size = section(module, _PROFILE.encode())
        place = load_address(module) + address
        first = place // _PAGE * _PAGE
        length = -(-(place + size - first) // _PAGE) * _PAGE
        self._first, self._saved = first, ctypes.string_at(first, length)
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
        flags = _SHARED | _FIXED | _ANONYMOUS
        if libc.mmap(first, length, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0) != first:
            raise EngineError("the coverage counters cannot be shared", hint="harness doctor checks the set-up")
        ctypes.memmove(first, self._saved, length)
        self.table: Counts = np.ctypeslib.as_array((ctypes.c_uint64 * (size // 8)).from_address(place))
        self.loaded = self.table.copy()
        self.table[:] = 0
        self._saved = ctypes.string_at(first, length)

    def reset(self) -> None:
        """Restore the pages as they were."""
        ctypes.memmove(self._first, self._saved, len(self._saved))


class _PythonLines:
    """How often each line of the parser's Python files ran, and where exceptions passed, in memory that forks share."""

    def __init__(self, parser: Parser) -> None:
        self.files: list[tuple[str, int]] = []
        self._first: dict[str, int] = {}
        size = 0
        for path in sorted(parser.site.rglob("*.py")):
            self.files.append((str(path.relative_to(parser.site)), size))
            self._first[str(path.resolve())] = size
            size += len(path.read_bytes().splitlines()) + 2
        self.table = _Shared((2, size)).table
        self._steps = 0

    def start(self) -> None:
        threading.settrace(self._called)
        sys.settrace(self._called)

    def stop(self) -> None:
        sys.settrace(None)
        threading.settrace(None)

    def _called(self, frame: FrameType, event: str, argument: object) -> Any:
        first = self._first.get(frame.f_code.co_filename)
        if first is None:
            return None

        def stepped(frame: FrameType, event: str, argument: object) -> Any:
            at = first + frame.f_lineno
            self._steps += 1
            if event == "exception":
                self.table[_RAISED, at] = self._steps
            elif event == "line":
                self.table[_COUNT, at] += 1
            return stepped

        return stepped


class _Measurer:
    """Runs inputs in forks, and keeps what each left in the shared memory."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self.target: Target = get_target(spec["target"])
        self._parser = registry.reopen(*spec["parser"])
        self._cell = mmap.mmap(-1, 1)
        progress.use(memoryview(self._cell))
        self._open: Run = self.target.open(runtime.load(self._parser))
        self._signature = spec["signature"]
        self._relations, self._oracles = bool(spec["relations"]), bool(spec["oracles"])
        self.rust = _RustCounters(self.target.instrumented(self._parser))
        self.python = _PythonLines(self._parser)
        # The counters at the end of the run, before any oracle ran the input again. They stay empty where oracles are measured.
        self._ended = _Shared((1 + len(self.rust.table),)).table
        self.told: list[list[str]] = []
        self.counts: list[Counts] = []
        self.lines: list[Counts] = []
        limit_memory(self.target.memory_mb)
        self._deadline = time.monotonic() + spec["budget_s"]

    def _measured(self, data: bytes) -> Observation:
        self.rust.table[:] = 0
        self.python.start()
        try:
            return self._open(data)
        finally:
            self.python.stop()
            self._ended[1:] += self.rust.table
            self._ended[0] = 1

    def measure(self, data: bytes) -> None:
        """Run one input, unless the time is up."""
        if self.told and time.monotonic() > self._deadline:
            return
        signal.setitimer(signal.ITIMER_REAL, self.target.timeout_s + batches.TIMEOUT_S)
        self.rust.reset()
        self.python.table[:] = 0
        self._ended[:] = 0
        self._cell[0] = 0
        with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as told:
            child = os.fork()
            if not child:
                self._run(data, said.fileno(), told.fileno())
            status = _wait(child, self.target.timeout_s)
            answered = os.pread(told.fileno(), 1 << 24, 0)
            if answered:
                self.told.append(json.loads(answered))
            else:
                end = exit_reason(self.target, data, status, os.pread(said.fileno(), 1 << 16, 0), self._cell[0])
                self.told.append([end.finding.signature])
        self.counts.append((self._ended[1:] if self._ended[0] else self.rust.table).copy())
        self.lines.append(self.python.table.astype(np.uint32))

    def _run(self, data: bytes, said: int, told: int) -> None:
        """In the fork: run and judge. The other spelling of a finding is measured too."""
        status = 1
        try:
            os.dup2(said, 2)
            os.dup2(said, 1)
            waiting = [True]

            def run(data: bytes) -> Observation:
                return self._measured(data) if waiting and waiting.pop() else self._open(data)

            if self._oracles:
                self.python.start()
            reply = answer(self.target, self._open if self._oracles else run, data, relations=self._relations)
            names = [f"{self.target.name}|{kind}|{rule}|{aspect}" for _, kind, rule, aspect, _ in reply["findings"]]
            for name, variant in zip(names, reply["variants"], strict=True):
                if variant and name == self._signature:
                    self._measured(base64.b64decode(variant))
            os.write(told, json.dumps(names).encode())
            status = 0
        finally:
            os._exit(status)

    def save(self, folder: Path) -> None:
        np.save(folder / "rust.npy", np.array(self.counts, np.uint64))
        np.save(folder / "loaded.npy", self.rust.loaded)
        np.save(folder / "python.npy", np.array(self.lines, np.uint64))
        told = {"runs": self.told, "files": self.python.files, "counters": len(self.rust.table)}
        (folder / "told.json").write_text(json.dumps(told))
        self.rust.table[:] = _pattern(len(self.rust.table))


def _wait(child: int, seconds: float) -> int | None:
    """The exit status of ``child``; None where it took longer, and was killed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(_POLL_S)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return None


def main(spec: Mapping[str, Any]) -> None:
    """Measure the batch of ``spec``."""
    measurer = _Measurer(spec)
    batches.serve(spec, lambda _, data: measurer.measure(data))
    measurer.save(Path(spec["out"]))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
