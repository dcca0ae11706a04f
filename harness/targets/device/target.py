"""Words for devices and frameworks, right and wrong, on ``safe_open`` and on the loader for torch, as small programs.

Where there is a CUDA device, tensors are read onto it and compared. Elsewhere :mod:`harness.targets.device.redirect` lets the CPU stand in
for accelerators in a part of the calls. The other words for accelerators are only taken or refused, and :meth:`Device.note` says so.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
from collections.abc import Hashable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.observation import ACCEPT, PANIC, Event, Observation, Run, Trace, attempt, observe
from harness.parsers import api
from harness.programs import arrays, guarded
from harness.programs.arrays import Tensors
from harness.programs.frameworks import FRAMEWORKS
from harness.targets.base import Language, ProgramTarget
from harness.targets.device import oracle, script
from harness.targets.device.program import CPU, DTYPES, REAL, TYPES, VOCABULARY, WORDS, Call, decode
from harness.targets.device.redirect import redirected

#: Files that are kept open.
_FILES = 64


class Device(ProgramTarget):
    """Uses of ``device=...``."""

    name = "device"
    drives = (("values framework", "safe_open safe_open.get_tensor PySafeSlice.__getitem__ torch.load_file"),)
    description = (
        "safe_open(..., device=...) for all frameworks, safetensors.torch.load_file(..., device=...), by programs"
    )
    memory_mb = 4096
    vocabulary = VOCABULARY
    guarded_every = 32
    oracles = (oracle.check,)
    language = Language(decode, script.explain, script.script, script.reproducer)
    extra = "torch"

    def note(self) -> str:
        """The part that cannot be driven here: "" where there is a CUDA device and a torch to use it."""
        if importlib.util.find_spec("torch") is None:
            return (
                "torch is not installed: words for devices are tried on numpy alone, and nothing is read onto a device"
            )
        if not list(Path("/dev").glob("nvidia[0-9]*")):
            return "there is no CUDA device: words for devices are tried, and nothing is read onto one"
        return ""

    def needs_for(self, data: bytes) -> tuple[str, ...]:
        """Modules without which some calls of this program cannot be made."""
        return ("torch",) if any(call.framework == "pt" for call in decode(data)) else ()

    def open(self, safetensors: ModuleType | None) -> Run:
        """Prepare to run programs."""
        assert safetensors is not None
        return _Runner(safetensors).run

    def features(self, observation: Observation) -> Iterable[Hashable]:
        """Which words ended how, in which call."""
        trace = observation[2]
        assert isinstance(trace, Trace)
        found: list[Hashable] = []
        for e in trace.events:
            call: Call = e.about
            found.append(
                (call.kind, call.word or call.framework, call.given.form, call.given.place, e.outcome, e.error[:24])
            )
            if call.compared or call.redirected:
                found.append((call.kind, call.redirected, call.backend, call.given.place, call.file[0][1:3], e.outcome))
        return found

    def seeds(self) -> dict[str, bytes]:
        """A program per kind of word and call."""
        step, encode = VOCABULARY.step, VOCABULARY.encode
        calls = [step("open"), step("open", 1), step("open", 1, 1), step("load_file")]
        parts = [step("part", 0, 2), step("part", 1, 1)]
        return {
            "cpu": encode(calls),
            "cuda": encode([step("name"), *calls, step("name", 0, 2), *calls]),
            "number": encode([step("number"), *calls, step("number", 2), *calls]),
            "odd": encode([step("odd"), *calls]),
            "frameworks": encode([step("framework", word) for word in range(len(WORDS) - 7, -1, -1)]),
            "no frameworks": encode([step("framework", word) for word in range(len(WORDS) - 7, len(WORDS))]),
            **{
                f"redirected {kind}": encode([step("redirect"), step("name", number), *calls, *parts])
                for number, kind in enumerate(TYPES[:REAL])
            },
            "redirected number": encode([step("redirect"), step("number"), *calls, *parts]),
            "empty": encode([step("tensor", 0, 5), step("redirect"), step("name"), *calls, *parts]),
            "packed": encode([step("tensor", DTYPES.index("F4"), 12), step("redirect"), step("name"), *calls, *parts]),
        }


class _Runner:
    """Files in memory, and how each call is made on them."""

    def __init__(self, safetensors: ModuleType) -> None:
        self._safe_open = safetensors.safe_open
        self._documented = (safetensors.SafetensorError,)
        self._torch: Any = None
        self._loader: Any = None
        self._cuda = 0
        if importlib.util.find_spec("torch") is not None:
            modules = FRAMEWORKS["torch"].modules()
            self._torch, self._read = modules["torch"], FRAMEWORKS["torch"].reader(modules)
            self._loader = importlib.import_module("safetensors.torch")
            self._cuda = self._torch.cuda.device_count() if self._torch.cuda.is_available() else 0
        self._api = api.of(safetensors)
        self._files = functools.lru_cache(_FILES)(_File)

    def run(self, data: bytes) -> Observation:
        """Make the calls of a program; those of a framework that is not installed are passed over."""
        events: list[Event] = []
        for call in decode(data):
            if (call.framework == "pt" and self._torch is None) or not self._api.has(f"device {call.given.place}"):
                continue
            if not self._api.knows(dtype for _, dtype, _, _ in call.file):
                continue
            guarded.tail(self._files(call.file).descriptor)
            if call.kind == "load_file" and call.given.place and not self._here(call):
                # To read onto a device that is not there is torch's to refuse, in its own words.
                continue
            events += self._one(call)
        return observe(Trace(None if not events else data, events))

    def _one(self, call: Call) -> list[Event]:
        """The event of a call; none where the same call for the CPU panics, too."""
        documented: tuple[type[BaseException], ...] = self._documented
        if call.compared:
            plain = attempt("", lambda: self._made(call._replace(given=CPU, redirected=False)), (Exception,))
            if plain.outcome == PANIC:
                return []
            if plain.outcome == ACCEPT:
                call = call._replace(plain=plain.value)
            else:
                documented = (Exception,)
        if call.kind == "framework" and not _installed(call.framework):
            documented = (*documented, ImportError)
        return [attempt(call.function, lambda: self._made(call), documented, call)]

    def _made(self, call: Call) -> Any:
        make = functools.partial(self._loaded if call.kind == "load_file" else self._opened, call)
        return redirected(make) if call.redirected and self._torch is not None else make()

    def _here(self, call: Call) -> bool:
        """Whether what ``call`` names is here to be read onto."""
        place = call.given.place
        if call.redirected and place:
            return True
        if place == "cuda":
            index = str(call.given.value).partition(":")[2]
            return int(index or 0) < self._cuda
        if place == "number":
            return int(call.given.value.__index__()) < self._cuda
        return place == "cpu"

    def _more(self, call: Call, function: str) -> dict[str, str]:
        return {"backend": call.backend} if self._api.has(f"{function}(backend=)") else {}

    def _opened(self, call: Call) -> Any:
        path, framework = self._files(call.file).path, call.word if call.kind == "framework" else call.framework
        with self._safe_open(path, framework, device=call.given.value, **self._more(call, "safe_open")) as file:
            if call.framework == "numpy":
                return "cpu", {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118 - no mapping
            if call.framework != "pt":
                return self._of_others(call, file)
            if not call.given.place:
                return None
            if self._here(call):
                return self._contents(_read(call, file))
            # Torch refuses a device that is not there, in its own words.
            with contextlib.suppress(Exception):
                _read(call, file)
            return None

    def _of_others(self, call: Call, file: Any) -> None:
        """Without its framework, no tensor can be had. With it, tensors are the subject of other targets."""
        names = file.keys()
        if not _installed(call.framework):
            file.get_tensor(names[0])

    def _loaded(self, call: Call) -> Any:
        if not call.given.place:
            # Words that name nothing are refused when the file is opened, or are taken: what torch says then is its own.
            try:
                return self._opened(call)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
        more = self._more(call, "torch.load_file")
        return self._contents(self._loader.load_file(self._files(call.file).path, device=call.given.value, **more))

    def _contents(self, tensors: dict[str, Any]) -> Any:
        """The kind of device they are on (of several, the odd one), and their bytes."""
        places = sorted({tensor.device.type for tensor in tensors.values()}, key=lambda kind: kind == "cpu")
        contents = {name: self._bytes(tensor.cpu()) for name, tensor in tensors.items()}
        return places[0], contents

    def _bytes(self, tensor: Any) -> bytes:
        return b"" if 0 in tensor.shape else self._read(tensor)


class _File:
    """A file in memory."""

    def __init__(self, tensors: Tensors) -> None:
        self.descriptor = os.memfd_create("device-input")
        os.pwrite(self.descriptor, arrays.file(tensors), 0)
        self.path = f"/proc/self/fd/{self.descriptor}"

    def __del__(self) -> None:
        os.close(self.descriptor)


def _read(call: Call, file: Any) -> dict[str, Any]:
    if call.kind == "part":
        return {"a": file.get_slice("a")[arrays.index(call.subscript)]}
    return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping


def _installed(framework: str) -> bool:
    return not framework or importlib.util.find_spec("torch" if framework == "pt" else framework) is not None
