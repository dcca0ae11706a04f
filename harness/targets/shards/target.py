"""Sharded checkpoints: an index and its files, in order and not, through readers that follow it."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import sys
import tempfile
from collections.abc import Hashable, Iterable
from functools import partial
from types import MappingProxyType, ModuleType
from typing import Any

from harness.observation import Event, Observation, Run, Trace, attempt, observe
from harness.parsers import api
from harness.programs import arrays
from harness.targets import scratch
from harness.targets.base import Language, ProgramTarget
from harness.targets.shards import oracle, script
from harness.targets.shards.program import OUTSIDE, OUTSIDE_TENSORS, VOCABULARY, Program, decode
from harness.targets.shards.reader import BadIndex, read_sharded


class Shards(ProgramTarget):
    """A folder per program, read by our own reader over ``safe_open``, and by huggingface_hub's where it is installed."""

    name = "shards"
    drives = (("values file", "safe_open safe_open.get_tensor safe_open.keys"),)
    description = "model.safetensors.index.json and its shards: safe_open by the index, and huggingface_hub's readers"
    # torch, where huggingface_hub's loader needs it.
    memory_mb = 2048
    vocabulary = VOCABULARY
    oracles = (oracle.check,)
    language = Language(decode, script.explain, script.script)
    #: Reported there, and never filed here.
    foreign = MappingProxyType({"huggingface_hub": ("hub.",)})

    def open(self, safetensors: ModuleType | None) -> Run:
        """Prepare to run programs; huggingface_hub's loader takes part where torch is installed as well."""
        assert safetensors is not None
        return _Runner(safetensors).run

    def features(self, observation: Observation) -> Iterable[Hashable]:
        """The fault of the folder, and how each reader took it."""
        trace = observation[2]
        if not isinstance(trace, Trace):
            return []
        program: Program = trace.program
        found: set[Hashable] = {(kind, program.wrong) for kind in program.kinds}
        found |= {(event.call, event.outcome, program.wrong, event.error[:24]) for event in trace.events}
        found.add((len(program.files), min(len(program.weights), 4)))
        return found

    def seeds(self) -> dict[str, bytes]:
        """A folder in order, and one for each way of being out of it."""
        step, encode = VOCABULARY.step, VOCABULARY.encode
        two = [step("tensor"), step("tensor", 1, 1, 3), step("tensor", 1, 2, 5)]
        plans = {
            "in-order": two,
            "doubled": [*two, step("doubled", 0, 1)],
            "unmapped": [*two, step("unmapped", 2), step("metadata", 1)],
            "linked": [*two, step("path", 0, 1), step("path", 1, 2)],
            "escaping": [*two, step("path", 1, 4)],
            "absolute": [*two, step("path", 0, 5)],
            "cyclic": [*two, step("path", 0, 6)],
            "missing": [*two, step("missing", 1)],
            "moved": [*two, step("moved", 0, 1)],
            "ghost": [*two, step("ghost", 0, 1)],
            "damaged": [*two, step("damaged", 1, 0)],
            "no-index": [*two, step("index")],
            "no-weight-map": [*two, step("index", 4)],
        }
        return {name: encode(steps) for name, steps in plans.items()}


class _Runner:
    """The readers of one process."""

    def __init__(self, safetensors: ModuleType) -> None:
        self._safe_open = safetensors.safe_open
        self._api = api.of(safetensors)
        self._backends = ("mmap", "pread") if self._api.has("safe_open(backend=)") else ("mmap",)
        self._documented: tuple[type[BaseException], ...] = (safetensors.SafetensorError, BadIndex, OSError)
        self._hub = _Hub(safetensors) if importlib.util.find_spec("huggingface_hub") else None
        # In memory: a folder is written for every program.
        self._place = scratch.place()

    def run(self, data: bytes) -> Observation:
        program = decode(data)
        events: list[Event] = []
        if any(f'"{dtype}"'.encode() in raw for dtype in self._api.dtypes for _, raw in program.files):
            return observe(Trace(program, events))
        with tempfile.TemporaryDirectory(
            prefix=f"shards-{os.getpid():07d}-", dir=self._place, ignore_cleanup_errors=True
        ) as root:
            beside = arrays.file(OUTSIDE_TENSORS)
            folder = script.write_folder(
                root, dict(program.files), dict(program.weights), program.text, OUTSIDE, beside
            )
            for backend in self._backends:
                options = {"backend": backend} if len(self._backends) > 1 else {}
                read = partial(read_sharded, folder, self._safe_open, **options)
                events.append(attempt("safe_open", read, self._documented, backend))
            if self._hub is not None:
                events += self._hub.events(folder)
        return observe(Trace(program, events))


class _Sink:
    """A stand-in for a model that huggingface_hub's loader fills: it keeps the tensors that it gets."""

    def __init__(self) -> None:
        self.held: dict[str, Any] = {}

    def load_state_dict(self, state: dict[str, Any], *, strict: bool = False) -> None:
        self.held.update(state)

    def state_dict(self) -> dict[str, Any]:
        return {}


class _Hub:
    """huggingface_hub's readers of local checkpoints, without network: headers always, tensors where torch is installed."""

    def __init__(self, safetensors: ModuleType) -> None:
        os.environ["HF_HUB_OFFLINE"] = "1"
        hub: Any = importlib.import_module("huggingface_hub")
        errors: Any = importlib.import_module("huggingface_hub.errors")
        # Of releases that read local folders.
        self._metadata = getattr(hub, "get_local_safetensors_metadata", None)
        self._load = None
        if importlib.util.find_spec("torch"):
            self._load = hub.load_torch_model
            # It has a line to say of every folder that is not in order; its logger has the name of its file.
            logging.getLogger(sys.modules[self._load.__module__].__file__).setLevel(logging.ERROR)
        own = (errors.NotASafetensorsRepoError, errors.SafetensorsParsingError)
        self._documented: tuple[type[BaseException], ...] = (safetensors.SafetensorError, OSError, ValueError, *own)

    def events(self, folder: str) -> list[Event]:
        """The answer of each reader to the folder."""
        found = []
        if self._metadata is not None:
            found.append(attempt("hub.metadata", partial(self._metadata, folder), self._documented, "headers"))
        if self._load is not None:
            found.append(attempt("hub.load", partial(self._loaded, folder), self._documented, "torch"))
        return found

    def _loaded(self, folder: str) -> dict[str, Any]:
        sink = _Sink()
        assert self._load is not None
        self._load(sink, folder)
        return {name: tensor.numpy() for name, tensor in sink.held.items()}
