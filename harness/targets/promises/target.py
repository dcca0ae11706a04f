"""Promises beyond validity: how writers lay files out, and how public objects behave, as small programs."""

from __future__ import annotations

import importlib
import os
from collections.abc import Hashable, Iterable
from functools import lru_cache
from types import CodeType, ModuleType
from typing import Any

import numpy

from harness.observation import Observation, Run, Trace, attempt, observe
from harness.parsers import api
from harness.programs.steps import Step
from harness.targets import scratch
from harness.targets.base import Language, ProgramTarget
from harness.targets.promises import kit, oracle, script
from harness.targets.promises.program import STUB, TYPES, VOCABULARY, WRITTEN, Call, decode


class Promises(ProgramTarget):
    """Questions whose right answers no file decides."""

    name = "promises"
    drives = (
        ("values layout", "serialize serialize_file numpy.save numpy.save_file"),
        ("values", "SafetensorError TensorSpec TensorSpec.* safe_open safe_open.__*__ PySafeSlice.__getitem__"),
        ("state", "safe_open.__enter__ safe_open.__exit__"),
    )
    description = (
        "the layout of written files, pickling, copies, iteration, with statements and the type stub, by programs"
    )
    vocabulary = VOCABULARY
    oracles = (oracle.check,)
    language = Language(decode, script.explain, script.script)

    def open(self, safetensors: ModuleType | None) -> Run:
        """Prepare to ask questions, about one file in a folder of this process."""
        assert safetensors is not None
        if not hasattr(safetensors, "numpy"):
            importlib.import_module(f"{safetensors.__name__}.numpy")
        path = os.path.join(scratch.folder("promises"), "model.safetensors")
        with open(path, "wb") as file:
            file.write(script.FILE)
        helpers = {name: one for name, one in vars(kit).items() if not name.startswith("_")}
        fixed = {**helpers, "safetensors": safetensors, "numpy": numpy, "path": path, "FILE": script.FILE}
        documented = (safetensors.SafetensorError,)
        has = api.of(safetensors).has
        knows = api.of(safetensors).knows

        def run(data: bytes) -> Observation:
            program = decode(data)
            names = {**fixed, "TENSORS": program.tensors, "METADATA": program.metadata}
            known = knows(dtype for dtype, _ in program.tensors.values())
            events = []
            for call in program.calls:
                if not all(map(has, call.needs)) or (call.kind in WRITTEN and not known):
                    continue
                events.append(attempt(call.kind, lambda call=call: _answer(call, names), documented, call))  # type: ignore[misc]
            return observe(Trace(program, events))

        return run

    def features(self, observation: Observation) -> Iterable[Hashable]:
        """Each question with its answer, and how many tensors of which sizes were written."""
        trace = observation[2]
        if not isinstance(trace, Trace):
            return []
        found: list[Hashable] = []
        for event in trace.events:
            call: Call = event.about
            found.append((call.kind, call.about, event.outcome))
            if call.kind in WRITTEN:
                sizes = frozenset(kit.SIZES[dtype] for dtype, _ in trace.program.tensors.values())
                found.append((call.kind, len(trace.program.tensors), sizes))
        return found

    def seeds(self) -> dict[str, bytes]:
        """A program per kind of question."""
        step, encode = VOCABULARY.step, VOCABULARY.encode
        some = [step("tensor", 1, 0, 1), step("tensor", 2, 3, 0), step("tensor", 3, 1, 4), step("metadata", 1)]
        plans: dict[str, list[Step]] = {
            "save": [*some, *(step("save", number) for number in range(len(WRITTEN)))],
            "serialize": [*some, *(step("serialize", number) for number in range(len(WRITTEN)))],
            "files": [*some, step("save_file", 6), step("serialize_file", 6)],
            "names": [step("name", number) for number in range(10)],
            "copies": [step("copy", number, number % 3) for number in range(7)],
            "questions": [step("ask", number, number) for number in range(7)],
            "items": [step("len"), step("len", 1), *(step("iterate", number) for number in range(4))],
            "with": [step("with", number, number % 2, number % 2) for number in range(5)],
            "types": [step("type", number) for number in range(min(len(TYPES), 12))],
            "specs": [step("spec", number) for number in range(3)],
            "stub": [step("stub", number) for number in range(len(STUB) + 1)[-12:]],
        }
        return {name: encode(steps) for name, steps in plans.items()}


@lru_cache(1 << 12)
def _code(source: str) -> CodeType:
    return compile(source, "<program>", "eval")


def _answer(call: Call, names: dict[str, Any]) -> Any:
    return eval(_code(call.source), names)  # noqa: S307 - text of the language's own
