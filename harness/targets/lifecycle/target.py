"""Handles over their whole life: opened, read, closed, read again, while files are replaced, overwritten and cut below them."""

from __future__ import annotations

import copy
import importlib
import io
import os
import pathlib
import pickle
import weakref
from collections.abc import Hashable, Iterable
from functools import lru_cache, partial
from types import CodeType, ModuleType
from typing import Any

import numpy

from harness.observation import (
    ACCEPT,
    REJECT,
    Event,
    Observation,
    Run,
    Trace,
    classify,
    describe,
    observe,
)
from harness.parsers import api
from harness.programs import chance, guarded, progress
from harness.programs.steps import Step
from harness.targets import scratch
from harness.targets.base import Language, ProgramTarget
from harness.targets.lifecycle import kit, oracle, script
from harness.targets.lifecycle.expectation import ANY, BUS, REFUSED, TYPE, UNKNOWN, VALUE, Call, value
from harness.targets.lifecycle.program import PATHS, VOCABULARY, decode


class Lifecycle(ProgramTarget):
    """Sequences of calls on several handles and files, held against a model of what each should give."""

    name = "lifecycle"
    drives = (
        ("state file", "safe_open safe_open.* _safe_open_handle _safe_open_handle.* PySafeSlice.* numpy.*_file"),
        ("thread", "safe_open safe_open.get_tensor* safe_open.get_slice safe_open.keys PySafeSlice.__getitem__"),
        ("values", "SafetensorError"),
    )
    description = "open, read, close, read again, replace, cut, two threads, fork, copies of errors, by programs"
    vocabulary = VOCABULARY
    guarded_every = 64
    oracles = (oracle.check,)
    language = Language(decode, script.explain, script.script, script.reproducer)

    def open(self, safetensors: ModuleType | None) -> Run:
        """Prepare to run programs, in a folder in memory of this process."""
        assert safetensors is not None
        return _Runner(safetensors).run

    def hazard(self, data: bytes) -> str:
        """The signal, and the call, that a program may well die of by the model; "" for none."""
        return decode(data).hazard

    def unforeseen(self, data: bytes, number: int, sign: str) -> bool:
        """Whether SIGBUS is the end of a call that by the model reads no mapping of a file that was cut."""
        calls = decode(data).calls
        return sign == BUS and not (0 < number <= len(calls) and calls[number - 1].hazard)

    def call_names(self, data: bytes) -> list[str]:
        """The kinds of the calls of a program, in order."""
        return [call.kind for call in decode(data).calls]

    def features(self, observation: Observation) -> Iterable[Hashable]:
        """Which call ended how in which state of things, and which call followed which."""
        trace = observation[2]
        if not isinstance(trace, Trace):
            return []
        found: list[Hashable] = []
        before = ""
        for event in trace.events:
            call: Call = event.about
            found.append((call.kind, call.state, event.outcome, event.error[:24]))
            found.append((before, call.kind, event.outcome))
            before = call.kind
        return found

    def seeds(self) -> dict[str, bytes]:
        """A program per kind of story."""
        step, encode = VOCABULARY.step, VOCABULARY.encode
        opened = [step("open"), step("get_tensor")]
        plans: dict[str, list[Step]] = {
            "read": [*opened, step("keys"), step("metadata"), step("get_tensors"), step("exit")],
            "closed": [*opened, step("enter"), step("exit"), step("get_tensor"), step("keys"), step("exit")],
            "kept": [*opened, step("get_slice"), step("exit"), step("read"), step("array"), step("about")],
            "saved": [*opened, step("save", 0, 2), step("get_tensor"), step("open", 1), step("get_tensors", 1)],
            "replaced": [*opened, step("replace", 1, 0), step("get_tensor"), step("unlink"), step("get_tensor")],
            "written": [*opened, step("poke"), step("get_tensor"), step("rewrite", 0, 3), step("open", 1, 0, 1)],
            "objects": [step("file"), step("open_file"), step("get_tensor"), step("close_file")],
            "errors": [*opened, step("error"), step("again"), step("again", 0, 2), step("subclass"), step("open_odd")],
            "changed": [
                *opened,
                step("change"),
                step("get_tensor", 0, 0, 1),
                step("array"),
                step("drop", 0),
                step("collect"),
            ],
            "beside": [*opened, step("threads", 0, 0, 1), step("fork"), step("misuse"), step("load_file")],
            "cut": [step("open", 0, 0, 1), step("cut"), step("get_tensor")],
            # Pairs of calls by both backends: one of them reads without the lock of the interpreter.
            **{
                f"threads-{backend}": [
                    step("open", 0, 0, number),
                    *(step("threads", 0, *pair) for pair in ((0, 0), (0, 1), (0, 3), (3, 3), (3, 1), (0, 2))),
                ]
                for number, backend in enumerate(("mmap", "pread"))
            },
        }
        return {name: encode(steps) for name, steps in plans.items()}


@lru_cache(1 << 14)
def _code(source: str) -> CodeType:
    return compile(source, "<program>", "eval")


_PARTS = ("safe_open.get_tensors", "safe_open.offset_keys", "_safe_open_handle")
_OPENING = ("safe_open", "_safe_open_handle", "numpy.load_file")


class _Runner:
    """One process' files and names."""

    def __init__(self, safetensors: ModuleType) -> None:
        importlib.import_module("safetensors.numpy")
        native = getattr(safetensors, "_safetensors_rust", None)
        self._handle = getattr(native, "_safe_open_handle", None)
        self._api = api.of(safetensors)
        refusal: type[BaseException] = safetensors.SafetensorError
        self._documented: dict[str, tuple[type[BaseException], ...]] = {
            VALUE: (refusal, OSError),
            REFUSED: (refusal,),
            ANY: (refusal,),
            TYPE: (refusal, TypeError, AttributeError),
        }
        self._os = (refusal, OSError)
        folder = scratch.folder("lifecycle")
        self._folder = f"{folder}{os.sep}"
        self._paths = [os.path.join(folder, f"p{number}.safetensors") for number in range(PATHS)]
        self._globals: dict[str, Any] = {
            **{name: getattr(kit, name) for name in dir(kit) if not name.startswith("_")},
            **{f"p{number}": path for number, path in enumerate(self._paths)},
            "ODD": kit.odd(str(folder)),
            "safetensors": safetensors,
            "_safe_open_handle": self._handle,
            "pathlib": pathlib,
            "pickle": pickle,
            "copy": copy,
            "weakref": weakref,
            "drop": self._drop,
        }
        self._fixed = frozenset(self._globals) | {"__builtins__"}
        self._mark = progress.cell()

    def _drop(self, name: str) -> None:
        held = self._globals.pop(name, None)
        if isinstance(held, io.IOBase):
            held.close()  # else Python warns of it

    def _words(self, words: str) -> str:
        """An error's words without the place of our folder, which is another in every process."""
        return words.replace(self._folder, "")

    def run(self, data: bytes) -> Observation:
        program = decode(data)
        names = self._globals
        for number, path in enumerate(self._paths):
            if number < PATHS - 1:
                kit.put(path, kit.FILES[number])
            elif os.path.exists(path):
                os.unlink(path)
        if guarded.current() is not None:
            self._guard()
        events: list[Event] = []
        mark = self._mark
        try:
            for number, call in enumerate(program.calls):
                if self._api.lacks:
                    call = call._replace(source=self._spelled(call.source))  # noqa: PLW2901
                    if not call.source:
                        if call.bind:
                            break  # later calls need it
                        continue
                mark[0] = number + 1
                event = chance.apart(partial(self._call, call)) if call.kind == "threads" else self._call(call)
                events.append(event)
                if call.bind:
                    wanted = value(call.wanted)
                    if event.outcome != ACCEPT or (wanted is not UNKNOWN and not kit.same(event.value, wanted)):
                        break  # what follows speaks of a thing that is not there
                    self._drop(call.bind)
                    names[call.bind] = event.value
                if isinstance(event.value, numpy.ndarray):
                    event.value = event.value.copy()  # as it is now: later calls may change it
        finally:
            names["CONTENTS"] = kit.CONTENTS
            for name in [name for name in names if name not in self._fixed]:
                self._drop(name)
        return observe(Trace(program, events))

    def _guard(self) -> None:
        """Lay into guarded memory what the program hands over: its arrays, and the last pages of its files."""
        for path in self._paths[: PATHS - 1]:
            with open(path, "r+b") as file:
                guarded.tail(file.fileno())
        self._globals["CONTENTS"] = [
            {name: guarded.array(array) for name, array in content.items()} for content in kit.CONTENTS
        ]

    def _spelled(self, source: str) -> str:
        """A call without what the parser lacks: by mmap where it has no backends, of the whole by ``()``; "" where it cannot be made."""
        has = self._api.has
        if any(part.rpartition(".")[2] in source and not has(part) for part in _PARTS):
            return ""
        if any(f"{function}(" in source and not has(f"{function}(backend=)") for function in _OPENING):
            source = source.replace(", backend='mmap'", "")
            if "backend=" in source:
                return ""
        return source if has("index ...") else source.replace("[...]", "[()]")

    def _call(self, call: Call) -> Event:
        try:
            given = eval(_code(call.source), self._globals)  # noqa: S307 - text of the language's own
        except BaseException as error:
            # Frames would keep handles alive past their time.
            error.__traceback__ = None
            documented = self._documented.get(call.end, self._os)
            if isinstance(error, documented):
                return Event(call.kind, REJECT, self._words(describe(error)), error, call)
            outcome, words, _ = classify(error, documented)
            return Event(call.kind, outcome, self._words(words), error, call)
        return Event(call.kind, ACCEPT, "", given, call)
