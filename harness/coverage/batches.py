"""Runs many inputs in child processes, and keeps the results of the others when an input kills its child.

A child writes its profile when it ends, so a killed child loses it. Inputs therefore run in batches. When a child dies, the
inputs before the fatal one run again in a fresh child, the fatal input is counted, and the rest goes on. A child is a
module whose ``__main__`` calls :func:`serve`.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import EngineError
from harness.parsers import runtime
from harness.replay.exit_reason import died_of
from harness.targets import scratch

#: Seconds one input may take in a child before it is killed.
TIMEOUT_S = 20.0
#: Inputs per process: bounds what runs again when one of them is fatal.
BATCH = 500

_SIZE = struct.Struct("<Q")


@dataclass(slots=True)
class Replayed:
    """``executed`` inputs, and ``(index, exit reason)`` of the inputs that ended their process."""

    executed: int = 0
    deaths: list[tuple[int, str]] = field(default_factory=list)


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def run(
    module: str,
    inputs: Sequence[bytes],
    settings: Mapping[str, Any],
    environment: Callable[[int], Mapping[str, str]] = lambda _: {},
    *,
    batch: int = BATCH,
    rerun: bool = True,
    workers: int = 1,
) -> Replayed:
    """Run ``inputs`` in processes ``python -m module``, each with ``settings`` and ``environment(its number)``.

    ``workers`` processes run at a time. With ``rerun``, inputs before a death run again: the child writes its result at its
    end. Raises EngineError when a child fails before its first input, or with an exception.
    """
    with tempfile.TemporaryDirectory(prefix="harness-inputs-") as name:
        packed = b"".join(_SIZE.pack(len(data)) + data for data in inputs)
        (Path(name) / "inputs").write_bytes(packed)
        spans = [(first, min(first + batch, len(inputs))) for first in range(0, len(inputs), batch)]
        runner = _Runner(module, settings, environment, Path(name), rerun)
        with ThreadPoolExecutor(max(1, min(workers, len(spans)))) as pool:
            try:
                parts = list(pool.map(runner.span, spans))
            except BaseException:
                # A failure, Ctrl-C or SIGTERM: no result is wanted any more.
                runner.stop()
                raise
    deaths = sorted(death for part in parts for death in part.deaths)
    return Replayed(sum(part.executed for part in parts), deaths)


@dataclass(slots=True)
class _Runner:
    """Runs spans of inputs, each in one process, and in more after a death."""

    module: str
    settings: Mapping[str, Any]
    environment: Callable[[int], Mapping[str, str]]
    folder: Path
    rerun: bool
    numbers: Iterator[int] = field(default_factory=itertools.count)
    stopped: threading.Event = field(default_factory=threading.Event)
    children: set[subprocess.Popen[bytes]] = field(default_factory=set)

    def stop(self) -> None:
        """Start no more processes, and kill those that run."""
        self.stopped.set()
        for child in list(self.children):
            child.kill()

    def span(self, span: tuple[int, int]) -> Replayed:
        result = Replayed()
        spans = [span]
        while spans and not self.stopped.is_set():
            first, last = spans.pop(0)
            number = next(self.numbers)
            own = self.folder / str(number)
            own.mkdir()
            spec = {"inputs": str(self.folder / "inputs"), "folder": str(own)}
            batch = {"first": first, "last": last, "process": number}
            status, said = self._child({**self.settings, **spec, **batch}, self.environment(number), own)
            if self.stopped.is_set():
                break
            if status == 0:
                result.executed += last - first
                continue
            at = _SIZE.unpack((own / "progress").read_bytes())[0] if (own / "progress").exists() else last
            # Status 1 is an uncaught Python exception: a defect of the harness or of the set-up, not of an input.
            if not first <= at < last or status == 1:
                raise EngineError(f"{self.module} ended with {died_of(status)}: {said}", hint="run `harness doctor`")
            result.deaths.append((at, died_of(status)))
            again = [(first, at)] if self.rerun and at > first else []
            result.executed += 0 if self.rerun else at - first
            spans = [*again, *([(at + 1, last)] if at + 1 < last else []), *spans]
        return result

    def _child(self, spec: Mapping[str, Any], environment: Mapping[str, str], folder: Path) -> tuple[int, str]:
        """The exit status of one process, and the end of its output."""
        base = {**os.environ, "RUST_BACKTRACE": "0", "PYTHONPATH": runtime.python_path()}
        base |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        # A child that is killed leaves its target's files behind.
        with scratch.for_child() as memory, (folder / "stderr").open("wb+") as said:
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", self.module, json.dumps(spec)],
                env=base | dict(environment) | memory,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
            self.children.add(child)
            if self.stopped.is_set():
                child.kill()
            child.wait()
            self.children.discard(child)
            said.seek(max(0, said.tell() - 2000))
            return child.returncode, said.read().decode(errors="replace").strip()


def serve(spec: Mapping[str, Any], run_one: Callable[[int, bytes], object]) -> None:
    """In the child: call ``run_one(index, input)`` for each input of the batch; write down the current index."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    folder = Path(spec["folder"])
    progress = os.open(folder / "progress", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for index, data in _unpack(Path(spec["inputs"]), spec["first"], spec["last"]):
            os.pwrite(progress, _SIZE.pack(index), 0)
            signal.setitimer(signal.ITIMER_REAL, TIMEOUT_S)
            run_one(index, data)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        os.close(progress)


def _unpack(path: Path, first: int, last: int) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        for index in range(last):
            size = _SIZE.unpack(file.read(_SIZE.size))[0]
            if index < first:
                file.seek(size, os.SEEK_CUR)
            else:
                yield index, file.read(size)
