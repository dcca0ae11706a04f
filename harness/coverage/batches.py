"""Many inputs through child processes that may die of them, without losing what the others reached.

A profile is written when its process ends; one that is killed takes it along. So inputs go in batches: when a child
dies, the inputs before the fatal one run again in a fresh child, the fatal one is left out and counted, and
the rest goes on. The child is any module whose ``main`` calls :func:`serve`.
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

import harness
from harness.errors import EngineError
from harness.replay.exit_reason import died_of

#: Seconds one input may take in a child before it is killed.
TIMEOUT_S = 20.0
#: Inputs per process: bounds what runs again when one of them is fatal.
BATCH = 500

_SIZE = struct.Struct("<Q")


@dataclass(slots=True)
class Replayed:
    """How a replay went: ``executed`` inputs, and ``(index, how it died)`` of those that ended their process."""

    executed: int = 0
    deaths: list[tuple[int, str]] = field(default_factory=list)


def cores() -> int:
    """How many children may run at a time: the processors that this process may use."""
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
    """Run ``inputs`` in processes ``python -m module``, each given ``settings`` and ``environment(its number)``.

    ``workers`` is how many run at a time. ``rerun`` is for children whose result comes at their end: what ran before a
    death is then run again. Raises EngineError when a child fails before it runs anything, or with an exception.
    """
    with tempfile.TemporaryDirectory(prefix="harness-inputs-") as name:
        _pack(Path(name) / "inputs", inputs)
        spans = [(first, min(first + batch, len(inputs))) for first in range(0, len(inputs), batch)]
        runner = _Runner(module, settings, environment, Path(name), rerun=rerun)
        with ThreadPoolExecutor(max(1, min(workers, len(spans)))) as pool:
            try:
                parts = list(pool.map(runner.span, spans))
            except BaseException:
                # One failed, or Ctrl-C: the others end with the input that they are at.
                runner.stopped.set()
                raise
    deaths = sorted(death for part in parts for death in part.deaths)
    return Replayed(sum(part.executed for part in parts), deaths)


class _Runner:
    """Runs spans of inputs, each in a process and, after a death, in as many as it takes."""

    def __init__(
        self,
        module: str,
        settings: Mapping[str, Any],
        environment: Callable[[int], Mapping[str, str]],
        folder: Path,
        *,
        rerun: bool,
    ) -> None:
        self._module = module
        self._settings = settings
        self._environment = environment
        self._folder = folder
        self._rerun = rerun
        self._numbers = itertools.count()
        self.stopped = threading.Event()

    def span(self, span: tuple[int, int]) -> Replayed:
        result = Replayed()
        spans = [span]
        while spans and not self.stopped.is_set():
            first, last = spans.pop(0)
            number = next(self._numbers)
            own = self._folder / str(number)
            own.mkdir()
            spec = {
                **self._settings, "inputs": str(self._folder / "inputs"), "folder": str(own),
                "first": first, "last": last, "process": number,
            }  # fmt: skip
            status, said = _child(self._module, spec, self._environment(number), own)
            if status == 0:
                result.executed += last - first
                continue
            at = _SIZE.unpack((own / "progress").read_bytes())[0] if (own / "progress").exists() else last
            # Status 1 is an uncaught exception in Python: a defect of ours or of the set-up, never an input's doing.
            if not first <= at < last or status == 1:
                raise EngineError(f"{self._module} ended with {died_of(status)}: {said}", hint="run `harness doctor`")
            result.deaths.append((at, died_of(status)))
            again = [(first, at)] if self._rerun and at > first else []
            result.executed += 0 if self._rerun else at - first
            spans = [*again, *([(at + 1, last)] if at + 1 < last else []), *spans]
        return result


def _pack(path: Path, inputs: Sequence[bytes]) -> None:
    with path.open("wb") as file:
        for data in inputs:
            file.write(_SIZE.pack(len(data)) + data)


def _child(module: str, spec: Mapping[str, Any], environment: Mapping[str, str], folder: Path) -> tuple[int, str]:
    base = {**os.environ, "RUST_BACKTRACE": "0", "PYTHONPATH": str(Path(harness.__file__).parents[1])}
    base |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with (folder / "stderr").open("wb+") as said:
        done = subprocess.run(
            [sys.executable, "-P", "-m", module, json.dumps(spec)],
            env=base | dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            check=False,
        )
        said.seek(max(0, said.tell() - 2000))
        return done.returncode, said.read().decode(errors="replace").strip()


def serve(spec: Mapping[str, Any], run_one: Callable[[int, bytes], object]) -> None:
    """In the child: call ``run_one(index, input)`` for each input of the batch, noting which one is under way."""
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
