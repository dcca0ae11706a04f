"""The features of each input: :func:`features_of`, and its child ``python -m harness.coverage.features SPEC``.

A feature is an edge of the instrumented parser or a watched line of Python. It may also be a rule of the judge with the
parser's answer, or a combination of dtype, rank and emptiness. On a coverage build a feature is a counter of llvm-cov.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray

import harness.format
from harness.coverage import batches
from harness.coverage.batches import Replayed
from harness.coverage.reached import Reached, Writer
from harness.engine.worker.native import NativeCounters, load_address, section
from harness.findings.finding import normalise
from harness.format.judge import judge
from harness.observation import Observation
from harness.parsers import registry, runtime
from harness.parsers.registry import Parser
from harness.replay.child import limit_memory
from harness.targets.base import Target
from harness.targets.registry import get_target

# Least and most inputs per process: a process starts in half a second, with a framework in five.
_BATCH = (250, 2500)
_PROFILE = "__llvm_prf_cnts"


def features_of(
    parser: Parser | None, target: str, inputs: Sequence[bytes], profiles: Path | None = None
) -> tuple[Reached, Replayed]:
    """The features of each input on ``target``; none for an input that ends its process.

    ``parser`` is a sancov build, None for a target without parser, or a coverage build, whose profiles then go to the folder
    ``profiles``. Raises EngineError when the child cannot start.
    """
    with tempfile.TemporaryDirectory(prefix="harness-features-") as name:
        out = Path(name)
        found = (parser.name, str(parser.root)) if parser else None
        spec = {"parser": found, "target": target, "out": name}
        workers = batches.cores()
        batch = min(max(-(-len(inputs) // workers), _BATCH[0]), _BATCH[1])
        replayed = batches.run(
            "harness.coverage.features",
            inputs,
            spec,
            lambda process: {"LLVM_PROFILE_FILE": str((profiles or out) / f"{process}.profraw")},
            batch=batch,
            # A child writes each result at once, but its profile at its end.
            rerun=profiles is not None,
            workers=workers,
        )
        return Reached.read(sorted(out.glob("*.jsonl")), len(inputs)), replayed


class _Counters:
    """The edges of a sancov build, or the counters of a coverage build; none for a target without parser."""

    def __init__(self, parser: Parser | None, target: Target) -> None:
        self.measured = parser is not None and parser.flavour == "coverage"
        self.prefix = "count" if self.measured else "edge"
        self._table: NDArray[Any] = np.zeros(0, np.uint8)
        if parser is not None and self.measured:
            module = target.instrumented(parser)
            address, size = section(module, _PROFILE.encode())
            place = load_address(module) + address
            self._table = np.ctypeslib.as_array((ctypes.c_uint64 * (size // 8)).from_address(place))
        elif parser is not None:
            self._table = np.frombuffer(NativeCounters(target.instrumented(parser)).view, np.uint8)
        self.size = len(self._table)
        self._sum = self._table.copy()

    def clear(self) -> None:
        self._table[:] = 0

    def reached(self) -> bytes:
        if self.measured:
            self._sum += self._table
        return np.packbits(self._table != 0, bitorder="little").tobytes()

    def close(self) -> None:
        """Restore the sums that :meth:`clear` removed: the profile is of all inputs."""
        if self.measured:
            self._table[:] = self._sum


class _Lines:
    """The watched lines of Python that one input runs: the parser's, or the judge's for a target without parser."""

    def __init__(self, parser: Parser | None) -> None:
        folder = parser.site if parser else Path(str(harness.format.__file__)).parent
        self._root = f"{folder.resolve()}{os.sep}"
        self._met: set[tuple[str, int]] = set()
        self._known: dict[int, tuple[object, Any]] = {}

    def start(self) -> None:
        self._met.clear()
        sys.settrace(self._called)

    def stop(self) -> list[str]:
        sys.settrace(None)
        return [f"line {name}:{line}" for name, line in self._met]

    def _called(self, frame: FrameType, event: str, argument: object) -> Any:
        code = frame.f_code
        # By identity: a hash of a code object hashes all its constants. The reference keeps the identity unique.
        known = self._known.get(id(code))
        if known is None:
            path = code.co_filename
            own = self._tracer(path.removeprefix(self._root)) if path.startswith(self._root) else None
            known = self._known[id(code)] = code, own
        tracer = known[1]
        return None if tracer is None else tracer(frame, event, argument)

    def _tracer(self, name: str) -> Any:
        add = self._met.add

        def stepped(frame: FrameType, event: str, argument: object) -> Any:
            add((name, frame.f_lineno))
            return stepped

        return stepped


def meaning(data: bytes, observation: Observation, *, judged: bool) -> list[str]:
    """Semantic features of a run: outcome, rule, and content of a header. ``judged`` is False for programs."""
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
    """In the child: write the features of each input of the batch."""
    target = get_target(spec["target"])
    parser = registry.reopen(*spec["parser"]) if target.uses_parser else None
    run = target.open(runtime.load(parser) if parser else None)
    counters = _Counters(parser, target)
    lines = _Lines(parser)
    judged = target.judged or not target.uses_parser
    writer = Writer(Path(spec["out"]) / f"{spec['process']:06}.jsonl", counters.size, counters.prefix)
    limit_memory(target.memory_mb)

    def count(index: int, data: bytes) -> None:
        counters.clear()
        run(data)
        writer.put(index, counters.reached(), ())

    def describe(index: int, data: bytes) -> None:
        lines.start()
        counters.clear()
        observation = run(data)
        reached = counters.reached()
        names = lines.stop()
        names += meaning(data, observation, judged=judged)
        names += [f"feature {key}" for key in target.features(observation)]
        writer.put(index, reached, names)

    batches.serve(spec, count if counters.measured else describe)
    counters.close()
    writer.close()


if __name__ == "__main__":
    report(json.loads(sys.argv[1]))
