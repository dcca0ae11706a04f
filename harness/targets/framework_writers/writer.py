"""Writers of one framework: tensors as users hold them are saved, and loaded again."""

from __future__ import annotations

import contextlib
import importlib
import math
import re
import warnings
from collections.abc import Hashable, Iterable
from functools import lru_cache
from types import CodeType, ModuleType
from typing import Any, NamedTuple

import numpy

from harness.observation import ACCEPT, RAISE, REJECT, Event, Observation, Run, Trace, attempt, observe
from harness.parsers import api
from harness.programs import progress
from harness.programs.frameworks import Framework, Tensors
from harness.programs.saving import CONVENTION
from harness.programs.steps import Step
from harness.targets import scratch
from harness.targets.base import Language, ProgramTarget
from harness.targets.framework_writers import oracle, script
from harness.targets.framework_writers.kits import KITS
from harness.targets.framework_writers.program import LAYOUTS, VOCABULARY, WRITES, Call, Program, decode

#: Python documents these errors for values of another type than annotated: docs/oracles.md.
_NO_TENSOR = (*CONVENTION, AttributeError)
#: Messages of the ValueErrors that safetensors/paddle.py raises itself.
_ANNOUNCED = ("save a non contiguous tensor", "Expected a dict of", "expected paddle.Tensor but received")


class Writer(ProgramTarget):
    """Programs of saves for one framework; ``like`` is the framework."""

    vocabulary = VOCABULARY
    oracles = (oracle.check,)
    timeout_s = 30.0
    flavours = ("sancov", "wheel")
    like: Framework
    calls = ("save", "load", "mmap.get_tensor", "load_file.pread")

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "like" in vars(cls):
            cls.module = cls.like.module
            own = cls.module.rpartition(".")[2]
            cls.drives = (("values layout framework", f"{own}.save {own}.save_file {own}.load {own}.load_file"),)
            cls.language = Language.about(cls.like, decode, script)

    def open(self, safetensors: ModuleType | None) -> Run:
        """Prepare to run programs. Raises HarnessError where the framework is there and does not work."""
        assert safetensors is not None
        modules = self.like.modules()
        with self.like.usable(self.needs[0]):
            return _Runner(self.like, safetensors, modules).run

    def features(self, observation: Observation) -> Iterable[Hashable]:
        """Each call with the one before it and its end; each dtype and each layout by the end of the save."""
        trace = observation[2]
        if not isinstance(trace, Trace):
            return []
        found: list[Hashable] = []
        before = ""
        for event in trace.events:
            kind = event.about.call.kind
            found.append((before, kind, event.outcome, event.error[:24]))
            before = kind
            if kind in WRITES:
                for item in trace.program.items:
                    found += [(kind, item.dtype, event.outcome), (kind, item.word, event.outcome)]
        return found

    def call_names(self, data: bytes) -> list[str]:
        """The kinds of the calls of a program, in order."""
        return [call.kind for call in decode(data).calls]

    def seeds(self) -> dict[str, bytes]:
        """A program per kind of call, and one for each layout."""
        step, encode = VOCABULARY.step, VOCABULARY.encode
        two = [step("tensor", 0, 3), step("tensor", 1, 4)]
        plans: dict[str, list[Step]] = {
            "save": [*two, step("entry"), step("save"), step("load")],
            "save-file": [*two, step("save_file"), step("load_file"), step("load_file", 1)],
            "same": [step("tensor", 0, 3), step("same"), step("same", 0, 1), step("same", 0, 2), step("save")],
            "named": [step("tensor", 0, 3), step("name", 4), step("save")],
            "value": [step("value"), step("save")],
        }
        plans |= {laid.word: [step("tensor", 0, 4, number), step("save")] for number, laid in enumerate(LAYOUTS)}
        return {name: encode(steps) for name, steps in plans.items()}


class Did(NamedTuple):
    """A call as it was made.

    ``reported`` has of each name what the framework reports, and the word for its layout where it reaches numpy's writer
    without C order. ``kept``: the dictionary is as it was. ``contiguous``: all tensors are, for the framework. ``file`` has the bytes
    that a reader got.
    """

    call: Call
    reported: dict[Any, tuple[dict[str, Any], str]] | None = None
    kept: bool = True
    contiguous: bool = True
    file: bytes = b""


class _Runner:
    """The calls, and the file."""

    def __init__(self, like: Framework, safetensors: ModuleType, modules: dict[str, Any]) -> None:
        self._like = like
        self._own: Any = importlib.import_module(like.module)
        self._documented: tuple[type[BaseException], ...] = (safetensors.SafetensorError,)
        self._api = api.of(safetensors)
        self._tensors = Tensors(like, modules)
        self._kit: dict[str, Any] = {**modules, "math": math, "re": re, "numpy": numpy}
        with contextlib.suppress(ImportError):
            self._kit["ml_dtypes"] = importlib.import_module("ml_dtypes")
        exec(KITS[like.module.rpartition(".")[2]], self._kit)  # noqa: S102 - our own text
        self._path = scratch.folder(like.word) / "model.safetensors"
        self._mark = progress.cell()

    def run(self, data: bytes) -> Observation:
        program = decode(data)._replace(word=self._like.word)
        events: list[Event] = []
        file: bytes | None = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for number, call in enumerate(program.calls, 1):
                self._mark[0] = number
                if call.kind in WRITES:
                    event = self._write(program, call)
                    if event is None:
                        # The framework has no such tensor.
                        break
                    file = event.value if event.outcome == ACCEPT else None
                elif file is None or not self._has(call):
                    continue
                else:
                    event = self._read(call, file)
                events.append(event)
        self._path.unlink(missing_ok=True)
        return observe(Trace(program, events))

    def _has(self, call: Call) -> bool:
        module = self._like.module.rpartition(".")[2]
        return call.backend == "mmap" or self._api.has(f"{module}.load_file(backend=)")

    def _made(self, program: Program) -> dict[Any, Any] | None:
        """New values by name; None where the framework cannot make one."""
        names = dict(self._kit)
        try:
            exec(_compiled(script.values(program)), names)  # noqa: S102 - text of our own tables
        except Exception:
            return None
        tensors: dict[Any, Any] = names["TENSORS"]
        return tensors

    def _reported(self, tensors: dict[Any, Any]) -> tuple[dict[Any, tuple[dict[str, Any], str]], bool] | None:
        """The values that the framework reports; None where it reports nothing."""
        found, contiguous = {}, True
        for name, value in tensors.items():
            try:
                found[name] = self._tensors.held(self._kit["reported"](value)), self._layout(value)
                contiguous = contiguous and (self._like.word != "paddle" or value.is_contiguous())
            except Exception:
                return None
        return found, contiguous

    def _layout(self, value: Any) -> str:
        """The word for the layout of the array that the binding makes of a value; "" for C order."""
        if self._like.word == "paddle":
            return ""
        try:
            array = numpy.asarray(value)
        except Exception:
            return ""
        if array.flags.c_contiguous:
            return ""
        strides = [stride for stride, count in zip(array.strides, array.shape, strict=True) if count > 1]
        if 0 in strides:
            return "broadcast"
        if min(strides) < 0:
            return "backwards"
        return "transposed" if array.flags.f_contiguous else "strided"

    def _write(self, program: Program, call: Call) -> Event | None:
        # Made anew for the call: to ask a lazy value for its content works it out.
        tensors, twins = self._made(program), self._made(program)
        if tensors is None or twins is None:
            return None
        reported: dict[Any, tuple[dict[str, Any], str]] | None = None
        contiguous = True
        if program.odd in ("", "dtype", "name/__metadata__"):
            told = self._reported(twins)
            if told is None:
                return None
            reported, contiguous = told
        given = dict(tensors)
        fair = _NO_TENSOR if program.odd else ()

        def save() -> bytes:
            if call.kind == "save":
                made: bytes = self._own.save(given, program.metadata.value)
                return made
            self._path.unlink(missing_ok=True)
            self._own.save_file(given, str(self._path), program.metadata.value)
            return self._path.read_bytes()

        event = attempt("save", save, self._documented + fair)
        if event.outcome == RAISE and any(words in event.error for words in _ANNOUNCED):
            event.outcome = REJECT
        if event.outcome == ACCEPT:
            self._path.write_bytes(event.value)
        kept = given.keys() == tensors.keys() and all(given[name] is one for name, one in tensors.items())
        event.about = Did(call, reported, kept, contiguous)
        return _quoted(event)

    def _read(self, call: Call, file: bytes) -> Event:
        def read() -> dict[str, Any]:
            if call.kind == "load":
                loaded = self._own.load(file)
            else:
                more = {"backend": call.backend} if call.backend == "pread" else {}
                loaded = self._own.load_file(str(self._path), **more)
            return {name: self._tensors.held(tensor) for name, tensor in loaded.items()}

        name = (
            {"mmap": "mmap.get_tensor", "pread": "load_file.pread"}[call.backend]
            if call.kind == "load_file"
            else "load"
        )
        return _quoted(attempt(name, read, self._documented, Did(call, file=file)))


def _quoted(event: Event) -> Event:
    """The event; a name of the input in a KeyError is quoted, as in other errors."""
    if isinstance(event.value, KeyError):
        event.error = f"KeyError: {str(event.value.args[0])!r}"
    return event


@lru_cache(1 << 11)
def _compiled(source: str) -> CodeType:
    return compile(source, "<program>", "exec")
