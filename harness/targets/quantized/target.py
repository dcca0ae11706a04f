"""Files of quantised weights: dtypes that numpy lacks, elements of less than a byte, and the packed integers of GPTQ and AWQ."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any

import numpy

from harness.observation import (
    ACCEPT,
    REJECT,
    Event,
    Observation,
    Run,
    Trace,
    attempt,
    classify,
    describe,
    observe,
)
from harness.parsers import api
from harness.programs.arrays import NUMPY_NAMES
from harness.programs.frameworks import FRAMEWORKS, Tensors
from harness.targets.base import Language, ProgramTarget
from harness.targets.quantized import oracle, script
from harness.targets.quantized.program import LENT, VOCABULARY, Call, Program, decode, file
from harness.targets.scratch import OpenFiles

_OPENING = Call("safe_open", -1)
_BYTE = numpy.dtype("uint8")


class Quantized(ProgramTarget):
    """Bytes in, the same bytes out, whatever the dtype; parts of sub-byte tensors right or refused."""

    name = "quantized"
    drives = (("values", "deserialize safe_open.get_tensor* safe_open.get_slice PySafeSlice.*"),)
    description = "deserialize and safe_open on FP8, block-scaled, F4, F6, GPTQ and AWQ groups of tensors, by programs"
    vocabulary = VOCABULARY
    guarded_every = 64
    oracles = (oracle.check,)
    language = Language(decode, script.explain, script.script)
    built_on: tuple[str, ...] = ("slices", "safe_open")
    calls = ("get_tensor", "get_tensors", "get_slice")

    def open(self, safetensors: ModuleType | None) -> Run:
        """Prepare to run programs: a file that is to be refused is opened and deserialised, and nothing else."""
        assert safetensors is not None
        return self.runner(safetensors).run

    def runner(self, safetensors: ModuleType) -> _Runner:
        """The files and calls of one process."""
        return _Runner(safetensors)

    def features(self, observation: Observation) -> Iterable[Hashable]:
        """Each call with its dtype, rank, kind of part and end; each planted disagreement with its answer."""
        trace = observation[2]
        if not isinstance(trace, Trace):
            return []
        program: Program = trace.program
        found: set[Hashable] = {(program.awry[:2], program.valid, observation[0])}
        for event in trace.events:
            call: Call = event.about
            found.add((event.call, event.outcome, event.error[:24], program.lend))
            if call.tensor >= 0:
                held = program.tensors[call.tensor]
                found.add((event.call, held.dtype, event.outcome, program.lend, program.backend))
                found.add((event.call, held.dtype, len(held.shape), 0 in held.shape, event.outcome))
        return found

    def seeds(self) -> dict[str, bytes]:
        """A program per convention, and some that go wrong."""
        step, encode = VOCABULARY.step, VOCABULARY.encode
        about = [step("about"), step("deserialize")]
        parts = [step("part", 0, 1), step("part", 0, 3, 1), step("get_tensor", 1)]
        plans = {
            "fp8": [step("fp8"), step("fp8", 1, 1), *parts, *about, step("get_tensors")],
            "blocks": [step("blocks", 1, 4), *parts, step("strided", 0, 0, 12), *about],
            "fnuz": [step("fp8", 3, 1), step("fp8", 4, 2), step("part", 2, 5), step("item", 0, 1), *about],
            "four-bits": [step("single", 5, 4), step("part", 0, 3, 1), step("part", 0, 9, 1), *about],
            "six-bits": [step("single", 6, 9), step("part", 0, 3), step("get_tensor"), *about],
            "gptq": [step("gptq"), *parts, step("part", 3, 1), *about, step("get_tensors")],
            "awq": [step("pread"), step("awq", 1, 1), *parts, *about, step("get_tensors")],
            "not-known-to-numpy": [
                step("plain-numpy"),
                step("fp8"),
                step("get_tensor"),
                step("part"),
                step("get_tensors"),
            ],
            "disagrees-with-its-group": [step("gptq"), step("awry", 3), step("awry", 1, 2), *parts, *about],
            "disagrees-with-its-bytes": [step("blocks"), step("awry", 0, 4), *about],
            "half-a-byte": [step("single", 5, 4), step("awry", 0, 7), *about],
        }
        return {name: encode(steps) for name, steps in plans.items()}


class TorchQuantized(Quantized):
    """The same programs with torch, which has the dtypes that numpy lacks."""

    name = "torch_quantized"
    description = "safe_open for torch on the same groups of tensors, by programs"
    memory_mb = 2048
    needs = ("torch",)
    extra = "torch"
    language = Language(decode, script.explain_torch, lambda program: None)
    built_on = ("quantized", "torch", "slices", "safe_open")

    def runner(self, safetensors: ModuleType) -> _Runner:
        """The files and calls of one process."""
        return _TorchRunner(safetensors)


@contextmanager
def lent() -> Iterator[None]:
    """Numpy with one-byte stand-ins for the dtypes that it lacks: then the bytes can be seen that the parser cuts out.

    The parser looks them up by name, as it does with torch, where they exist. The stand-ins have the names that torch uses;
    two elements of F4 share a byte in both.
    """
    lacking = {name: _BYTE for name in LENT.values() if name not in vars(numpy)}
    vars(numpy).update(lacking)
    try:
        yield
    finally:
        for name in lacking:
            del vars(numpy)[name]


class _Runner:
    """One process' open files, and how each call is made."""

    framework = "numpy"
    #: Errors of a framework that takes the parts of a mapped file itself.
    indexing: tuple[type[Exception], ...] = ()

    def __init__(self, safetensors: ModuleType) -> None:
        self._safe_open = safetensors.safe_open
        self._deserialize = safetensors.deserialize
        self._api = api.of(safetensors)
        self._backends = self._api.has("safe_open(backend=)")
        self._documented: tuple[type[BaseException], ...] = (safetensors.SafetensorError,)
        self._files = OpenFiles()

    def run(self, data: bytes) -> Observation:
        program = self._decoded(data)
        if not self._api.knows(held.dtype for held in program.tensors):
            return observe(Trace(program, []))
        opened = self._opened(program)
        events = [opened]
        if program.lend:
            with lent():
                self._calls(program, opened, events)
        else:
            self._calls(program, opened, events)
        return observe(Trace(program, events))

    def _decoded(self, data: bytes) -> Program:
        return decode(data)

    def _way(self, program: Program, word: str) -> str:
        """The name of a call that fails without a documented error."""
        return word

    def _value(self, value: Any) -> Any:
        """The value of a call as the oracle compares it."""
        return value

    def _calls(self, program: Program, opened: Event, events: list[Event]) -> None:
        refusal, opened_file = self._documented[0], opened.value
        for call in program.calls:
            if call.kind == "deserialize":
                read = partial(self._deserialize, file(program.tensors))
                events.append(attempt("deserialize", read, self._documented, call))
            elif opened.outcome == ACCEPT and self._has(call):
                name, word = program.tensors[call.tensor].name, _WORDS[call.kind]
                try:
                    events.append(
                        Event(word, ACCEPT, "", self._value(_CALLS[call.kind](opened_file, name, call)), call)
                    )
                except refusal as error:
                    events.append(Event(word, REJECT, str(error), error, call))
                except self.indexing as error:
                    events.append(Event(word, REJECT, describe(error), error, call))
                except BaseException as error:
                    events.append(Event(self._way(program, word), *classify(error, self._documented), call))

    def _has(self, call: Call) -> bool:
        return self._api.has(f"safe_open.{call.kind}") and self._api.takes(call.index)

    def _opened(self, program: Program) -> Event:
        """The event of opening the program's file; an open file is used again."""
        key = program.tensors, program.backend
        known = self._files.get(key)
        if known is not None:
            return Event("safe_open", ACCEPT, "", known, _OPENING)
        backend = {"backend": program.backend} if self._backends else {}
        opening = partial(self._safe_open, framework=self.framework, **backend)
        content = file(program.tensors)
        return attempt("safe_open", lambda: self._files.add(key, content, opening), self._documented, _OPENING)


class _TorchRunner(_Runner):
    """The same with torch; its tensors are compared as arrays of their bytes."""

    framework = "pt"
    # "If of a value outside the set of indexes for the sequence, IndexError should be raised" (Python, object.__getitem__).
    indexing = (IndexError, TypeError)

    def __init__(self, safetensors: ModuleType) -> None:
        super().__init__(safetensors)
        like = FRAMEWORKS["torch"]
        modules = like.modules()
        modules["torch"].set_num_threads(1)
        self._kind: Any = modules["torch"].Tensor
        self._held = Tensors(like, modules).held

    def _decoded(self, data: bytes) -> Program:
        return decode(data)._replace(lend=False)

    def _way(self, program: Program, word: str) -> str:
        # Whole tensors fail for the reasons of target ``torch``, and get its names.
        return word if word == "get_slice" else {"mmap": "mmap.get_tensor"}.get(program.backend, "load_file.pread")

    def _value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._value(tensor) for name, tensor in value.items()}
        if not isinstance(value, self._kind):
            return value
        held = self._held(value)
        kind = NUMPY_NAMES.get(held["dtype"], f"V{value.element_size()}")
        # Numpy makes no array of an empty buffer.
        return numpy.ndarray(tuple(value.shape), kind, held["data"] or None)


_WORDS = {"part": "get_slice", "about": "get_slice", "get_tensor": "get_tensor", "get_tensors": "get_tensors"}
_CALLS: dict[str, Callable[[Any, str, Call], Any]] = {
    "get_tensor": lambda opened, name, call: opened.get_tensor(name),
    "get_tensors": lambda opened, name, call: opened.get_tensors(),
    "about": lambda opened, name, call: (opened.get_slice(name).get_dtype(), opened.get_slice(name).get_shape()),
    "part": lambda opened, name, call: opened.get_slice(name)[call.index],
}
