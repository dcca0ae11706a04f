"""The parts of one file that tensor-parallel ranks and pipeline-parallel stages take, by programs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from functools import partial
from types import ModuleType
from typing import Any

from harness.observation import ACCEPT, REJECT, Event, Observation, Run, Trace, classify, observe
from harness.parsers import api
from harness.programs import arrays
from harness.targets.base import Language, ProgramTarget
from harness.targets.parallel import oracle, script
from harness.targets.parallel.program import VOCABULARY, Call, Program, decode
from harness.targets.scratch import OpenFiles


class Parallel(ProgramTarget):
    """Parts of tensors by rank and world size, layers by stage: put together they are the whole."""

    name = "parallel"
    drives = (
        ("values layout", "safe_open.get_slice safe_open.get_tensor PySafeSlice.__getitem__"),
        ("values", "safe_open.*keys"),
    )
    description = "get_slice(name)[start:stop] and get_tensor as parallel loaders call them, rank by rank, by programs"
    vocabulary = VOCABULARY
    guarded_every = 64
    oracles = (oracle.check,)
    language = Language(decode, script.explain, script.script)

    def open(self, safetensors: ModuleType | None) -> Run:
        """Prepare to run programs; each part that a rank takes is an event."""
        assert safetensors is not None
        return _Runner(safetensors).run

    def features(self, observation: Observation) -> Iterable[Hashable]:
        """Which split of which rank and dtype ended how, and where the parts lay."""
        trace = observation[2]
        if not isinstance(trace, Trace):
            return []
        found: set[Hashable] = set()
        for event in trace.events:
            call, number = event.about
            if not isinstance(call, Call):
                continue
            place = call.parts[number].place if call.parts else ""
            found.add((call.form, place, event.outcome))
            if call.tensor >= 0:
                _, dtype, shape, _ = trace.program.tensors[call.tensor]
                found.add((call.kind, dtype, event.outcome))
                found.add((call.kind, min(len(shape), 4), 0 in shape, place, len(trace.program.backends)))
        return found

    def seeds(self) -> dict[str, bytes]:
        """A program per kind of split."""
        step, encode = VOCABULARY.step, VOCABULARY.encode
        file = [step("tensor", 0, 4), step("tensor", 3, 8), step("tensor", 1, 21)]
        plans = {
            "columns": [*file, step("columns", 0, 3), step("columns", 2, 2, 1)],
            "rows": [*file, step("handles", 1), step("rows", 0, 0), step("rows", 2, 3, 3)],
            "last": [
                *file,
                step("handles", 1, 2),
                step("last", 2, 0),
                step("ellipsis", 1),
                step("all-of-the-rest", 0, 1),
            ],
            "fused": [*file, step("handles", 2, 1, 1), step("fused", 0, 1), step("fused", 2, 0, 1)],
            "padded": [*file, step("padded", 1, 0, 1), step("strided", 1, 2), step("strided", 2, 0, 1)],
            "replicated": [*file, step("replicated", 1, 2, 0), step("whole", 2)],
            "stages": [*file, step("handles", 3, 2), step("stages", 0, 1), step("stages", 3, 1, 1)],
            "more-ranks-than-rows": [*file, step("columns", 0, 5), step("columns", 0, 5, 2)],
        }
        return {name: encode(steps) for name, steps in plans.items()}


class _Runner:
    """One process' open files, and how each step is made."""

    def __init__(self, safetensors: ModuleType) -> None:
        self._safe_open = safetensors.safe_open
        self._api = api.of(safetensors)
        self._backends = self._api.has("safe_open(backend=)")
        self._documented: tuple[type[BaseException], ...] = (safetensors.SafetensorError,)
        self._files = OpenFiles()

    def run(self, data: bytes) -> Observation:
        program = decode(data)
        events: list[Event] = []
        try:
            files = self._handles(program)
        except BaseException as error:
            events.append(Event("safe_open", *classify(error, self._documented), (None, 0)))
            return observe(Trace(program, events))
        names = [name for name, *_ in program.tensors]
        lacking = bool(self._api.lacks)
        for call in program.calls:
            if lacking and not self._has(call):
                continue
            if call.kind == "stages":
                self._stages(call, files, events)
            elif call.kind == "whole":
                for number, file in enumerate(files):
                    self._attempt("get_tensor", call, number, partial(file.get_tensor, names[call.tensor]), events)
            else:
                self._parts(call, files, names[call.tensor], events, keep=program.keep)
        return observe(Trace(program, events))

    def _has(self, call: Call) -> bool:
        return self._api.has(f"safe_open.{call.form.partition('/')[0]}") and all(
            self._api.takes(part.index) for part in call.parts
        )

    def _parts(self, call: Call, files: list[Any], name: str, events: list[Event], *, keep: bool) -> None:
        refusal, count = self._documented[0], len(files)
        # A rank asks for a slice object once and keeps it, or asks again for every part.
        kept = [file.get_slice(name) for file in files] if keep else None
        for number, part in enumerate(call.parts):
            try:
                held = kept[part.rank % count] if kept else files[part.rank % count].get_slice(name)
                events.append(Event("get_slice", ACCEPT, "", held[part.index], (call, number)))
            except refusal as error:
                events.append(Event("get_slice", REJECT, str(error), error, (call, number)))
            except BaseException as error:
                events.append(Event("get_slice", *classify(error, self._documented), (call, number)))

    def _stages(self, call: Call, files: list[Any], events: list[Event]) -> None:
        by = call.form.partition("/")[0]
        for number, places in enumerate(call.stages):
            self._attempt("get_tensor", call, number, partial(_layers, files[number % len(files)], by, places), events)

    def _attempt(self, kind: str, call: Call, number: int, function: Callable[[], Any], events: list[Event]) -> None:
        try:
            events.append(Event(kind, ACCEPT, "", function(), (call, number)))
        except BaseException as error:
            events.append(Event(kind, *classify(error, self._documented), (call, number)))

    def _handles(self, program: Program) -> list[Any]:
        """The program's handles on its file."""
        key = program.tensors, program.backends
        files: list[Any] | None = self._files.get(key)
        return files or self._files.add(key, arrays.file(program.tensors), partial(self._open, program.backends))

    def _open(self, backends: tuple[str, ...], path: str) -> list[Any]:
        options = [{"backend": backend} if self._backends else {} for backend in backends]
        return [self._safe_open(path, framework="numpy", **option) for option in options]


def _layers(file: Any, by: str, places: tuple[int, ...]) -> dict[str, Any]:
    names = getattr(file, by)()
    return {names[place]: file.get_tensor(names[place]) for place in places}
