"""Values and buffers that live only while they are held, and acts in the middle of calls."""

from __future__ import annotations

import ctypes
import gc
import importlib
import importlib.util
from collections.abc import Hashable, Iterable
from types import MappingProxyType, ModuleType
from typing import Any

from harness.observation import ACCEPT, Event, Observation, Run, Trace, attempt, failure, observe
from harness.parsers import api
from harness.programs import progress
from harness.programs.frameworks import for_paddle
from harness.programs.steps import Step
from harness.targets import scratch
from harness.targets.base import UNCAUGHT, Language, ProgramTarget, absent
from harness.targets.lifetimes import faults, kit, oracle, script, writing
from harness.targets.lifetimes.program import MODEL, PATHS, SPECS, VOCABULARY, WAYS, Call, decode

_M_PERTURB = -6
_ERRORS = {one.__name__: one for one in (RuntimeError, KeyError, TypeError, ValueError, AttributeError)}


class Lifetimes(ProgramTarget):
    """Writers and readers whose arguments, handles and buffers go, change or are collected in the middle of a call."""

    name = "lifetimes"
    drives = (
        ("thread state layout", "serialize serialize_file numpy.save numpy.save_file"),
        ("thread state", "safe_open safe_open.get_* PySafeSlice.__getitem__ TensorSpec numpy.load numpy.load_file"),
        ("thread state", "torch.save torch.save_file torch.load torch.load_file"),
        ("thread", "torch.save_model torch.load_model paddle.*"),
    )
    description = "writers and readers while values, handles and buffers go, change or are collected, by programs"
    vocabulary = VOCABULARY
    oracles = (oracle.check,)
    language = Language(decode, script.explain, script.script, script.reproducer)
    memory_mb = 2048
    # A use after free may kill the process.
    runs_in_fork_server = True
    extra = "torch"
    start_s = 300.0
    # A tensor of paddle may end the process where it is let go, long after the call that made it.
    foreign = MappingProxyType({"paddle": (UNCAUGHT,)})

    def open(self, safetensors: ModuleType | None) -> Run:
        """Prepare to run programs, in a folder in memory of this process."""
        assert safetensors is not None
        return _Runner(safetensors).run

    def note(self) -> str:
        """The calls that cannot be made here."""
        notes = [f"{name} is not installed: its writers and readers do not run" for name in absent("torch", "paddle")]
        if not faults.available():
            notes.append("the kernel gives no userfaultfd: no act while a writer reads memory")
        return "; ".join(notes)

    def needs_for(self, data: bytes) -> tuple[str, ...]:
        """Torch and paddle, where the program calls them."""
        used = {call.needs for call in decode(data)}
        return tuple(name for name in ("torch", "paddle") if name in used)

    def call_names(self, data: bytes) -> list[str]:
        """The calls in order; of writers with the state of their values."""
        return [f"{call.kind}:{call.state}" if call.state else call.kind for call in decode(data)]

    def features(self, observation: Observation) -> Iterable[Hashable]:
        """Which call ended how, with which mapping, act and place; and which call followed which."""
        trace = observation[2]
        if not isinstance(trace, Trace):
            return []
        found: list[Hashable] = []
        before = ""
        for event in trace.events:
            call = event.about
            if isinstance(call, Call):
                found.append((call.kind, call.form, call.act, event.outcome))
            found.append((before, event.call, event.outcome))
            before = event.call
        return found

    def seeds(self) -> dict[str, bytes]:
        """A program per kind of story."""
        step, encode = VOCABULARY.step, VOCABULARY.encode
        two = [step("tensor"), step("tensor", 1, 1)]
        read = [step("open"), step("get_slice"), step("index")]
        plans: dict[str, list[Step]] = {
            "written": [*two, step("write")],
            "to-file": [*two, step("write", 1)],
            "specs": [*two, step("write", 5)],
            "swapped": [step("tensor", 0, 0, 4), step("tensor", 2, 0, 4), step("write", 1)],
            "kept": [*read, step("get_tensor", 0, 1, 1), step("close"), step("churn")],
            "loaded": [step("load"), step("load", 1, 1, 1), step("load", 2, 0, 2), step("unlink")],
            "index": [*read[:2], step("plan", 0, 0, 0), step("index", 0, 1)],
            "thread": [*read[:2], step("plan", 0, 1, 1), step("index", 0, 2)],
            "collection": [step("open"), step("plan", 4, 5, 2), step("get_tensor")],
        }
        if importlib.util.find_spec("torch"):
            plans["torch"] = [*two, step("plan", 2, 0, 1), step("write", 3)]
            plans["torch-kept"] = [step("open", 0, 2), step("get_tensors"), step("close"), step("churn")]
            plans["model"] = [
                *two,
                step("write", 6),
                step("load", 7),
                step("load", 8, 1, 1),
                step("unlink"),
                step("churn"),
            ]
            plans["model-held"] = [
                step("tensor", 0, 1, 4), step("tensor", 3, 5, 4), step("plan", 6, 0, 1), step("write", 6),
                step("plan", 0, 6, 1), step("load", 7),
            ]  # fmt: skip
        if importlib.util.find_spec("paddle"):
            plans["paddle"] = [*two, step("write", 7), *two, step("write", 8)]
            plans["paddle-kept"] = [
                step("load", 9), step("load", 10, 1, 1), step("load", 11, 0, 2), step("unlink"), step("churn")
            ]  # fmt: skip
            plans["paddle-thread"] = [
                step("plan", 0, 6, 1),
                step("load", 10),
                *two,
                step("plan", 6, 0, 1),
                step("write", 8),
            ]
        return {name: encode(steps) for name, steps in plans.items()}


class _Runner:
    """One process' files and names."""

    def __init__(self, safetensors: ModuleType) -> None:
        importlib.import_module("safetensors.numpy")
        self._frameworks = {""}
        if importlib.util.find_spec("torch") is not None:
            importlib.import_module("safetensors.torch")
            self._frameworks.add("torch")
        if for_paddle():
            self._frameworks.add("paddle")
        self._api = api.of(safetensors)
        self._refusal: type[BaseException] = safetensors.SafetensorError
        kit.FOLDER[:] = [str(scratch.folder("lifetimes"))]
        self._globals: dict[str, Any] = {
            **{name: getattr(kit, name) for name in dir(kit) if not name.startswith("_")},
            "written": writing.written,
            "loaded": writing.loaded,
            "safetensors": safetensors,
            "gc": gc,
            "drop": self._drop,
        }
        self._fixed = frozenset(self._globals) | {"__builtins__"}
        self._mark = progress.cell()
        self._libc = ctypes.CDLL(None)

    def _drop(self, name: str) -> None:
        self._globals.pop(name, None)

    def run(self, data: bytes) -> Observation:
        """Run a program. The C library fills the memory that is freed meanwhile."""
        program = decode(data)
        events: list[Event] = []
        for number in range(PATHS):
            kit.put(f"p{number}", number)
        self._libc.mallopt(_M_PERTURB, kit.FILL)
        try:
            for number, call in enumerate(program):
                # A name must not stand for an older value where its call is not made, or fails.
                self._drop(call.bind)
                if not self._known(call):
                    continue
                self._mark[0] = number + 1
                events += self._call(call)
        finally:
            for name in [name for name in self._globals if name not in self._fixed]:
                self._drop(name)
            self._libc.mallopt(_M_PERTURB, 0)
            kit.GONE.clear()
        return observe(Trace(program, events))

    def _known(self, call: Call) -> bool:
        """Whether the call can be made here, and what it needs is there."""
        has = self._api.has
        if call.needs not in self._frameworks:
            return False
        if call.kind in WAYS or not call.source:
            return has({MODEL: MODEL}.get(call.kind, "TensorSpec")) if call.kind in (*SPECS, MODEL) else True
        if "torch.load_model" in call.source and not has("torch.load_model"):
            return False
        if "backend=" in call.source and not has("safe_open(backend=)"):
            return False
        if "get_tensors" in call.source and not has("safe_open.get_tensors"):
            return False
        words = {word for word in ("h0", "h1", "s0", "s1") if f"{word}." in call.source or f"{word}[" in call.source}
        words |= {call.source} if call.kind == "kept" else set()
        return words <= self._globals.keys()

    def _call(self, call: Call) -> list[Event]:
        documented = (self._refusal, *(_ERRORS[name] for name in call.errors))
        event = attempt(call.kind, lambda: self._made(call), documented, call)
        if event.outcome != ACCEPT:
            # Frames would hold values past their time.
            event.value = event.value.with_traceback(None)
        events = [event]
        events += [failure(call.act or "act", error, documented) for error in kit.FAILURES]
        kit.FAILURES.clear()
        return events

    def _made(self, call: Call) -> Any:
        value = eval(call.source, self._globals)  # noqa: S307 - text of the language
        if call.bind:
            self._globals[call.bind] = value
        if not call.allowed:
            return None
        return value if call.kind in WAYS else writing.plain(value)
