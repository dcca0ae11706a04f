"""``safetensors.torch`` as those use it who save: dictionaries of tensors and modules that tie weights, and back again."""

from __future__ import annotations

import collections
import importlib
import traceback
import types
import warnings
from collections.abc import Callable, Hashable, Iterable
from functools import lru_cache
from types import ModuleType
from typing import Any, NamedTuple

import numpy

from harness.errors import HarnessError
from harness.observation import (
    ACCEPT,
    RAISE,
    REJECT,
    Event,
    Observation,
    Run,
    Trace,
    attempt,
    describe,
    observe,
)
from harness.parsers import api
from harness.programs import guarded, progress
from harness.programs.steps import Step
from harness.targets import scratch
from harness.targets.base import Language, ProgramTarget
from harness.targets.torch_writers import oracle, script
from harness.targets.torch_writers.program import (
    ANNOUNCED,
    TWIN_NUMBER,
    VOCABULARY,
    WRITES,
    Call,
    Program,
    Things,
    decode,
)
from harness.targets.torch_writers.tensors import LAYOUT_NUMBERS, LAYOUTS, VIEWS

#: The reader that other calls begin with.
_READER = {"load_model": "load_file", "resave": "load"}
#: How often a call is made once more where it depends on chance: entries of metadata in random order.
REPEATS = 6


class TorchWriters(ProgramTarget):
    """Written by one function of ``safetensors.torch`` and read by another, from tensors of which the program knows all."""

    name = "torch_writers"
    drives = (
        (
            "values layout framework",
            "torch.save torch.save_file torch.save_model torch.load torch.load_file torch.load_model",
        ),
    )
    description = "safetensors.torch: save, save_file, save_model, and load, load_file, load_model of it, by programs"
    memory_mb = 2048
    vocabulary = VOCABULARY
    guarded_every = 32
    oracles = (oracle.check,)
    language = Language(decode, script.explain, script.script, script.reproducer)
    needs = ("torch",)
    extra = "torch"
    built_on = ("torch",)
    timeout_s = 30.0

    def open(self, safetensors: ModuleType | None) -> Run:
        """Prepare to run programs. Raises HarnessError where torch is there and does not work."""
        assert safetensors is not None
        try:
            return _Runner(safetensors).run
        except Exception as error:
            words = f"safetensors.torch cannot be used with this torch: {describe(error)}"
            raise HarnessError(words, hint="try: python -c 'import safetensors.torch'") from error

    def features(self, observation: Observation) -> Iterable[Hashable]:
        """Each call with the one before it, its end, and the kinds of tensors."""
        trace = observation[2]
        if not isinstance(trace, Trace):
            return []
        things: Things = trace.program.things
        found: list[Hashable] = []
        before = ""
        for event in trace.events:
            call: Call = event.about.call
            found.append((before, event.call, event.outcome, event.error[:24]))
            before = event.call
            if call.kind == "load_model":
                found.append((event.call, call.model, call.strict, event.outcome, event.error[:24]))
            if call.kind in WRITES:
                for item in things.items:
                    if (made := item.tensor) is not None:
                        found += [
                            (event.call, event.outcome, made.dtype),
                            (event.call, event.outcome, made.word),
                            (event.call, event.outcome, item.form, item.same >= 0),
                        ]
        return found

    def call_names(self, data: bytes) -> list[str]:
        """The kinds of the calls of a program, in order."""
        return [call.kind for call in decode(data).calls]

    def memory_state(self, data: bytes, call: str, files: tuple[bytes, bytes] | None) -> str:
        """The call, and for a writer the layout of the tensor that it mistakes."""
        return oracle.memory_state(decode(data), call, files)

    def seeds(self) -> dict[str, bytes]:
        """A program per kind of call, and some of what is refused."""
        step, encode = VOCABULARY.step, VOCABULARY.encode
        two = [step("tensor", 0, 3), step("tensor", 2, 1)]
        tied = [step("tensor", 0, 3), step("form", 1), step("view")]
        plans: dict[str, list[Step]] = {
            "save": [*two, step("save"), step("load"), step("resave"), step("again")],
            "save-file": [
                *two,
                step("entry"),
                step("save_file"),
                step("load_file"),
                step("load_file", 1),
                step("twice", 1),
            ],
            "empty": [step("tensor", 0, 5), step("save"), step("load"), step("twice")],
            "tied": [*tied, step("save_model"), step("load_model"), step("load_model", 3, 1)],
            "tied-often": [*tied, step("view"), step("view", 0, 1), step("view", 0, 2), step("save_model")],
            "tied-save": [*tied, step("save"), step("save_file")],
            "part-of-a-whole": [
                step("tensor", 0, 3),
                step("view", 0, 3),
                step("save_model"),
                step("load_model", 0, 0, 1),
            ],
            # The second half has the name of the whole, which the dictionary then lacks.
            "parts": [
                step("tensor", 0, 3),
                step("view", 0, 3),
                step("view", 0, 4),
                step("name"),
                step("save"),
                step("save_file"),
            ],
            "halves": [step("tensor", 0, 3, 3), step("view", 0, 4), step("save_model"), step("save")],
            "missing": [*two, step("save_model"), step("load_model", 2), step("load_model", 2, 1)],
            "unexpected": [*two, step("save_model"), step("load_model", 1), step("load_model", 1, 1)],
            "twin": [*two, step("save"), step("load_model", TWIN_NUMBER), step("load_model", TWIN_NUMBER, 1, 1)],
            "other-shape": [*two, step("save_model"), step("load_model", 4)],
            "layouts": [
                step("tensor", 0, 3, 1),
                step("save"),
                step("save_model"),
                step("save_model", 1),
                step("load_model"),
            ],
            "sparse": [step("tensor", 0, 3, 10), step("save")],
            "value": [step("value"), step("save")],
            "holder": [*two, step("holder", 3), step("save"), step("holder", 1), step("save")],
        }
        saved = [step("save"), step("save_model"), step("load_model")]
        # Of a transposed view torch itself raises an error.
        views = {word: at for at, (word, *_) in enumerate(VIEWS) if word != "flipped"}
        plans |= {f"view-{word}": [step("tensor", 0, 3), step("view", 0, at), *saved] for word, at in views.items()}
        layouts = {laid.word: LAYOUT_NUMBERS[laid.word] for laid in LAYOUTS if not laid.odd}
        plans |= {f"layout-{word}": [step("tensor", 0, 3, at), *saved] for word, at in layouts.items()}
        return {name: encode(steps) for name, steps in plans.items()}


class Did(NamedTuple):
    """A call as it was made: ``file`` are the bytes written before it, ``writer`` the call that wrote them.

    ``changed`` is the metadata that was handed over, as the call left it, where that is not what it was.
    """

    call: Call
    file: bytes | None = None
    writer: Call | None = None
    changed: Any = None


class _Runner:
    """The calls, and the file."""

    def __init__(self, safetensors: ModuleType) -> None:
        self._torch_itself: Any = importlib.import_module("torch")
        # Tensors here are small, and workers many.
        self._torch_itself.set_num_threads(1)
        self._kit: Any = importlib.import_module("harness.targets.torch_writers.kit")
        self._torch: Any = getattr(safetensors, "torch", None) or importlib.import_module(
            f"{safetensors.__name__}.torch"
        )
        self._documented: tuple[type[BaseException], ...] = (safetensors.SafetensorError,)
        self._api = api.of(safetensors)
        self._path = scratch.folder("torch_writers") / "model.safetensors"
        self._made = lru_cache(256)(self._make)
        self._mark = progress.cell()

    def run(self, data: bytes) -> Observation:
        program = decode(data)
        events: list[Event] = []
        file, writer = None, None
        if not self._api.knows(item.tensor.code for item in program.things.items if item.tensor):
            return observe(Trace(program, events))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for number, call in enumerate(program.calls, 1):
                self._mark[0] = number
                if not self._api.has(f"torch.{call.kind}"):
                    continue
                if call.kind in WRITES:
                    event = self._write(program, call)
                    file, writer = (event.value, call) if event.outcome == ACCEPT else (None, None)
                elif file is None or writer is None:
                    continue
                else:
                    event = self._read(program, call, file, writer)
                events.append(event)
        self._path.unlink(missing_ok=True)
        return observe(Trace(program, events))

    def _attempt(
        self, call: Call, function: Callable[[], Any], fair: tuple[type[BaseException], ...], did: Did
    ) -> Event:
        """A call. Errors that the library announces count as documented, too; their words tell them."""
        event = attempt(_called(call), function, self._documented + fair, did)
        if event.outcome == RAISE and isinstance(event.value, (ValueError, RuntimeError)):
            words = str(event.value)
            if any(announced in words for announced in ANNOUNCED):
                event.outcome = REJECT
        if event.outcome == RAISE and call.kind == "save_model" and _passed(event.value, "save_file"):
            event.call = "save"
        if isinstance(event.value, KeyError):
            # A name that comes from the input, as it would be quoted were it a string.
            event.error = f"KeyError: {str(event.value.args[0])!r}"
        return event

    # Writing.

    def _write(self, program: Program, call: Call) -> Event:
        things = program.things
        metadata = given = things.metadata.value
        if isinstance(given, dict):
            metadata = given.copy()
        tensors = self._tensors(things)
        event = self._attempt(call, lambda: self._bytes(things, tensors, call, metadata), things.fair, Did(call))
        if event.outcome == ACCEPT:
            self._store(event.value)
        if metadata != given:
            event.about = Did(call, changed=metadata)
        return event

    def _bytes(self, things: Things, tensors: Any, call: Call, metadata: Any) -> bytes:
        """The file that a call writes."""
        if call.kind == "save":
            made: bytes = self._torch.save(tensors, metadata)
            return made
        self._path.unlink(missing_ok=True)
        if call.kind == "save_file":
            self._torch.save_file(tensors, str(self._path), metadata)
        else:
            forces = self._api.has("torch.save_model(force_contiguous=)")
            more = {"force_contiguous": call.contiguous} if forces else {}
            self._torch.save_model(self._module(things, "same"), str(self._path), metadata, **more)
        return self._path.read_bytes()

    def _tensors(self, things: Things) -> Any:
        """The dictionary that a call gets."""
        return self._made(things) if guarded.current() is None else self._make(things)

    def _make(self, things: Things) -> Any:
        source = script.tensors((item.name, item) for item in things.items)
        return self._ran(f"{source}\nmade = {things.container.format('dict(tensors())')}")

    def _module(self, things: Things, which: str, zero: bool = False) -> Any:
        source = script.tensors((repr(key), item) for key, item in things.model(which))
        return self._ran(f"{source}\nmade = module(tensors({zero}))")

    def _ran(self, source: str) -> Any:
        names = {"collections": collections, "numpy": numpy, "types": types, **vars(self._kit)}
        if guarded.current() is not None:
            names["memory"] = self._memory
        exec(_compiled(source), names)  # noqa: S102 - text of our own tables
        return names["made"]

    def _memory(self, dtype: str, shape: Any, first: int, zero: bool = False) -> Any:
        """A new tensor as the kit makes it, in guarded memory."""
        plain = self._kit.memory(dtype, shape, first, zero)
        if not plain.numel():
            return plain
        octets = guarded.block(plain.reshape(-1).view(self._torch_itself.uint8).numpy().tobytes())
        return self._torch_itself.frombuffer(octets, dtype=self._torch_itself.uint8).view(plain.dtype).reshape(shape)

    def _store(self, file: bytes) -> None:
        """Put a file where the readers find it."""
        with self._path.open("w+b", buffering=0) as stored:
            stored.write(file)
            guarded.tail(stored.fileno())

    # Reading back.

    def _read(self, program: Program, call: Call, file: bytes, writer: Call) -> Event:
        things = program.things
        did = Did(call, file, writer)
        if call.kind == "again":
            return self._attempt(call, lambda: self._second_write(things, writer, file), (), did)
        # A file that cannot be read is the reader's matter, whatever the call would do with it.
        reading = Call(_READER.get(call.kind, call.reader if call.kind == "twice" else call.kind), backend=call.backend)
        event = self._attempt(
            reading, lambda: self._kit.held(self._tensors_of(reading, file)), (), Did(reading, file, writer)
        )
        if event.outcome != ACCEPT or call.kind == reading.kind:
            return event
        reader = {
            "load_model": lambda: self._loaded(things, call),
            "resave": lambda: self._torch.save(self._torch.load(file), things.metadata.value),
            "twice": lambda: self._twice(reading, file),
        }[call.kind]
        return self._attempt(call, reader, (), did)

    def _tensors_of(self, call: Call, file: bytes) -> Any:
        if call.kind == "load":
            return self._torch.load(guarded.text(file))
        return self._torch.load_file(str(self._path), **self._backend(call, "load_file"))

    def _backend(self, call: Call, function: str) -> dict[str, str]:
        return {"backend": call.backend} if self._api.has(f"torch.{function}(backend=)") else {}

    def _loaded(self, things: Things, call: Call) -> Any:
        model = self._module(things, call.model, zero=True)
        answer = self._torch.load_model(model, str(self._path), strict=call.strict, **self._backend(call, "load_model"))
        return self._kit.loaded(model, answer)

    def _second_write(self, things: Things, writer: Call, file: bytes) -> bytes:
        """The file of the same call, made once more: the first that differs, of a few where chance decides."""
        metadata = things.metadata.value
        other = file
        for _ in range(REPEATS):
            copy = metadata.copy() if isinstance(metadata, dict) else metadata
            other = self._bytes(things, self._tensors(things), writer, copy)
            if other != file:
                break
        self._store(file)
        return other

    def _twice(self, reading: Call, file: bytes) -> Any:
        """The tensors, read once, and once more after those were overwritten in place; and the file after it."""
        first = self._tensors_of(reading, file)
        before = self._kit.held(first)
        self._kit.scribble(first)
        return before, self._kit.held(self._tensors_of(reading, file)), self._path.read_bytes()


def _passed(error: BaseException, function: str) -> bool:
    """Whether an error came through a function of that name."""
    return any(frame.name == function for frame in traceback.extract_tb(error.__traceback__))


def _called(call: Call) -> str:
    """The name of a call in signatures: ``save`` and ``save_file`` prepare what they write alike."""
    if call.kind == "load_file" and call.backend == "pread":
        return "load_file.pread"
    return {"save_file": "save"}.get(call.kind, call.kind)


@lru_cache(1 << 11)
def _compiled(source: str) -> Any:
    return compile(source, "<program>", "exec")
