"""Everything that writes: numpy's ``save`` and ``save_file``, ``serialize`` and ``serialize_file``, and reading it back."""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Callable, Hashable, Iterable
from types import ModuleType
from typing import Any, NamedTuple

from harness.observation import ACCEPT, REJECT, Event, Observation, Run, Trace, attempt, failure, observe
from harness.parsers import api
from harness.processes import signal_name
from harness.programs import guarded, progress, saving
from harness.programs.steps import Step
from harness.targets.base import Language, ProgramTarget
from harness.targets.writers import oracle, script
from harness.targets.writers.output_files import Files
from harness.targets.writers.program import VOCABULARY, WRITES, Call, Died, Program, decode

#: Bytes are compared with those of this many more calls where their order could be chance: two entries of a hash table
#: keep theirs half of the time.
REPEATS = 32


class Writers(ProgramTarget):
    """Dictionaries that people save, and the content that they get back."""

    name = "writers"
    drives = (
        ("values layout", "numpy.* serialize serialize_file TensorSpec deserialize safe_open safe_open.get_tensor*"),
    )
    description = "numpy's save and save_file, serialize, serialize_file, and reading back, by programs"
    vocabulary = VOCABULARY
    oracles = (oracle.check,)
    language = Language(decode, script.explain, script.script, script.reproducer)
    guarded_every = 128

    def open(self, safetensors: ModuleType | None) -> Run:
        """Prepare to run programs."""
        assert safetensors is not None
        return _Runner(safetensors).run

    def features(self, observation: Observation) -> Iterable[Hashable]:
        """Each call with the one before it and its end; odd parts of it; dtypes, ranks and layouts that were written."""
        return features(observation)

    def call_names(self, data: bytes) -> list[str]:
        """The kinds of the calls of a program, in order."""
        return [call.kind for call in decode(data).calls]

    def memory_state(self, data: bytes, call: str, files: tuple[bytes, bytes] | None) -> str:
        """The writer, and the layout of the tensor that it mistakes; the call, where that reads."""
        return oracle.memory_state(decode(data), call, files)

    def seeds(self) -> dict[str, bytes]:
        """A program per way to write, to read, and to hold an array."""
        step, encode = VOCABULARY.step, VOCABULARY.encode
        two = [step("tensor", 0, 3), step("tensor", 1, 1)]
        plans: dict[str, list[Step]] = {
            "save": [*two, step("save"), step("load"), step("deserialize")],
            "save-file": [*two, step("save_file"), step("load_file"), step("safe_open", 1)],
            "serialize": [step("spec", 0, 3), step("spec", 1, 1), step("serialize"), step("load")],
            "serialize-file": [step("spec", 2, 3), step("serialize_file", 1), step("load_file", 1), step("safe_open", 0, 1)],
            "metadata": [*two, step("entry"), step("save"), step("safe_open")],
            "names": [step("tensor"), step("name", 6), step("tensor"), step("name", 8), step("save"), step("load")],
            "same": [*two, step("save"), step("again"), step("equal"), step("resave")],
            "types": [step("tensor", 0, 3), step("type", 1), step("tensor", 2, 3), step("type", 2), step("save")],
            "layouts": [step("tensor", 0, 3, 2), step("tensor", 13, 3, 4), step("save"), step("load")],
            "nothing": [step("nothing"), step("save"), step("load")],
        }  # fmt: skip
        return {name: encode(steps) for name, steps in plans.items()}


def features(observation: Observation) -> list[Hashable]:
    """See :meth:`Writers.features`."""
    trace = observation[2]
    if not isinstance(trace, Trace):
        return []
    found: list[Hashable] = []
    before = ""
    for event in trace.events:
        did: Did = event.about
        found.append((before, event.call, event.outcome))
        before = event.call
        if event.call in WRITES:
            content = trace.program.content(did.call)
            found.append((event.call, did.call.path, event.error[:24]))
            found.append((event.outcome, content.odd, did.call.arrays))
            if event.outcome == ACCEPT:
                found += content.features
    return found


class Did(NamedTuple):
    """A call as it was made: ``file`` are the bytes written before it, which it reads or is held against.

    ``mode`` is of a file that was written: its permissions, and those it should have.
    """

    call: Call
    file: bytes | None = None
    mode: tuple[int, int] | None = None


class _Runner:
    """The calls, and where their files are."""

    def __init__(self, safetensors: ModuleType) -> None:
        self._core = safetensors
        numpy_module = getattr(safetensors, "numpy", None)
        self._numpy = numpy_module or importlib.import_module(f"{safetensors.__name__}.numpy")
        self._documented: tuple[type[BaseException], ...] = (safetensors.SafetensorError,)
        self._spec = getattr(safetensors, "TensorSpec", None)
        self._api = api.of(safetensors)
        self._files = Files()
        self._mark = progress.cell()
        self._readers: dict[str, Callable[[_State, Call], Any]] = {
            "load": self._load, "deserialize": self._deserialize,
            "load_file": self._load_file, "safe_open": self._safe_open,
        }  # fmt: skip
        self._calls: dict[str, Callable[[_State, Call], Event | None]] = {
            "save": self._save, "serialize": self._serialize, "save_file": self._write, "serialize_file": self._write,
            "again": self._once_more, "equal": self._otherwise, "resave": self._otherwise,
            **dict.fromkeys(self._readers, self._read),
        }  # fmt: skip
        self._null: Died | bool | None = False

    def run(self, data: bytes) -> Observation:
        program = decode(data)
        state = _State(program)
        events: list[Event] = []
        files, calls, lacking, mark = self._files, self._calls, bool(self._api.lacks), self._mark
        try:
            for number, call in enumerate(program.calls, 1):
                mark[0] = number
                if lacking and call.kind in WRITES and not self._has(program, call):
                    state.file = None
                    continue
                event = calls[call.kind](state, call)
                if event is None:
                    continue
                events.append(event)
                if event.outcome is not ACCEPT and isinstance(event.value, BaseException):
                    # Its frames hold this one, and so the error itself: only the collector would ever let go of them.
                    event.value.__traceback__ = None
        finally:
            left = files.clear() if files.used else 0
        if left:
            events.append(Event("left_over", ACCEPT, "", left, Did(program.calls[-1])))
        return observe(Trace(program, events))

    def _has(self, program: Program, call: Call) -> bool:
        """Whether the parser has the dtypes of a call that writes, and can be told its specs."""
        told = call.arrays or self._spec is not None or all(one.in_memory for _, one in program.things.specs)
        return told and self._api.knows(dtype for dtype, *_ in program.content(call).tensors.values())

    # Writing.

    def _save(self, state: _State, call: Call) -> Event:
        things = state.program.things
        state.file = state.path = None
        try:
            file = self._numpy.save(_guarded(things.named_arrays), things.metadata.value)
        except BaseException as error:
            return failure("save", error, self._documented + things.array_content.fair, Did(call))
        state.file, state.writer = file, call
        return Event("save", ACCEPT, "", file, Did(call))

    def _serialize(self, state: _State, call: Call) -> Event:
        things = state.program.things
        state.file = state.path = None
        if things.null and (died := self._null_pointer()):
            return Event("serialize", REJECT, f"the process died: {died.signal}", died, Did(call))
        try:
            file = self._core.serialize(self._specs(state.program), things.metadata.value)
        except BaseException as error:
            return failure("serialize", error, self._documented + things.spec_content.fair, Did(call))
        state.file, state.writer = file, call
        return Event("serialize", ACCEPT, "", file, Did(call))

    def _write(self, state: _State, call: Call) -> Event:
        program = state.program
        state.file = state.path = None
        if not call.arrays and program.things.null and (died := self._null_pointer()):
            return Event(call.kind, REJECT, f"the process died: {died.signal}", died, Did(call))
        path = self._files.path(call.path)
        fair = self._documented + program.content(call).fair + path.fair
        event = attempt(call.kind, lambda: self._to_file(program, call.arrays, path.value), fair, Did(call))
        if event.outcome == ACCEPT:
            state.file, mode = path.read()
            event.value, event.about = state.file, Did(call, None, mode)
            state.path, state.writer = path.value, call
        return event

    def _bytes(self, program: Program, arrays: bool) -> Any:
        metadata = program.things.metadata.value
        if arrays:
            return self._numpy.save(_guarded(program.things.named_arrays), metadata)
        return self._core.serialize(self._specs(program), metadata)

    def _to_file(self, program: Program, arrays: bool, path: Any) -> None:
        metadata = program.things.metadata.value
        if arrays:
            self._numpy.save_file(_guarded(program.things.named_arrays), path, metadata)
        else:
            self._core.serialize_file(self._specs(program), path, metadata)

    def _specs(self, program: Program) -> dict[Any, Any]:
        make = self._spec
        if make is not None:
            return {saving.name(name): make(**spec.handed_over()) for name, spec in program.things.specs}
        return {
            saving.name(name): {
                "dtype": spec.arguments["dtype"],
                "shape": spec.arguments["shape"],
                "data": spec.data[: spec.arguments["data_len"]],
            }
            for name, spec in program.things.specs
        }

    def _null_pointer(self) -> Died | None:
        """How an empty tensor at address 0, where frameworks put them, ends a process: tried once, in a child of its own."""
        if self._spec is None:
            return None
        if isinstance(self._null, bool):
            self._null = _in_a_child(
                lambda: self._core.serialize(
                    {"a": self._spec(dtype="uint8", shape=[0], data_ptr=0, data_len=0)}  # type: ignore[misc]
                )
            )
        return self._null

    # Reading back. Calls that read are left out where nothing was written.

    def _read(self, state: _State, call: Call) -> Event | None:
        file = state.file
        if file is None:
            return None
        try:
            return Event(call.kind, ACCEPT, "", self._readers[call.kind](state, call), Did(call, file))
        except BaseException as error:
            return failure(call.kind, error, self._documented, Did(call, file))

    def _once_more(self, state: _State, call: Call) -> Event | None:
        file, program, writer = state.file, state.program, state.writer
        if file is None or writer is None:
            return None
        chance = len(program.things.metadata.value or ()) > 1
        return attempt("again", lambda: self._second_write(program, writer, file, chance), (), Did(call, file))

    def _otherwise(self, state: _State, call: Call) -> Event | None:
        file, program, writer = state.file, state.program, state.writer
        if file is None or writer is None:
            return None
        content = program.content(writer)
        if content.odd or not content.numpy_has:
            return None
        metadata = program.things.metadata.value
        if call.kind == "equal":
            return attempt(
                "equal", lambda: self._numpy.save(_guarded(content.equal_arrays), metadata), (), Did(call, file)
            )
        return attempt(
            "resave",
            lambda: self._numpy.save(self._numpy.load(guarded.text(file)), metadata),
            self._documented,
            Did(call, file),
        )

    def _second_write(self, program: Program, writer: Any, file: bytes, chance: bool) -> bytes:
        """The file of the same call, made once more: the first that differs, of a few where chance decides."""
        for _ in range(REPEATS if chance else 1):
            other: bytes = self._bytes(program, writer.arrays)
            if other != file:
                break
        return other

    def _load(self, state: _State, call: Call) -> Any:
        return self._numpy.load(guarded.text(state.file or b""))

    def _deserialize(self, state: _State, call: Call) -> Any:
        return self._core.deserialize(guarded.text(state.file or b""))

    def _load_file(self, state: _State, call: Call) -> Any:
        return self._numpy.load_file(self._readable(state), **self._backend(call, "numpy.load_file"))

    def _safe_open(self, state: _State, call: Call) -> Any:
        backend = self._backend(call, "safe_open")
        with self._core.safe_open(self._readable(state), framework="numpy", **backend) as file:
            names = file.keys()
            if call.whole and self._api.has("safe_open.get_tensors"):
                return file.get_tensors(), file.metadata(), names
            return {name: file.get_tensor(name) for name in names}, file.metadata(), names

    def _backend(self, call: Call, function: str) -> dict[str, str]:
        return {"backend": call.backend} if self._api.has(f"{function}(backend=)") else {}

    def _readable(self, state: _State) -> Any:
        """A path of the file written last."""
        if state.path is None:
            assert state.file is not None
            state.path = self._files.memory(state.file)
        return state.path


class _State:
    """Where a program stands: the file written last, the call that wrote it, and its path where it has one."""

    __slots__ = ("file", "path", "program", "writer")

    def __init__(self, program: Program) -> None:
        self.program = program
        self.file: bytes | None = None
        self.path: Any = None
        self.writer: Call | None = None


def _guarded(arrays: dict[Any, Any]) -> dict[Any, Any]:
    """The arrays as they are, or in guarded memory."""
    if guarded.current() is None:
        return arrays
    return {name: guarded.array(value) for name, value in arrays.items()}


def _in_a_child(call: Callable[[], Any]) -> Died | None:
    """Make ``call`` in a forked process; the signal that ended it, if one did."""
    child = os.fork()
    if child == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            signal.signal(signal.SIGABRT, signal.SIG_DFL)
            call()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return Died(signal_name(os.WTERMSIG(status))) if os.WIFSIGNALED(status) else None
