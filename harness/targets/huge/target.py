"""``huge``: headers up to and past 100 MB, buffers up to terabytes, made by small programs over sparse memory files.

The input is a program (:mod:`harness.targets.huge.program`), not a file. The right answer follows from how the
file was made, so the judge is not needed. Each run also measures the cost of the parser. The target runs outside the
usual limits on input and memory.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.findings.crashes import Crash
from harness.observation import ACCEPT, PANIC, RAISE, REJECT, Observation, Run, classify
from harness.parsers import api, runtime
from harness.programs import chance
from harness.programs.scripts import Script
from harness.targets.base import PROGRAM, Mutate, Target
from harness.targets.huge import reading, script
from harness.targets.huge.layout import Layout, build, write
from harness.targets.huge.mutator import mutate
from harness.targets.huge.oracle import DESERIALIZE, KEYS, OPEN, PREAD, READ, TIME_RATIO, Measured, check
from harness.targets.huge.program import KINDS, MAX_STEPS, STEP, decode, halved, seeds

#: Files up to this many bytes are also read whole and given to ``deserialize``.
DESERIALIZE_BYTES = 64 << 20
#: A header below this many bytes is not worth measuring: the noise of the allocator is larger.
MEASURED_BYTES = 1 << 20
#: CPU seconds, and CPU seconds per byte of header, above which a phase is measured again at half the size.
SLOW_SECONDS = 0.2
SLOW_PER_BYTE = 3e-7
_REPEATS = 3


class Huge(Target):
    """``safe_open`` by both backends and, where the file is small enough, ``deserialize``, on files that no disk would hold."""

    name = "huge"
    drives = (("size", "deserialize safe_open safe_open.get_tensor safe_open.*keys safe_open.metadata"),)
    description = "safe_open and deserialize on headers past 100 MB and sparse buffers of terabytes, made by programs"
    max_len = STEP * MAX_STEPS
    memory_mb = 4096
    input_kind = PROGRAM
    oracles = (check,)
    unit = STEP
    timeout_s = 60.0

    def open(self, safetensors: ModuleType | None) -> Run:
        """Prepare to run programs; their observations carry a :class:`Measured`, however they ended."""
        assert safetensors is not None
        driver = _Driver(safetensors)
        return driver.run

    def mutator(self) -> Mutate:
        """Its own mutator: operators on files have nothing to hold on to in a program."""
        return mutate

    def seeds(self) -> dict[str, bytes]:
        """A few programs to start from."""
        return seeds()

    def explain(self, data: bytes) -> str:
        """The program's steps in words, the sizes, and what the file deserves."""
        return describe(data)

    def script(self, data: bytes) -> Script:
        """The file of a program, and its phases."""
        return script.script(data)

    def reproducer(self, crash: Crash, data: bytes) -> str:
        """The code for an answer of one phase, or for a cost."""
        return script.reproducer(crash, data)


class _Driver:
    """The parser's entry points, run phase by phase."""

    def __init__(self, safetensors: ModuleType) -> None:
        self._safe_open = safetensors.safe_open
        self._deserialize = safetensors.deserialize
        self._preads = api.of(safetensors).has("safe_open(backend=)")
        self._refusal: type[Exception] = safetensors.SafetensorError
        self._meter = _Meter()
        # AddressSanitizer keeps freed memory, and puts red zones around each block.
        self._measures = not runtime.sanitized()
        # The first file that is opened imports numpy; that is no cost of that file.
        importlib.import_module("numpy")

    def run(self, program: bytes) -> Observation:
        steps = decode(program)
        layout = build(steps)
        measured = Measured(layout)
        with _file(layout) as path:
            error = self._phases(path, measured)
        if isinstance(error, MemoryError):
            return RAISE, "MemoryError: ", error
        slow = [
            phase
            for phase, seconds in measured.seconds.items()
            if seconds > SLOW_SECONDS and seconds > SLOW_PER_BYTE * layout.header_size
        ]
        if slow:
            # The clock asked for these runs.
            chance.apart(lambda: self._measure_with_half(slow, layout, build(halved(steps)), measured))
        outcome, message = _worst(measured)
        return outcome, message, measured

    def _phases(self, path: str, measured: Measured) -> BaseException | None:
        """Run every phase on the file at ``path``; returns the exception that ended it early, if any."""
        layout = measured.layout
        held: list[Any] = []
        error = self._phase(OPEN, measured, lambda: held.append(self._safe_open(path, framework="numpy")))
        if error is None:
            with held.pop() as file:
                error = self._phase(KEYS, measured, lambda: _keys(file, measured))
                error = self._phase(READ, measured, lambda: _tensors(file, measured)) or error
            if self._preads:
                error = self._phase(PREAD, measured, lambda: self._by_pread(path, measured)) or error
        if layout.size <= DESERIALIZE_BYTES:
            data = Path(path).read_bytes()
            late = self._phase(DESERIALIZE, measured, lambda: held.append(self._deserialize(data)))
            if late is None:
                measured.deserialized = dict(held.pop())
                measured.wrong += reading.deserialized(measured.deserialized, layout)
            error = late or error
        return error

    def _by_pread(self, path: str, measured: Measured) -> None:
        with self._safe_open(path, framework="numpy", backend="pread") as file:
            measured.wrong += [(f"{PREAD}/{aspect}", words) for aspect, words in reading.pieces(file, measured.layout)]

    def _phase(self, phase: str, measured: Measured, action: Callable[[], object]) -> BaseException | None:
        layout = measured.layout
        before = self._meter.start() if self._measures and layout.header_size >= MEASURED_BYTES else None
        started = time.process_time()
        error: BaseException | None = None
        try:
            action()
        except BaseException as raised:
            error = raised
        measured.seconds[phase] = time.process_time() - started
        if before is not None:
            # Opening maps the file and touches its header; reading touches the data; deserialising copies its buffer.
            read = reading.touched(layout)
            own = {
                OPEN: layout.header_size,
                READ: read,
                PREAD: layout.header_size + read,
                DESERIALIZE: layout.data_size,
            }.get(phase, 0)
            measured.growth[phase] = self._meter.peak() - before - own
        if error is None:
            measured.ends[phase] = ACCEPT, ""
        elif isinstance(error, self._refusal):
            measured.ends[phase] = REJECT, str(error)
        else:
            outcome, message, _ = classify(error, ())
            measured.ends[phase] = outcome, message
        return error

    def _measure_with_half(self, phases: list[str], full: Layout, half: Layout, measured: Measured) -> None:
        """The least of a few CPU times of the file and of its half: noise only ever adds.

        The half is run once first: as long as the file took not much more than twice that, all is well.
        """
        if not 0.4 < half.header_size / full.header_size < 0.6:
            return  # the cost does not come from what is repeated
        halves = self._times(half, 1)
        phases = [phase for phase in phases if measured.seconds[phase] > TIME_RATIO * halves.get(phase, 0.0)]
        if not phases:
            return
        wholes = self._times(full, _REPEATS - 1)
        again = self._times(half, _REPEATS - 1)
        for phase in phases:
            whole = min(measured.seconds[phase], wholes.get(phase, measured.seconds[phase]))
            if phase in halves:
                measured.slower[phase] = whole, min(halves[phase], again.get(phase, halves[phase]))

    def _times(self, layout: Layout, repeats: int) -> dict[str, float]:
        """The least CPU seconds of every phase."""
        times: dict[str, float] = {}
        with _file(layout) as path:
            for _ in range(repeats):
                measured = Measured(layout)
                self._phases(path, measured)
                for phase, seconds in measured.seconds.items():
                    times[phase] = min(seconds, times.get(phase, seconds))
        return times


def _keys(file: Any, measured: Measured) -> None:
    measured.keys = file.keys()
    measured.offset_keys = file.offset_keys() if hasattr(file, "offset_keys") else None
    measured.metadata = file.metadata()


def _tensors(file: Any, measured: Measured) -> None:
    measured.wrong = reading.read(file, measured.layout)


def _worst(measured: Measured) -> tuple[str, str]:
    """How the run ended: a panic before an undocumented error before what ``open`` said."""
    ends = list(measured.ends.values())
    for bad in (PANIC, RAISE):
        for outcome, error in ends:
            if outcome == bad:
                return outcome, error
    for outcome, error in ends:
        if outcome == REJECT:
            return outcome, error
    return ACCEPT, ""


@contextlib.contextmanager
def _file(layout: Layout) -> Iterator[str]:
    """A memory file that holds ``layout``: a new one each time, so that no mapping of it can outlive a shrinking."""
    descriptor = os.memfd_create("huge-input")
    try:
        write(layout, descriptor)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


class _Meter:
    """Peak resident memory of this process between two points, from Linux' own high-water mark."""

    def __init__(self) -> None:
        libc = ctypes.CDLL(None)
        # glibc keeps what was freed; giving it back makes two measurements of the same run agree. Others have no such call.
        self._trim: Callable[[int], object] = getattr(libc, "malloc_trim", int)

    def start(self) -> int | None:
        """Resets the mark and returns the resident bytes now; None where the kernel does not let us."""
        self._trim(0)
        try:
            with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
                file.write("5")
        except OSError:
            return None
        return self._status("VmRSS:")

    def peak(self) -> int:
        """Highest resident bytes since :meth:`start`."""
        return self._status("VmHWM:")

    @staticmethod
    def _status(field_name: str) -> int:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith(field_name)) * 1024


def materialise(program: bytes, path: Path) -> None:
    """Write the file that ``program`` stands for to ``path`` (sparse where the file system can). Raises OSError."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o644)
    try:
        write(build(decode(program)), descriptor)
    finally:
        os.close(descriptor)


def describe(program: bytes) -> str:
    """The program in words: its steps, then the file they make and what it deserves."""
    steps = decode(program)
    layout = build(steps)
    lines = [f"{step.amount:>20,} {KINDS[step.kind].words} (variant {step.variant})" for step in steps]
    deserves = f"to be refused by {layout.rule} ({layout.cause})" if layout.rule else "to be accepted"
    lines.append(f"length prefix {layout.prefix:,}, header {layout.header_size:,} bytes, file {layout.size:,} bytes")
    lines.append(
        f"{len(layout.names):,} tensors of {layout.data_size:,} bytes, {len(layout.metadata or {}):,} metadata entries"
    )
    lines.append(f"deserves {deserves}")
    return "\n".join(lines) + "\n"
