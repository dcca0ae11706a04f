"""``sizes``: all readers and writers at lengths, counts and ranks around powers of two, pages and blocks, from 16 B to 4 GiB."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Hashable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.errors import HarnessError
from harness.observation import ACCEPT, Event, Observation, Run, Trace, attempt, observe
from harness.parsers import api
from harness.programs import progress
from harness.programs.frameworks import for_paddle
from harness.targets import scratch
from harness.targets.base import Language, ProgramTarget, absent
from harness.targets.sizes import oracle, script
from harness.targets.sizes.calls import Session
from harness.targets.sizes.program import VOCABULARY, Call, Content, decode, rare_seeds, seeds


class Sizes(ProgramTarget):
    """Valid content of every length, which all readers and writers must take as it is."""

    name = "sizes"
    drives = (
        (
            "size layout",
            "deserialize safe_open safe_open.get_tensor safe_open.get_tensors safe_open.get_slice PySafeSlice.__getitem__",
        ),
        ("size", "serialize serialize_file TensorSpec numpy.* torch.load* torch.save* paddle.*"),
    )
    description = (
        "all readers and writers for numpy, torch and paddle, at lengths, counts and ranks around powers of two"
    )
    vocabulary = VOCABULARY
    oracles = (oracle.check,)
    language = Language(decode, script.explain, script.script)
    memory_mb = 6144
    timeout_s = 120.0
    start_s = 300.0
    built_on = ("safe_open",)
    calls = ("numpy.get_tensor.mmap", "numpy.get_tensor.pread")

    def open(self, safetensors: ModuleType | None) -> Run:
        """Prepare to run programs. Raises HarnessError where torch or paddle is there and does not work."""
        assert safetensors is not None
        return _Runner(safetensors).run

    def features(self, observation: Observation) -> Iterable[Hashable]:
        """Each call with its end, and with the lengths in bits: of the largest tensor, of all, of the header, and of counts."""
        trace = observation[2]
        if not isinstance(trace, Trace):
            return []
        sizes = _bits(trace.program.content)
        return [(event.call, event.outcome, *size) for event in trace.events for size in sizes]

    def seeds(self) -> dict[str, bytes]:
        """A program per kind of call, and per kind of length."""
        return seeds()

    def rare_seeds(self) -> dict[str, bytes]:
        """Reads and writes past 2 GiB, which is more than the kernel transfers in one system call."""
        return rare_seeds()

    def call_names(self, data: bytes) -> list[str]:
        """The kinds of the calls of a program, in order."""
        return [call.word for call in decode(data).calls]

    def needs_for(self, data: bytes) -> tuple[str, ...]:
        """Torch and paddle, for a program that calls them."""
        used = {call.framework for call in decode(data).calls}
        return tuple(name for name in ("torch", "paddle") if name in used)

    def note(self) -> str:
        """The frameworks whose calls are left out."""
        return "; ".join(
            f"{name} is not installed: its readers and writers do not run" for name in absent("torch", "paddle")
        )


def _bits(content: Content) -> list[tuple[str, int]]:
    largest = max((tensor.size for tensor in content.tensors), default=0)
    lengths = {
        "largest": largest, "next": largest + 1, "size": content.size, "header": content.header, "pad": content.pad, "whole": content.whole,
        "count": len(content.tensors), "rank": content.rank, "entries": len(content.metadata),
    }  # fmt: skip
    return [(word, length.bit_length()) for word, length in lengths.items()]


class _Runner:
    """The entry points, and a folder for files that the library writes."""

    def __init__(self, safetensors: ModuleType) -> None:
        self._safetensors = safetensors
        self._api = api.of(safetensors)
        self._documented: tuple[type[BaseException], ...] = (safetensors.SafetensorError,)
        self._modules: dict[str, Any] = {"numpy": importlib.import_module("safetensors.numpy")}
        if importlib.util.find_spec("torch"):
            try:
                torch = importlib.import_module("torch")
                torch.set_num_threads(1)
                self._modules |= {"torch": importlib.import_module("safetensors.torch"), "torch.torch": torch}
            except Exception as error:
                raise HarnessError(f"torch is installed and cannot be imported: {error}") from error
        if found := for_paddle():
            self._modules |= {"paddle": found[1], "paddle.paddle": found[0]}
        self._folder: Path | None = None
        self._mark = progress.cell()

    def run(self, data: bytes) -> Observation:
        program = decode(data)
        if self._folder is None:
            self._folder = scratch.folder("sizes")
        session = Session(self._safetensors, self._modules, program.content, self._folder)
        events: list[Event] = []
        try:
            for number, call in enumerate(program.calls, 1):
                if self._has(call):
                    self._mark[0] = number
                    event = attempt(call.word, lambda call=call: session.run(call), self._documented, call)  # type: ignore[misc]
                    if isinstance(event.value, MemoryError):
                        return event.outcome, event.error, event.value
                    if event.outcome != ACCEPT:
                        # Its traceback holds what the call had read.
                        event.value = event.value.with_traceback(None)
                    events.append(event)
        finally:
            session.close()
        return observe(Trace(program, events))

    def _has(self, call: Call) -> bool:
        if call.framework and call.framework not in self._modules:
            return False
        parts = {
            "safe_open": call.backend == "pread" and "safe_open(backend=)",
            "load_file": call.backend == "pread" and f"{call.framework}.load_file(backend=)",
            "load_model": "torch.load_model(backend=)" if call.backend == "pread" else "torch.load_model",
            "save_model": "torch.save_model",
            "serialize": "TensorSpec",
            "serialize_file": "TensorSpec",
        }
        needed = [parts.get(call.kind), call.reading == "get_tensors" and "safe_open.get_tensors"]
        return all(self._api.has(part) for part in needed if part)
