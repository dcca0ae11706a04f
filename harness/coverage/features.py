"""What each input contributes, one by one: ``python -m harness.coverage.features SPEC`` and :func:`features_of`.

A feature is an edge of the instrumented parser, a line of Python under watch, a rule of the judge with the parser's answer, or
a combination of dtype, rank and emptiness: what the engine is paid for. Keeping a set of inputs with all features keeps
what a campaign that starts from them knows.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import harness.format
from harness.coverage import batches
from harness.coverage.batches import Replayed
from harness.engine.native import NativeCounters
from harness.format.judge import judge
from harness.oracles.base import normalise
from harness.parsers import registry, runtime
from harness.parsers.registry import Parser
from harness.targets import base
from harness.targets.base import Observation
from harness.triage.child import limit_memory

Features = frozenset[str]


def features_of(parser: Parser | None, target: str, inputs: Sequence[bytes]) -> tuple[list[Features | None], Replayed]:
    """The features of each input on ``target``, in order; None for those that end their process.

    ``parser`` is a sancov build, or None for a target that runs none. Raises EngineError when the child cannot start.
    """
    with tempfile.TemporaryDirectory(prefix="harness-features-") as name:
        out = Path(name) / "features"
        out.touch()
        spec = {"parser": parser.name if parser else "", "target": target, "out": str(out)}
        # Each result is written when it is known: a death loses nothing.
        replayed = batches.run("harness.coverage.features", inputs, spec, rerun=False)
        found: list[Features | None] = [None] * len(inputs)
        for line in out.read_text().splitlines():
            index, features = json.loads(line)
            found[index] = frozenset(features)
    return found, replayed


class _Watch:
    """Counts what one input reaches, in this process."""

    def __init__(self, parser: Parser | None) -> None:
        self._native = NativeCounters(parser.module) if parser else None
        folder = parser.site if parser else Path(str(harness.format.__file__)).parent
        self._root = f"{folder.resolve()}{os.sep}"
        self._lines: set[tuple[str, int]] = set()

    def start(self) -> None:
        """Forget the last input."""
        self._lines.clear()
        if self._native:
            self._native.clear()
        sys.settrace(self._called)

    def stop(self) -> list[str]:
        """What was reached since :meth:`start`."""
        sys.settrace(None)
        found = [f"line {name}:{line}" for name, line in self._lines]
        return found + [f"edge {edge}" for edge in self._native.edges()] if self._native else found

    def _called(self, frame: FrameType, event: str, argument: object) -> Any:
        if not frame.f_code.co_filename.startswith(self._root):
            return None
        self._lines.add((frame.f_code.co_filename.removeprefix(self._root), frame.f_lineno))
        return self._stepped

    def _stepped(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "line":
            self._lines.add((frame.f_code.co_filename.removeprefix(self._root), frame.f_lineno))
        return self._stepped


def meaning(data: bytes, observation: Observation, *, judged: bool) -> list[str]:
    """The semantic features of a run: what was answered and by which rule, and what an accepted header holds.

    ``judged`` is False for inputs that are programs.
    """
    outcome, error, _ = observation
    found = [f"answer {outcome} {normalise(error)}"]
    if not judged:
        return found
    judgement = judge(data)
    found.append(f"rule {judgement.rule} {judgement.aspect} {outcome}")
    header = judgement.header
    if header is not None:
        found.append(f"header {len(header.tensors).bit_length()} {header.metadata is not None} {header.size % 8 == 0}")
        found += [f"tensor {t.dtype} {min(len(t.shape), 6)} {0 in t.shape}" for t in header.tensors]
    return found


def report(spec: Mapping[str, Any]) -> None:
    """In the child: write a line ``[index, features]`` for each input of the batch."""
    target = base.get(spec["target"])
    parser = registry.find(spec["parser"]) if target.uses_parser else None
    run = target.open(runtime.load(parser) if parser else None)
    watch = _Watch(parser)
    out = os.open(spec["out"], os.O_WRONLY | os.O_APPEND)
    limit_memory(target.memory_mb)

    def run_one(index: int, data: bytes) -> None:
        watch.start()
        observation = run(data)
        reached = watch.stop()
        reached += meaning(data, observation, judged=target.judged or not target.uses_parser)
        reached += [f"feature {key}" for key in base.features(target, observation)]
        os.write(out, json.dumps([index, reached]).encode() + b"\n")

    batches.serve(spec, run_one)
    os.close(out)


if __name__ == "__main__":
    report(json.loads(sys.argv[1]))
