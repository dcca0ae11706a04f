"""Words for devices, right and wrong, on ``safe_open`` and on the loader for torch, as small programs.

Where there is a CUDA device, tensors are read onto it and compared. Where there is none, words for accelerators are only taken
or refused, and :meth:`Device.note` says so.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Hashable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.observation import Event, Observation, Run, Trace, attempt, observe
from harness.parsers import api
from harness.programs import arrays, guarded
from harness.targets.base import Language, ProgramTarget
from harness.targets.device import oracle, script
from harness.targets.device.program import FILE, VOCABULARY, Call, decode


class Device(ProgramTarget):
    """Uses of ``device=...``."""

    name = "device"
    drives = (("values framework", "safe_open safe_open.get_tensor torch.load_file"),)
    description = (
        "safe_open(..., device=...) for numpy and torch, safetensors.torch.load_file(..., device=...), by programs"
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
        return [
            (e.call, e.about.framework, e.about.given.form, e.about.given.place, e.outcome, e.error[:24])
            for e in trace.events
        ]

    def seeds(self) -> dict[str, bytes]:
        """A program per kind of word and call."""
        step, encode = VOCABULARY.step, VOCABULARY.encode
        calls = [step("open"), step("open", 1), step("open", 1, 1), step("load_file")]
        return {
            "cpu": encode(calls),
            "cuda": encode([step("name"), *calls, step("name", 0, 2), *calls]),
            "number": encode([step("number"), *calls, step("number", 2), *calls]),
            "odd": encode([step("odd"), *calls]),
        }


class _Runner:
    """One file in memory, and how each call is made on it."""

    def __init__(self, safetensors: ModuleType) -> None:
        self._safe_open = safetensors.safe_open
        self._documented = (safetensors.SafetensorError,)
        self._torch: Any = None
        self._loader: Any = None
        self._cuda = 0
        if importlib.util.find_spec("torch") is not None:
            self._torch = importlib.import_module("torch")
            self._loader = importlib.import_module("safetensors.torch")
            self._cuda = self._torch.cuda.device_count() if self._torch.cuda.is_available() else 0
        self._api = api.of(safetensors)
        raw = arrays.file(FILE)
        descriptor = os.memfd_create("device-input")
        os.pwrite(descriptor, raw, 0)
        self._descriptor = descriptor
        self._path = f"/proc/self/fd/{descriptor}"

    def run(self, data: bytes) -> Observation:
        """Make the calls of a program; those of a framework that is not installed are passed over."""
        events: list[Event] = []
        guarded.tail(self._descriptor)
        for call in decode(data):
            if (call.framework == "pt" and self._torch is None) or not self._api.has(f"device {call.given.place}"):
                continue
            made = self._opened if call.kind == "open" else self._loaded
            if call.kind == "load_file" and call.given.place and not self._here(call):
                # To read onto a device that is not there is torch's to refuse, in its own words.
                continue
            events.append(attempt(call.kind, lambda made=made, call=call: made(call), self._documented, call))  # type: ignore[misc]
        return observe(Trace(None if not events else data, events))

    def _here(self, call: Call) -> bool:
        """Whether what ``call`` names is here to be read onto."""
        place = call.given.place
        if place == "cuda":
            index = str(call.given.value).partition(":")[2]
            return int(index or 0) < self._cuda
        if place == "number":
            return int(call.given.value.__index__()) < self._cuda
        return place == "cpu"

    def _more(self, call: Call, function: str) -> dict[str, str]:
        return {"backend": call.backend} if self._api.has(f"{function}(backend=)") else {}

    def _opened(self, call: Call) -> Any:
        with self._safe_open(
            self._path, call.framework, device=call.given.value, **self._more(call, "safe_open")
        ) as file:
            if call.framework == "numpy":
                return "cpu", {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118 - no mapping
            if not self._here(call):
                return None
            return self._contents({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118

    def _loaded(self, call: Call) -> Any:
        if not call.given.place:
            # Words that name nothing are refused when the file is opened, or are taken: what torch says then is its own.
            try:
                return self._opened(call)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
        more = self._more(call, "torch.load_file")
        return self._contents(self._loader.load_file(self._path, device=call.given.value, **more))

    def _contents(self, tensors: dict[str, Any]) -> Any:
        """The kind of device they are on (of several, the odd one), and their bytes."""
        places = sorted({tensor.device.type for tensor in tensors.values()}, key=lambda kind: kind == "cpu")
        contents = {
            name: tensor.cpu().reshape(-1).view(self._torch.uint8).numpy().tobytes() for name, tensor in tensors.items()
        }
        return places[0], contents
