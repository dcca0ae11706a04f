"""The smallest example of each bug, run with the bug on and off: is it real, and counted?

The examples are for this check alone. They are no seeds, and no campaign sees them.
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

from harness.bench.range.bugs import Bug
from harness.bench.range.counts import Counts, environment
from harness.errors import HarnessError
from harness.parsers import runtime
from harness.parsers.registry import Parser

_PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Shown:
    """The example of a bug: its result without and with the bug, and the counts with it."""

    off: str
    on: str
    reached: int
    triggered: int

    @property
    def holds(self) -> bool:
        """Whether the bug shows, and is counted."""
        return self.off != self.on and self.triggered > 0


def results(parser: Parser, numbers: Sequence[int], switch: str = "", counts: Counts | None = None) -> dict[int, str]:
    """The results of the examples in one process. One that the process did not survive has the way it ended.

    Raises HarnessError where the process ends otherwise.
    """
    command = [sys.executable, "-m", "harness.bench.range.shown", parser.name, *map(str, numbers)]
    variables = {**os.environ, **runtime.environment(parser), **environment(switch, counts), "PYTHONHASHSEED": "0"}
    try:
        done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise HarnessError(f"examples of bugs {numbers} take too long", hint="run again on an idle machine") from error
    found: dict[int, str] = dict(map(json.loads, done.stdout.splitlines()))
    left = [number for number in numbers if number not in found]
    if done.returncode < 0 and left:
        return found | {left[0]: f"died of signal {-done.returncode}"}
    if done.returncode:
        raise HarnessError(
            f"the example of bug {left[:1]} failed: {done.stderr[-600:]}", hint="correct `shows` in bugs.toml"
        )
    return found


def check(parser: Parser, bugs: Sequence[Bug]) -> dict[int, Shown]:
    """Each example with its bug alone, and with none."""
    off = results(parser, [bug.number for bug in bugs])
    found = {}
    with tempfile.TemporaryDirectory(prefix="harness-range-") as folder:
        counts = Counts(Path(folder, "counts"))
        for bug in bugs:
            counts.reset()
            on = results(parser, [bug.number], str(bug.number), counts)
            found[bug.number] = Shown(off[bug.number], on[bug.number], *counts.read()[bug.number])
    return found
