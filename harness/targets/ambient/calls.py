"""Makes the calls of programs of target ``ambient``, each within its states, and leaves the process as it was."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import os
import sys
import threading
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy

from harness.observation import ACCEPT, Event, attempt
from harness.parsers import api
from harness.programs import arrays
from harness.programs.arrays import WRITER_DTYPES
from harness.programs.frameworks import for_paddle
from harness.targets import scratch
from harness.targets.ambient import answers, process
from harness.targets.ambient.answers import File, Raw
from harness.targets.ambient.program import (
    INDICES,
    MODULES,
    NAMES,
    ON_FILE,
    PARTS,
    PATHS,
    STRICT,
    WITH_PATH,
    WRITES,
    Call,
    Program,
)
from harness.targets.ambient.states import STATES, last_directory

#: Dtypes that paddle has by name alone, and the one whose name means another there.
_ODD_IN_PADDLE = ("U16", "U32", "U64")
_INPUT, _OUTPUT = "model.safetensors", "written.safetensors"
#: "If there is any error occurred in the trace function, it will be unset" (Python, sys.settrace): a full stack is one.
_UNSET_BY_ERRORS = ("trace", "profile")


class Made(NamedTuple):
    """The end of a call: how it ended, its error, and its answer; the aspects of the process that it changed."""

    call: Call
    outcome: str
    error: str
    answer: Any
    changed: tuple[str, ...]


class Runner:
    """The folders, and how each call is made."""

    def __init__(self, safetensors: ModuleType) -> None:
        self.package = safetensors
        self._documented: tuple[type[BaseException], ...] = (safetensors.SafetensorError,)
        self.torch: Any = None
        self.loaders: dict[str, Any] = {"numpy": importlib.import_module(f"{safetensors.__name__}.numpy")}
        if importlib.util.find_spec("torch") is not None:
            self.torch = importlib.import_module("torch")
            self.torch.set_num_threads(1)
            self.loaders["pt"] = importlib.import_module(f"{safetensors.__name__}.torch")
        if found := for_paddle():
            self.paddle, self.loaders["paddle"] = found
        words = {"numpy": "", "pt": "torch", "paddle": "paddle"}
        self._present = {words[name] for name in self.loaders}
        self.handle: Any = getattr(safetensors, "_safe_open_handle", None)
        self.api = api.of(safetensors)
        base = scratch.folder("ambient")
        self._here, self._other, self._gone = base / "here", base / "other", base / "gone"
        self._here.mkdir()
        self._other.mkdir()
        self._arrays = lru_cache(256)(self._make_arrays)

    def possible(self, program: Program) -> Program:
        """The program without calls and states that cannot be had here."""
        if not self.api.knows(dtype for _, dtype, _, _ in program.tensors):
            return program._replace(calls=())
        # By mmap paddle views no empty tensor (crashes/defects/paddle-empty-view.toml), or ends the process over its place.
        empty = any(0 in shape for _, _, shape, _ in program.tensors)
        calls = (call for call in program.calls if self._has(call) and not (empty and call.route == "paddle mmap"))
        calls = (
            call._replace(states=tuple(n for n in call.states if STATES[n].needs in self._present)) for call in calls
        )
        return program._replace(calls=tuple(calls))

    def _has(self, call: Call) -> bool:
        if call.framework not in self.loaders:
            return False
        if call.backend == "pread" and not self.api.has("safe_open(backend=)"):
            return False
        parts = {
            "open_handle": "_safe_open_handle", "get_tensors": "safe_open.get_tensors", "names": "safe_open.offset_keys",
            "serialize": "TensorSpec", "serialize_file": "TensorSpec", "save_model": "torch.save_model",
            "load_model": "torch.load_model",
        }  # fmt: skip
        return call.kind not in parts or self.api.has(parts[call.kind])

    def run(self, program: Program) -> list[Made]:
        """Make the calls in order. The process is afterwards as before."""
        content = arrays.file(program.tensors, program.metadata)
        for folder in (self._here, self._other):
            (folder / _INPUT).write_bytes(content)
            (folder / _OUTPUT).unlink(missing_ok=True)
        session = _Session(self, program, content)
        try:
            return [self._one(session, call) for call in program.calls]
        finally:
            session.close()

    def _one(self, session: _Session, call: Call) -> Made:
        """One call within its states."""
        entered = [STATES[number] for number in call.states]
        thread = next((state.value for state in entered if state.kind == "thread"), "")
        limit = min((state.limit for state in entered if state.limit), default=0)
        # Once each: torch takes the newest of its modes off for a second default device. Warnings are filtered last: to enter
        # another state may warn.
        entered = sorted(dict.fromkeys(entered), key=lambda state: state.kind == "warnings")
        inside = [state for state in entered if thread == "of its own" and not state.process]
        outside = [state for state in entered if state not in inside]
        run: Callable[[], Any] = session.call(call)
        made: list[tuple[Event, list[str]]] = []

        def within() -> None:
            with contextlib.ExitStack() as stack:
                for state in inside:
                    stack.enter_context(state.enter())
                before = process.settings()
                event = attempt(call.kind, _limited(run, limit) if limit else run, self._documented)
                changed = process.changed(before, process.settings())
                process.restore(before, changed)
                made.append((event, [name for name in changed if not (limit and name in _UNSET_BY_ERRORS)]))

        with contextlib.ExitStack() as stack:
            stack.enter_context(self._directory(call))
            for state in outside:
                stack.enter_context(state.enter())
            if thread:
                worker = threading.Thread(target=within)
                worker.start()
                worker.join()
            else:
                within()
        ((event, changed),) = made
        if event.outcome != ACCEPT:
            return Made(call, event.outcome, event.error, event.value, tuple(changed))
        return Made(call, ACCEPT, "", session.answer(call, event.value), tuple(changed))

    @contextlib.contextmanager
    def _directory(self, call: Call) -> Iterator[None]:
        """The current directory of the call's last state that names one; a folder with the file where none does."""
        named = last_directory(call.states)
        before = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            if named == "removed":
                self._gone.mkdir()
                os.chdir(self._gone)
                self._gone.rmdir()
            else:
                os.chdir(self._other if named else self._here)
            yield
        finally:
            os.fchdir(before)
            os.close(before)

    def folder(self, call: Call) -> Path:
        """The folder that a path of the call leads to: relative ones lead to the current directory."""
        away = any(STATES[number].kind == "directory" for number in call.states)
        return self._other if away and PATHS[call.path][1] else self._here

    def path(self, call: Call, name: str) -> Any:
        """The path argument of a call."""
        folder = self.folder(call)
        source, _ = PATHS[call.path]
        text = source.removeprefix("Path('").removesuffix("')").format(here=folder, name=name, folder=folder.name)
        return Path(text) if source.startswith("Path") else text

    def arrays(self, program: Program, framework: str) -> dict[str, Any]:
        """The tensors of the program by name, for a framework; for "zeros", torch's with other content."""
        return {name: self._arrays(framework, dtype, shape, salt) for name, dtype, shape, salt in program.tensors}

    def _make_arrays(self, framework: str, dtype: str, shape: tuple[int, ...], salt: int) -> Any:
        content = arrays.content(dtype, shape, salt)
        if framework == "zeros":
            content = bytes(len(content))
        if framework == "numpy":
            made = arrays.array(dtype, shape, salt)
            return numpy.frombuffer(content, "uint8") if made is None else made
        if framework == "paddle":
            return self._of_paddle(dtype, shape, content)
        torch = self.torch
        kind = getattr(torch, WRITER_DTYPES[dtype], torch.uint8)
        if not content:
            return torch.empty(shape, dtype=kind)
        flat = torch.frombuffer(bytearray(content), dtype=torch.uint8).view(kind)
        return flat.reshape(shape) if flat.numel() == numpy.prod(shape, dtype=int) else flat

    def _of_paddle(self, dtype: str, shape: tuple[int, ...], content: bytes) -> Any:
        """A tensor of paddle; bytes for a dtype that it lacks, or cannot reshape."""
        kind = getattr(self.paddle, WRITER_DTYPES[dtype], None)
        if kind is None or dtype in _ODD_IN_PADDLE:
            return self.paddle.to_tensor(numpy.frombuffer(content, "uint8"))
        if not content:
            return self.paddle.empty(shape, kind)
        return self.paddle.to_tensor(numpy.frombuffer(content, "uint8")).view(kind).reshape(shape)


def _limited(run: Callable[[], Any], more: int) -> Callable[[], Any]:
    """The call with a stack that may grow by ``more`` frames."""

    def limited() -> Any:
        depth, frame = 0, inspect.currentframe()
        while frame is not None:
            depth, frame = depth + 1, frame.f_back
        before = sys.getrecursionlimit()
        sys.setrecursionlimit(depth + more)
        try:
            return run()
        finally:
            sys.setrecursionlimit(before)

    return limited


class _Session:
    """One run of a program: its open file, and the tensors that its calls get."""

    def __init__(self, runner: Runner, program: Program, content: bytes) -> None:
        self._runner, self._program, self._content = runner, program, content
        self._file: Any = None
        self._model: Any = None
        self._own = contextlib.ExitStack()

    def close(self) -> None:
        """Close the open files."""
        self._own.close()
        if self._file is not None:
            self._file.__exit__(None, None, None)
            self._file = None

    def call(self, call: Call) -> Callable[[], Any]:
        """The call as a function without arguments. Arguments are made here, outside the states."""
        runner = self._runner
        package, module = runner.package, runner.loaders[call.framework]
        reads = _INPUT if call.kind not in WRITES else _OUTPUT
        path = runner.path(call, reads) if call.kind in WITH_PATH else None
        metadata = None if self._program.metadata is None else dict(self._program.metadata)
        more = {"backend": call.backend} if runner.api.has("safe_open(backend=)") else {}
        content = self._content
        if call.kind == "load":
            return lambda: module.load(content)
        if call.kind == "load_file":
            return lambda: module.load_file(path, **more)
        if call.kind == "deserialize":
            return lambda: package.deserialize(content)
        if call.kind in ("open", "open_handle"):
            self.close()
            return lambda: self._open(call, path, more)
        if call.kind == "close":
            return self.close
        if call.kind == "index":
            return self._index(call, more)
        if call.kind in ON_FILE:
            return lambda: self._asked(call, more)
        if call.kind in MODULES:
            model = self._model = self._module(call, zero=call.kind == "load_model")
            if call.kind == "save_model":
                return lambda: module.save_model(model, str(path), metadata)
            return lambda: module.load_model(model, path, strict=STRICT[call.first % len(STRICT)], **more)
        given = runner.arrays(self._program, call.framework)
        if call.kind in ("serialize", "serialize_file"):
            given = {name: self._spec(given[name], dtype, shape) for name, dtype, shape, _ in self._program.tensors}
            if call.kind == "serialize":
                return lambda: (package.serialize(given, metadata), [_fields(spec) for spec in given.values()])
            return lambda: package.serialize_file(given, path, metadata)
        if call.kind == "save":
            return lambda: module.save(given, metadata)
        if call.kind == "save_shared":
            return lambda: answers.or_refusal(
                lambda: module.save({**given, "shared": next(iter(given.values()))}, metadata)
            )
        return lambda: module.save_file(given, path, metadata)

    def _spec(self, array: Any, dtype: str, shape: tuple[int, ...]) -> Any:
        """A specification of memory; one without elements points to a byte."""
        address = array.ctypes.data if isinstance(array, numpy.ndarray) else array.data_ptr()
        size = len(arrays.content(dtype, shape))
        spec = self._runner.package.TensorSpec
        return spec(dtype=WRITER_DTYPES[dtype], shape=list(shape), data_ptr=address or _BYTE.ctypes.data, data_len=size)

    def _open(self, call: Call, path: Any, more: dict[str, str]) -> None:
        package = self._runner.package
        if call.kind == "open":
            self._file = package.safe_open(path, call.framework, **more).__enter__()
            return
        with open(path, "rb") as file:
            self._file = self._runner.handle(file, call.framework, **more).__enter__()

    def _index(self, call: Call, more: dict[str, str]) -> Callable[[], Any]:
        """A part of a slice object that is made here, outside the states. A refusal of the object is raised within them."""
        try:
            file = self._file if self._file is not None else self._own.enter_context(self._open_own(call, more))
            part = file.get_slice(NAMES[call.first % len(self._program.tensors)])
        except Exception as error:
            return partial(_raise, error)
        return lambda: self._part(part, call)

    def _open_own(self, call: Call, more: dict[str, str]) -> Any:
        """The input as a new open file."""
        path = str(self._runner.folder(call._replace(path=0)) / _INPUT)
        return self._runner.package.safe_open(path, call.framework, **more)

    def _asked(self, call: Call, more: dict[str, str]) -> Any:
        """A call on the open file, or on one of its own."""
        if self._file is not None:
            return self._ask(self._file, call)
        with self._open_own(call, more) as file:
            return self._ask(file, call)

    def _ask(self, file: Any, call: Call) -> Any:
        if call.kind == "get_tensors":
            return file.get_tensors()
        if call.kind == "names":
            return file.keys(), file.offset_keys(), file.metadata()
        name = NAMES[call.first % len(self._program.tensors)]
        if call.kind == "get_tensor":
            return {name: file.get_tensor(name)}
        return self._part(file.get_slice(name), call)

    def _part(self, part: Any, call: Call) -> Any:
        return part.get_shape(), part.get_dtype(), part[arrays.index(INDICES[call.second % len(INDICES)])]

    def _module(self, call: Call, *, zero: bool) -> Any:
        """A module of the tensors as parameters or buffers; for ``save_model``, an odd number ties the last to the first."""
        torch = self._runner.torch
        module = torch.nn.Module()
        for name, tensor in self._runner.arrays(self._program, "zeros" if zero else "pt").items():
            if tensor.dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16):
                module.register_parameter(name, torch.nn.Parameter(tensor.clone()))
            else:
                module.register_buffer(name, tensor.clone())
        # The metadata that a tie adds is the only entry: the order of two is another subject.
        if call.kind == "save_model" and call.first % 2 and not self._program.metadata:
            first = next(iter(module.state_dict(keep_vars=True).values()))
            tie = module.register_parameter if isinstance(first, torch.nn.Parameter) else module.register_buffer
            tie("tied", first)
        return module

    def answer(self, call: Call, value: Any) -> Any:
        """The answer of a call in its form, read outside all states."""
        if call.kind in ("load", "load_file", "get_tensor", "get_tensors"):
            return answers.tensors(value)
        if call.kind in PARTS:
            shape, dtype, part = value
            return answers.tensors({"part": part}, (shape, dtype))
        if call.kind == "load_model":
            missing, unexpected = value
            return answers.tensors(dict(self._model.state_dict()), (sorted(missing), sorted(unexpected)))
        if call.kind == "save" or (call.kind == "save_shared" and isinstance(value, bytes)):
            return File(value)
        if call.kind in WRITES:
            path = self._runner.folder(call) / _OUTPUT
            if not path.exists():
                return Raw("no file")
            path.chmod(0o600)
            written = path.read_bytes()
            path.unlink()
            return Raw(written) if call.kind == "serialize_file" else File(written)
        if call.kind == "deserialize":
            return Raw(sorted((name, one["dtype"], list(one["shape"]), bytes(one["data"])) for name, one in value))
        if call.kind == "names":
            keys, by_offset, metadata = value
            return Raw((keys, sorted(by_offset), metadata))
        return Raw(value)


def _raise(error: Exception) -> Any:
    raise error


def _fields(spec: Any) -> tuple[Any, ...]:
    """The fields of a specification. The address differs from run to run."""
    return spec.dtype, list(spec.shape), spec.data_len, spec.data_ptr > 0


_BYTE = numpy.zeros(1, "uint8")
