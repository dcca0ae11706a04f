"""``get_slice`` with every kind of index that numpy takes, and the calls around it, as small programs on small files."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from functools import partial
from types import ModuleType
from typing import Any

from harness.observation import (
    ACCEPT,
    REJECT,
    Event,
    Observation,
    Run,
    Trace,
    attempt,
    classify,
    observe,
)
from harness.parsers import api
from harness.programs import arrays, progress
from harness.programs.steps import Step
from harness.targets.base import Language, ProgramTarget
from harness.targets.scratch import OpenFiles
from harness.targets.slices import oracle, script
from harness.targets.slices.program import VOCABULARY, Call, decode, wide


class Slices(ProgramTarget):
    """Parts of tensors, compared with numpy's parts of the same arrays."""

    name = "slices"
    description = "safe_open(...).get_slice(name)[index], get_shape, get_dtype, get_tensor(s), by programs"
    vocabulary = VOCABULARY
    guarded_every = 256
    oracles = (oracle.check,)
    language = Language(decode, script.explain, script.script)
    built_on = ("safe_open",)
    calls = ("get_tensor", "get_tensors", "get_slice")
    drives = (("values layout", "safe_open.get_slice safe_open.get_tensor* PySafeSlice.*"),)

    def open(self, safetensors: ModuleType | None) -> Run:
        """Prepare to run programs."""
        assert safetensors is not None
        return _Runner(safetensors).run

    def features(self, observation: Observation) -> Iterable[Hashable]:
        """Which kinds of subscripts ended how, on which rank and dtype; and which call followed which, with what end."""
        return features(observation)

    def seeds(self) -> dict[str, bytes]:
        """A program per kind of call and item."""
        step, encode = VOCABULARY.step, VOCABULARY.encode
        file = [step("tensor", 0, 3), step("tensor", 1, 16, 1), step("tensor", 2, 1, 2)]
        plans: dict[str, list[Step]] = {
            "whole": [*file, step("index"), step("get_tensor"), step("get_tensors")],
            "ranges": [*file, step("index"), step("range", 1, 3, 1), step("range", 0, 2)],
            "ints": [*file, step("index", 1), step("int", 0), step("int", 0), step("range", 0, 0, 2)],
            "ellipsis": [*file, step("index", 1), step("ellipsis"), step("int", 1)],
            "odd": [*file, step("index"), step("odd")],
            "pread": [step("pread"), *file, step("index", 1), step("range", 1, 2)],
            "about": [*file, step("get_shape"), step("get_dtype", 1), step("all_shapes"), step("no_such_tensor")],
            "scalar": [*file, step("index", 2), step("index", 2), step("ellipsis")],
        }
        return {name: encode(steps) for name, steps in plans.items()}

    def hazard(self, data: bytes) -> str:
        """Readers may run out of memory on a tensor with large dimensions and no elements."""
        return "SIGABRT/get_slice" if wide(data) else ""

    def call_names(self, data: bytes) -> list[str]:
        """The kinds of the calls of a program, in order."""
        return [call.kind for call in decode(data).calls]


def features(observation: Observation) -> list[Hashable]:
    """See :meth:`Slices.features`."""
    trace = observation[2]
    if not isinstance(trace, Trace):
        return []
    tensors = trace.program.tensors
    found: list[Hashable] = []
    before = ""
    for event in trace.events:
        call: Call = event.about
        outcome = event.outcome
        found.append((before, event.call, outcome))
        if call.tensor >= 0:
            _, dtype, shape, _ = tensors[call.tensor]
            found.append((event.call, call.form, outcome, event.error[:24]))
            if outcome == ACCEPT:
                found.append((event.call, dtype, min(len(shape), 4), 0 in shape, trace.program.backend))
        before = event.call
    return found


class _Runner:
    """One process' open files, and how each call is made."""

    def __init__(self, safetensors: ModuleType) -> None:
        self._safe_open = safetensors.safe_open
        self._api = api.of(safetensors)
        self._backends = self._api.has("safe_open(backend=)")
        self._documented: tuple[type[BaseException], ...] = (safetensors.SafetensorError,)
        # This target tests reading, so files stay open: opening them is another target's matter.
        self._files = OpenFiles()
        self._mark = progress.cell()

    def run(self, data: bytes) -> Observation:
        program = decode(data)
        key = program.tensors, program.backend
        events: list[Event] = []
        file = self._files.get(key)
        if file is None:
            options = {"backend": program.backend} if self._backends else {}
            opening = partial(self._safe_open, framework="numpy", **options)
            content = arrays.file(program.tensors)
            event = attempt(
                "safe_open", lambda: self._files.add(key, content, opening), self._documented, Call("safe_open", -1)
            )
            if event.outcome != ACCEPT:
                return observe(Trace(program, [event]))
            file = event.value
        refusal, tensors = self._documented[0], program.tensors
        mark, lacking = self._mark, bool(self._api.lacks)
        for number, call in enumerate(program.calls, 1):
            if lacking and not self._has(call):
                continue
            mark[0] = number
            name = tensors[call.tensor][0] if call.tensor >= 0 else "no such tensor"
            try:
                events.append(Event(call.kind, ACCEPT, "", _CALLS[call.kind](file, name, call), call))
            except refusal as error:
                events.append(Event(call.kind, REJECT, error.args[0], error, call))
            except BaseException as error:
                events.append(Event(call.kind, *classify(error, self._documented), call))
        return observe(Trace(program, events))

    def _has(self, call: Call) -> bool:
        return self._api.has(_NEEDS.get(call.kind, "")) and self._api.takes(call.index)


#: The parts of the API that calls need.
_NEEDS = {"get_tensors": "safe_open.get_tensors", "all_shapes": "safe_open.offset_keys"}
_CALLS: dict[str, Callable[[Any, str, Call], Any]] = {
    "get_slice": lambda file, name, call: file.get_slice(name)[call.index],
    "get_tensor": lambda file, name, call: file.get_tensor(name),
    "get_shape": lambda file, name, call: file.get_slice(name).get_shape(),
    "get_dtype": lambda file, name, call: file.get_slice(name).get_dtype(),
    "get_tensors": lambda file, name, call: file.get_tensors(),
    "all_shapes": lambda file, name, call: {key: file.get_slice(key).get_shape() for key in file.offset_keys()},
    "no_such_tensor": lambda file, name, call: getattr(file, call.source)(name),
}
