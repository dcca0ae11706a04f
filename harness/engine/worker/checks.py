"""Start-up checks that every part of a worker is live: counters, mutator and seeds.

``LD_PRELOAD`` switches the mutator off without a message. libFuzzer does not read the counters of a module that was loaded
before its symbols. A parser built without flags has no counters. A worker that fails a check ends with status 3 and the
advice to run ``harness doctor``.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.engine.worker.native import NativeCounters
from harness.errors import EngineError
from harness.observation import Run
from harness.parsers.registry import Parser
from harness.targets.base import Target

ADVICE = "run `harness doctor`: it says which part is missing and how to repair it"

#: Inputs that a target without seeds may run before one of them must reach the parser.
TRIED = 1000

_LOADED = re.compile(rb"INFO: Loaded \d+ modules?\s+\(\d+ inline 8-bit counters\): ([^\n]*)")
_TABLE = re.compile(rb"(\d+) \[0x")
_INITED = re.compile(rb"#\d+\s+INITED cov: (\d+) ft: (\d+) corp: (\d+)")
_MUTATOR = b"found LLVMFuzzerCustomMutator"

# Two inputs that every parser of the format tells apart: no header, and the smallest header.
_NOTHING = b""
_SMALLEST = b"\x02\0\0\0\0\0\0\0{}"


class ParserWatch:
    """Whether an input has reached the parser yet, for a target that takes programs: no known input tells beforehand."""

    def __init__(self, counters: NativeCounters) -> None:
        self._counters = counters
        self.reached = False

    def wrap(self, execute: Callable[[bytes], None]) -> Callable[[bytes], None]:
        """``execute``, with a look at the counters after each run until one has reached the parser."""

        def watched(data: bytes) -> None:
            execute(data)
            if not self.reached:
                self.reached = self._counters.touched()

        return watched

    def error(self, target: Target, executions: int, *, seeds: int) -> EngineError | None:
        """The error of a target whose ``executions`` should have reached the parser and have not, else None.

        ``seeds`` of them are seeds. Without any, :data:`TRIED` inputs are tried first.
        """
        if self.reached or executions < (1 if seeds else TRIED):
            return None
        return EngineError(
            f"target {target.name} does not reach the parser: its first {executions} inputs run no code of it",
            hint=f"mend {type(target).__module__}: its run must call the module that open() was given. A target that tests "
            "something else sets uses_parser = False",
        )


def check_native(parser: Parser, target: Target, run: Run, module: Any) -> int:
    """The number of edges that a known input reaches and an empty one does not.

    Raises EngineError where there are none. It blames the target if ``module``, the loaded parser, reaches some by itself, else
    the build.
    """
    gained = _gained(NativeCounters(target.instrumented(parser)), run)
    # For a target that takes programs, both inputs may do the same.
    if gained or not target.judged:
        return gained

    def direct(data: bytes) -> None:
        # The parser refuses an empty file with an error of its own.
        with contextlib.suppress(Exception):
            module.deserialize(data)

    if _gained(NativeCounters(parser.module), direct):
        raise EngineError(
            f"target {target.name} does not reach the parser: an empty file and the smallest file run the same code of it",
            hint=f"{parser.name} counts edges when it is called. Mend {type(target).__module__}: its run must hand each input "
            "to the parser, from the first one on. One that tests something else sets uses_parser = False",
        )
    raise EngineError(f"parser {parser.name} counts no edges on {target.name}", hint=ADVICE)


def _gained(counters: NativeCounters, run: Callable[[bytes], object]) -> int:
    """The number of edges that the smallest file reaches and no bytes do not."""
    reached = []
    for data in (_NOTHING, _SMALLEST):
        counters.clear()
        run(data)
        reached.append(counters.edges())
    counters.clear()
    return len(reached[1] - reached[0])


def check_log(log: Path, *, native: bool, semantic: int, seeds: int) -> str:
    """The missing part according to libFuzzer's log, or "".

    ``native``: whether the parser's table must be loaded. ``semantic``: the size of our table, 0 where it is not registered.
    Without ``seeds`` libFuzzer starts with an empty input and a line feed, which gain no edge as programs.
    """
    text = log.read_bytes()
    if _MUTATOR not in text:
        return "libFuzzer did not find the mutator"
    loaded = _LOADED.findall(text)
    # libFuzzer prints the line again when Python's counters join. The last one is complete.
    sizes = [int(size) for size in _TABLE.findall(loaded[-1])] if loaded else []
    if semantic and semantic not in sizes:
        return "libFuzzer did not load our semantic counters"
    if native and len([size for size in sizes if size != semantic]) < 1:
        return "libFuzzer did not load the parser's counters"
    started = _INITED.search(text)
    if seeds and (started is None or int(started[1]) == 0):
        return "the seeds gained no edge"
    return ""
