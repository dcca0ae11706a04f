"""Reads of one framework: parts and wholes by both backends, and the values that the caller keeps.

Values must be right when they are read, and stay right: after writes to other values, after their handle is gone, and after
the file has another content.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import warnings
from collections.abc import Callable, Hashable, Iterable
from types import ModuleType
from typing import Any, NamedTuple

import numpy

from harness.observation import ACCEPT, RAISE, REJECT, Event, Observation, Run, Trace, attempt, observe
from harness.parsers import api
from harness.programs import progress
from harness.programs.arrays import BACKENDS
from harness.programs.frameworks import Framework, Tensors
from harness.programs.steps import Step
from harness.targets import scratch
from harness.targets.base import Language, ProgramTarget
from harness.targets.framework_readers import oracle, script
from harness.targets.framework_readers.program import READS, VOCABULARY, Call, Held, Program, decode, viewed

#: "If key is of an inappropriate type, TypeError may be raised; if key is of a value outside the set of indexes for the
#: sequence, IndexError should be raised" (Python, object.__getitem__); a step of another sign has the right type. A
#: framework that slices by itself raises them.
_INDEXING = (IndexError, TypeError, ValueError)
#: Further errors of a framework over a subscript that only frameworks know.
_FOREIGN = (RuntimeError, OverflowError)
#: Entry points by call and backend: those of one name fail for one reason.
_NAMES = {
    "get_tensor": {"mmap": "mmap.get_tensor", "pread": "load_file.pread"},
    "get_tensors": {"mmap": "mmap.get_tensor", "pread": "load_file.pread"},
    "load_file": {"mmap": "mmap.get_tensor", "pread": "load_file.pread"},
    "split": dict.fromkeys(BACKENDS, "get_slice"),
}


class Reader(ProgramTarget):
    """Programs of reads for one framework; ``like`` is the framework."""

    vocabulary = VOCABULARY
    oracles = (oracle.check,)
    timeout_s = 30.0
    like: Framework
    calls = ("mmap.get_tensor", "load_file.pread", "load", "get_slice")

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "like" in vars(cls):
            cls.module = cls.like.module
            own = cls.module.rpartition(".")[2]
            reads = f"safe_open safe_open.get_tensor* safe_open.get_slice PySafeSlice.__getitem__ {own}.load {own}.load_file"
            cls.drives = (("values layout framework", reads), ("state file", reads.replace(f"{own}.load ", "")))
            cls.language = Language.about(cls.like, decode, script)

    def prepare(self) -> None:
        """Settings of the framework, made once."""

    def open(self, safetensors: ModuleType | None) -> Run:
        """Prepare to run programs. Raises HarnessError where the framework is there and does not work."""
        assert safetensors is not None
        modules = self.like.modules()
        self.prepare()
        with self.like.usable(self.needs[0]):
            return _Runner(self.like, safetensors, modules).run

    def features(self, observation: Observation) -> Iterable[Hashable]:
        """Each call with the one before it and its end; each dtype by call; forms of subscripts."""
        trace = observation[2]
        if not isinstance(trace, Trace):
            return []
        tensors = trace.program.tensors
        found: list[Hashable] = []
        before = ""
        for event in trace.events:
            call: Call = event.about
            found.append((before, call.kind, call.backend, call.late, event.outcome, event.error[:24]))
            before = call.kind
            if call.tensor >= 0:
                _, dtype, shape, _ = tensors[call.tensor]
                found.append((call.kind, call.form, call.backend, event.outcome))
                found.append((call.kind, dtype, call.backend, min(len(shape), 3), 0 in shape, event.outcome))
        return found

    def call_names(self, data: bytes) -> list[str]:
        """The kinds of the calls of a program, in order."""
        return [call.kind for call in decode(data).calls]

    def seeds(self) -> dict[str, bytes]:
        """A program per kind of call."""
        step, encode = VOCABULARY.step, VOCABULARY.encode
        file = [step("tensor", 0, 3), step("tensor", 1, 16, 1), step("tensor", 2, 1, 2)]
        plans: dict[str, list[Step]] = {
            "whole": [*file, step("get_tensor"), step("get_tensors"), step("load"), step("load_file"), step("load_file", 1)],
            "parts": [*file, step("index"), step("range", 1, 3), step("index", 1), step("int"), step("split", 0, 0, 1)],
            "pread": [*file, step("pread"), step("get_tensor", 1), step("index"), step("ellipsis"), step("split", 1)],
            "both": [*file, step("index", 0, 0, 1), step("range", 1, 3), step("index", 1, 0, 1), step("ellipsis")],
            "write": [*file, step("load"), step("write"), step("load_file"), step("write"), step("load")],
            "kept": [*file, step("get_tensor"), step("view"), step("close"), step("replace"), step("get_tensor", 1)],
        }  # fmt: skip
        return {name: encode(steps) for name, steps in plans.items()}


class Kept(NamedTuple):
    """A value that a read gave: the tensor, its content, and the call with its place in what the call gave."""

    tensor: Any
    held: Held
    call: Call
    place: int


class _Runner:
    """The file of one process, and how each call is made."""

    def __init__(self, like: Framework, safetensors: ModuleType, modules: dict[str, Any]) -> None:
        self.like = like
        self.safe_open: Any = safetensors.safe_open
        self.own: Any = importlib.import_module(like.module)
        self.documented: tuple[type[BaseException], ...] = (safetensors.SafetensorError,)
        self.api = api.of(safetensors)
        self.tensors = Tensors(like, modules)
        names = {"tensor": None, "octets": None, **modules}
        code = compile(like.write or "pass", "<write>", "exec")
        self.write: Callable[[Any, Any], None] = lambda tensor, octets: exec(  # noqa: S102 - our own text
            code, {**names, "tensor": tensor, "octets": octets}
        )
        self.path = scratch.folder(like.word) / "model.safetensors"
        self._mark = progress.cell()

    def run(self, data: bytes) -> Observation:
        program = decode(data)._replace(word=self.like.word)
        events: list[Event] = []
        if not self.api.knows(dtype for _, dtype, *_ in program.tensors):
            return observe(Trace(program, events))
        run = _Run(self, program, events)
        self.put(program.file(0))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for number, call in enumerate(program.calls, 1):
                self._mark[0] = number
                if self._has(call) and program.judged(call):
                    run.make(call)
            run.look(Call("end"))
        self.path.unlink()
        return observe(Trace(program, events))

    def put(self, content: bytes) -> None:
        """The file of that content under the same path; mappings and descriptors keep the old one."""
        new = self.path.with_suffix(".new")
        new.write_bytes(content)
        os.replace(new, self.path)

    def _has(self, call: Call) -> bool:
        if call.backend == "pread" or call.twin:
            part = "load_file(backend=)" if call.kind == "load_file" else "safe_open(backend=)"
            module = self.like.module.rpartition(".")[2]
            if not self.api.has(f"{module}.{part}" if call.kind == "load_file" else part):
                return False
        return self.api.has(f"safe_open.{call.kind}") and all(map(self.api.takes, call.indices))


class _Run:
    """The handles and the values of one program."""

    def __init__(self, runner: _Runner, program: Program, events: list[Event]) -> None:
        self._runner, self._program, self._events = runner, program, events
        self._handles: dict[str, Any] = {}
        self._values: list[Kept] = []

    def make(self, call: Call) -> None:
        """Make one call, and note its events."""
        if call.kind in READS:
            event = self._read(call)
            twin = call._replace(backend=BACKENDS[call.backend == "mmap"], twin=False)
            if call.twin and event.outcome in (ACCEPT, REJECT):
                other = self._read(twin)
                if other.outcome in (ACCEPT, REJECT):
                    self._events.append(Event("backends", ACCEPT, "", (event, other), call))
            elif call.twin:
                # Later calls ask this handle for the content of this time.
                attempt("safe_open", lambda: self._handle(twin), self._runner.documented)
        elif call.kind == "replace":
            self._runner.put(self._program.file(call.version))
            self.look(call)
        elif call.kind == "close":
            self._handles.clear()
            self.look(call)
        elif call.kind == "write":
            self._overwrite(call)
        elif self._values:
            self._view(call)

    def look(self, call: Call) -> None:
        """Note each value that is another than it was, as (call, place, what differs)."""
        changed = []
        for at, kept in enumerate(self._values):
            held = self._held(kept.tensor)
            if held != kept.held:
                changed.append((kept.call, kept.place, _difference(kept.held, held)))
                self._values[at] = kept._replace(held=held)
        if call.kind == "write" or changed:
            self._events.append(Event(call.kind, ACCEPT, "", changed, call))

    def _held(self, tensor: Any) -> Held:
        held = self._runner.tensors.held(tensor)
        return held["dtype"], tuple(held["shape"]), held["data"]

    # Reads.

    def _read(self, call: Call) -> Event:
        tensors: list[Any] = []

        def read() -> Any:
            found = self._ask(call)
            names = list(found) if isinstance(found, dict) else None
            if names is not None:
                order = [name for name, *_ in self._program.tensors]
                if sorted(names) != sorted(order):
                    return names, ()
                found = [found[name] for name in order]
            tensors.extend(found)
            return names, tuple(map(self._held, found))

        own = self._program.slices_itself(call)
        documented = self._runner.documented + (_INDEXING if own else ())
        if own and call.framework_form:
            documented += _FOREIGN
        name = _NAMES.get(call.kind, {}).get(call.backend, call.kind)
        event = attempt(name, read, documented, call)
        if event.outcome == RAISE and isinstance(event.value, KeyError):
            # A name that comes from the input, as it would be quoted were it a string.
            event.error = f"KeyError: {str(event.value.args[0])!r}"
        self._events.append(event)
        if event.outcome == ACCEPT:
            self._values += [
                Kept(tensor, held, call, place)
                for place, (tensor, held) in enumerate(zip(tensors, event.value[1], strict=True))
            ]
        return event

    def _ask(self, call: Call) -> Any:
        """The tensors by name, or a list of them. Arguments have the names of the documentation."""
        runner = self._runner
        if call.kind == "load":
            return runner.own.load(data=runner.path.read_bytes())
        if call.kind == "load_file":
            return runner.own.load_file(
                filename=str(runner.path), **self._backend(call, f"{runner.own.__name__.rpartition('.')[2]}.load_file")
            )
        handle = self._handle(call)
        if call.kind == "get_tensors":
            return handle.get_tensors()
        name = self._program.tensors[call.tensor][0]
        if call.kind == "get_tensor":
            return [handle.get_tensor(name)]
        part = handle.get_slice(name)
        return [part[index] for index in call.indices]

    def _handle(self, call: Call) -> Any:
        """The open file of that backend, opened at its first call."""
        runner = self._runner
        if call.backend not in self._handles:
            options = self._backend(call, "safe_open")
            self._handles[call.backend] = runner.safe_open(str(runner.path), runner.like.word, **options)
        return self._handles[call.backend]

    def _backend(self, call: Call, function: str) -> dict[str, str]:
        return {"backend": call.backend} if self._runner.api.has(f"{function}(backend=)") else {}

    # Uses of values.

    def _overwrite(self, call: Call) -> None:
        """Overwrite a value in place, and look at all others and at the file."""
        if not self._values or not self._runner.like.write:
            return
        at = len(self._values) - 1 - call.value % len(self._values)
        kept = self._values[at]
        data = kept.held[2]
        if not data:
            return
        octets = numpy.frombuffer(bytes(byte ^ 1 for byte in data), "uint8").copy()
        before = self._runner.path.read_bytes()
        # A framework may lack the copy for a dtype, or have made a tensor that nobody may write to.
        with contextlib.suppress(Exception):
            self._runner.write(kept.tensor, octets)
        self._values[at] = kept._replace(held=self._held(kept.tensor))
        self.look(call)
        if self._runner.path.read_bytes() != before:
            self._events[-1].value.append((kept.call, kept.place, "file"))

    def _view(self, call: Call) -> None:
        """Keep a view of a value instead of the value."""
        at = len(self._values) - 1 - call.value % len(self._values)
        kept = self._values[at]
        wanted = viewed(kept.held, call.view)
        if wanted is None:
            return
        with contextlib.suppress(Exception):
            tensor = script.VIEWS[call.view][0](kept.tensor)
            held = self._held(tensor)
            # Another value than the view is the framework's matter.
            if held == wanted:
                self._values[at] = kept._replace(tensor=tensor, held=held)


def _difference(one: Held, other: Held) -> str:
    return next(word for word, was, now in zip(("dtype", "shape", "bytes"), one, other, strict=True) if was != now)
