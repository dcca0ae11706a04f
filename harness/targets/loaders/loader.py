"""Loaders and savers of the frameworks, and both backends of ``safe_open``: the entry points that read one and the same file.

Each entry point gets the same bytes and gives a Reading that is made here, from the framework's own arrays alone: dtype by the
framework's word for it, shape, bytes. So what is compared never passes through the code under test a second time.
"""

from __future__ import annotations

import importlib
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.format.dtypes import DTYPE_BITS
from harness.observation import (
    ACCEPT,
    NOT_READ,
    PANIC,
    RAISE,
    REJECT,
    Event,
    Observation,
    Reading,
    Readings,
    Run,
    Trace,
    Written,
    classify,
    describe,
)
from harness.oracles.oracle import Oracle
from harness.parsers import api
from harness.programs import guarded, scripts
from harness.programs.frameworks import DTYPE_OF_WORD, Framework, Tensors
from harness.programs.scripts import Script
from harness.targets import scratch
from harness.targets.base import Target
from harness.targets.loaders import agreement, resaved

#: Entry points that any framework has: reader, and how it is asked. ``safe_open`` is asked first, as it reads a file of which
#: one tensor cannot be held.
FRAMEWORK_CALLS = (
    "deserialize", "mmap.get_tensor", "load", "load_file", "load_file.pread", "save", "save_file",
)  # fmt: skip
#: Entry points of ``safe_open`` itself.
BACKEND_CALLS = (
    "deserialize", "mmap.get_tensor", "mmap.get_tensors", "mmap.get_slice", "pread.get_tensor", "pread.get_tensors",
    "pread.get_slice",
)  # fmt: skip
#: The reader whose answer stands for the file.
MAIN = "mmap.get_tensor"
_SAVERS = ("save", "save_file")

Call = Callable[[bytes], Observation]


class Loader(Target):
    """A target whose runs ask several entry points of one framework; the frameworks say what differs between them.

    ``like`` is the framework.
    """

    oracles: tuple[Oracle, ...] = (agreement.check, resaved.check)
    built_on: tuple[str, ...] = ("safe_open",)
    #: Frameworks compile, or look for devices, with the first tensor of a kind.
    timeout_s = 30.0
    #: A framework is asked in as many ways as there are entry points, so a run takes long.
    guarded_every = 64

    like: Framework
    calls: tuple[str, ...] = FRAMEWORK_CALLS

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.module = cls.like.module
        if "calls" not in vars(cls):
            own = cls.module.rpartition(".")[2]
            functions = " ".join(f"{own}.{name}" for name in ("load", "load_file", "save", "save_file"))
            opened = "safe_open safe_open.get_tensor"
            cls.drives = (
                ("values framework", f"{functions} {opened}"),
                ("layout", f"{own}.load {own}.load_file {opened}"),
                ("values layout", "deserialize safe_open.metadata safe_open.offset_keys"),
            )

    def holds(self, modules: Mapping[str, Any]) -> frozenset[str]:
        """The dtypes of the format that the framework has, as it says itself; ``modules`` are its imports."""
        names = vars(modules[self.like.imports[0].rpartition(".")[2]])
        return frozenset(dtype for word, dtype in DTYPE_OF_WORD.items() if word in names)

    def holds_here(self) -> frozenset[str]:
        """The same, of the framework as it is installed."""
        return self.holds(self.like.modules())

    def prepare(self, modules: Mapping[str, Any]) -> None:
        """Settings of the framework, made once."""

    def open(self, safetensors: ModuleType | None) -> Run:
        """Prepare to run inputs. Raises HarnessError where the framework is there and does not work."""
        assert safetensors is not None
        modules = self.like.modules()
        with self.like.usable(self.like.imports[0]):
            self.prepare(modules)
            own = importlib.import_module(self.module)
            return _Runner(self, safetensors, own, modules).run

    def reading(self, value: Any) -> Reading:
        """The neutral form of an accepted run."""
        assert isinstance(value, Reading)
        return value

    def script(self, data: bytes) -> Script:
        """A file, and its reading by each entry point."""
        calls = [self._call_of(name, data) for name in self.calls]
        # The binding imports the framework late: without it the script cannot tell.
        head = [f"import {name}  # noqa: F401" for name in self.like.imports[:1]]
        setup = "\n".join(
            [
                *head,
                *scripts.read_file(data),
                *(["path = stored(FILE)"] if any("path" in one.source for one in calls) else []),
            ]
        )
        raw = re.sub(r"\btensor\b", "t", self.like.raw)
        return Script(
            setup, tuple(calls), {**scripts.ARRAY, "bytes": raw}, f'safe_open(path, framework="{self.like.word}")'
        )

    def _call_of(self, name: str, data: bytes) -> scripts.Call:
        """An entry point as Python; savers get ``tensors``."""
        reader, _, how = name.partition(".")
        opened = f'safe_open(path, framework="{self.like.word}"{scripts.backend(reader)})'
        if how in ("get_tensor", "get_slice"):
            return scripts.one_by_one(name, opened, f".{how}({{}})" + ("[...]" if how == "get_slice" else ""), data)
        source = {
            "deserialize": "safetensors.deserialize(FILE)",
            "load": f"{self.module}.load(FILE)",
            "load_file": f"{self.module}.load_file(path{scripts.backend(how or 'mmap')})",
            "save": f"{self.module}.save(tensors, metadata)",
            "save_file": f"{self.module}.save_file(tensors, path, metadata)",
        }.get(reader, f"{opened}.get_tensors()")
        return scripts.Call(name, source, tensors=f"dict({source})" if reader == "deserialize" else "")


class _Runner:
    """The entry points of one framework in one process, and the memory file that they read."""

    def __init__(self, target: Loader, safetensors: ModuleType, own: ModuleType, modules: dict[str, Any]) -> None:
        self._safetensors, self._own = safetensors, own
        self._refusal: type[Exception] = safetensors.SafetensorError
        self._framework = target.like.word
        self._holds = target.holds(modules)
        self._held = Tensors(target.like, modules).held
        self._input = os.memfd_create(f"{target.name}-input")
        self._path = f"/proc/self/fd/{self._input}"
        self._api = api.of(safetensors)
        self._whole = ... if self._api.has("index ...") else ()
        self._loaded: dict[str, Any] | None = None
        self._metadata: dict[str, str] | None = None
        self._calls = [(name, call) for name in target.calls if (call := self._call(target, name)) is not None]

    def run(self, data: bytes) -> Observation:
        """Ask every entry point for ``data``."""
        # Nothing reads what an earlier run had mapped: its bytes were copied out before the file changes here.
        os.ftruncate(self._input, len(data))
        os.pwrite(self._input, data, 0)
        guarded.tail(self._input)
        self._loaded = self._metadata = None
        holds, refusal = self._holds, self._refusal
        events: list[Event] = []
        for name, call in self._calls:
            try:
                outcome, error, value = call(data)
            except refusal as caught:
                outcome, error, value = REJECT, caught.args[0], caught
            except BaseException as caught:
                outcome, error, value = classify(caught, (refusal,))
            if value is not None:
                about = _ALL if name == "deserialize" else None if name in _SAVERS else holds
                events.append(Event(name, outcome, error, value, about))
        return _observation(events)

    def _call(self, target: Loader, name: str) -> Call | None:
        """The entry point of that name; None where this release has no such thing."""
        reader, _, how = name.partition(".")
        calls: dict[str, Call] = {
            "deserialize": self._deserialize, "load": self._load, "save": self._save, "save_file": self._save_file,
        }  # fmt: skip
        if name in calls:
            return calls[name]
        function = f"{target.module.rpartition('.')[2]}.load_file" if reader == "load_file" else "safe_open"
        needs = f"{function}(backend=)" if "pread" in name else f"{function}.{how}"
        if not self._api.has(needs):
            return None
        if reader == "load_file":
            more = {"backend": how} if how else {}
            return lambda data: (ACCEPT, "", self._reading(self._own.load_file(self._path, **more)))
        return lambda data: self._open(reader, how)

    # The entry points.

    def _deserialize(self, data: bytes) -> Observation:
        return ACCEPT, "", Reading(self._safetensors.deserialize(guarded.text(data)), NOT_READ)

    def _load(self, data: bytes) -> Observation:
        loaded = self._own.load(guarded.text(data))
        reading = self._reading(loaded)
        self._loaded = loaded
        return ACCEPT, "", reading

    def _open(self, backend: str, how: str) -> Observation:
        more = {"backend": backend} if self._api.has("safe_open(backend=)") else {}
        with self._safetensors.safe_open(self._path, framework=self._framework, **more) as file:
            self._metadata = file.metadata()
            by_offset = file.offset_keys() if self._api.has("safe_open.offset_keys") else None
            if how == "get_tensors":
                return ACCEPT, "", self._reading(file.get_tensors(), self._metadata, by_offset)
            return self._one_by_one(file, how, by_offset)

    def _one_by_one(self, file: Any, how: str, by_offset: list[str] | None) -> Observation:
        """Every tensor on its own. One that fails does not hide the others."""
        tensors: list[tuple[str, dict[str, Any]]] = []
        partial: dict[str, str] | None = None
        outcome, first = ACCEPT, ""
        for name in file.keys():  # noqa: SIM118 - the reader is no mapping
            try:
                tensor = file.get_tensor(name) if how == "get_tensor" else file.get_slice(name)[self._whole]
            except self._refusal as error:
                partial = partial or {}
                partial[name] = describe(error)
            except BaseException as error:
                kind, text, _ = classify(error, (self._refusal,))
                if outcome != PANIC and (kind == PANIC or outcome == ACCEPT):
                    outcome, first = kind, text
                partial = partial or {}
                partial[name] = text
            else:
                held = self._held(tensor)
                if how == "get_slice":
                    part = file.get_slice(name)
                    held |= {"said": [part.get_dtype(), part.get_shape()]}
                tensors.append((name, held))
        return outcome, first, Reading(tensors, self._metadata, by_offset, partial)

    def _save(self, data: bytes) -> Observation:
        return self._saved(lambda tensors: self._own.save(tensors, metadata=self._metadata))

    def _save_file(self, data: bytes) -> Observation:
        def save(tensors: dict[str, Any]) -> bytes:
            # A folder for each call: the saver makes a file of its own beside the one it is to write.
            with tempfile.TemporaryDirectory(prefix="harness-saved-", dir=scratch.place()) as folder:
                path = Path(folder, "model.safetensors")
                self._own.save_file(tensors, str(path), metadata=self._metadata)
                return path.read_bytes()

        return self._saved(save)

    def _saved(self, save: Callable[[dict[str, Any]], bytes]) -> Observation:
        """The file that a saver makes of the tensors of ``load``, read again; nothing where ``load`` failed."""
        if self._loaded is None:
            return REJECT, "", None
        tensors = {name: guarded.array(tensor) for name, tensor in self._loaded.items()}
        given = dict(tensors)
        read = self._reading(tensors, self._metadata)
        data = save(given)
        again: Reading | str
        try:
            again = self._reading(self._own.load(data))
        except BaseException as error:
            again = classify(error, ())[1]
        kept = given.keys() == tensors.keys() and all(given[name] is tensor for name, tensor in tensors.items())
        return ACCEPT, "", Written(read, data, again, kept)

    # The neutral form.

    def _reading(
        self, tensors: dict[str, Any], metadata: object = NOT_READ, by_offset: list[str] | None = None
    ) -> Reading:
        return Reading([(name, self._held(tensor)) for name, tensor in tensors.items()], metadata, by_offset)


_ALL = frozenset(DTYPE_BITS)


def _observation(events: list[Event]) -> Observation:
    """How the reader that goes tensor by tensor ended; or, with what it read, the worst that another did."""
    main = next(event for event in events if event.call == MAIN)
    worst = main
    for outcome in (PANIC, RAISE):
        found = next((event for event in events if event.outcome == outcome), None)
        if found is not None:
            worst = found
            break
    read = main.value
    if not isinstance(read, Reading):
        return worst.outcome, worst.error, Trace(None, events)
    value = Readings(read.tensors, read.metadata, read.offset_keys, read.partial, events)
    return worst.outcome, worst.error, value
