"""The Rust API that candle, burn and others call directly, through an extension compiled from the parser's source."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.errors import HarnessError
from harness.format.dtypes import DTYPE_BITS
from harness.observation import ACCEPT, PANIC, REJECT, Event, Observation, Run, Trace, describe, observe
from harness.parsers import api, runtime
from harness.parsers.crate_api import extension, library
from harness.parsers.crate_api.library import Crate, Item, Lacking, PanicException, Refusal
from harness.parsers.registry import Parser
from harness.programs.arrays import DTYPES, SHAPES
from harness.programs.steps import Step
from harness.targets import scratch
from harness.targets.base import Language, ProgramTarget
from harness.targets.crate import oracle, rust
from harness.targets.crate.expectation import overflows
from harness.targets.crate.program import ABSENT, PLACES, VOCABULARY, Call, Program, decode


class RustCrate(ProgramTarget):
    """Files, parts of tensors, and values of the caller's, as a Rust program hands them to the crate."""

    name = "crate"
    description = "the Rust API: SafeTensors, TensorView, Metadata, IndexOp, serialize, Dtype, by programs"
    vocabulary = VOCABULARY
    oracles = (oracle.check,)
    # A file with the longest header, and its text.
    memory_mb = 1024
    language = Language(decode, rust.explain, lambda program: None, rust.reproducer)
    built_on = ("deserialize", "slices", "backends", "parallel", "writers")
    calls = ("deserialize", "read_metadata")
    alike = {  # noqa: RUF012 - as the base class declares it
        "slice": ("get_slice", "mmap.get_slice"),
        "slice_byte_ranges": ("get_slice", "mmap.get_slice"),
        "serialize_to_file": ("serialize_file", "serialize"),
    }

    def open(self, safetensors: ModuleType | None) -> Run:
        """Prepare to run programs. Raises HarnessError where the parser has no extension for the Rust API."""
        parser = runtime.loaded()
        if parser is None:
            raise HarnessError("the Rust API needs a build of the parser", hint="harness build")
        return _Runner(Crate(extension.find(parser)), api.of_parser(parser)).run

    def instrumented(self, parser: Parser) -> Path:
        """The module whose counters tell what a run reached: the extension."""
        return extension.find(parser).path

    def features(self, observation: Observation) -> Iterable[Hashable]:
        """Which calls ended how, by the form of an index, and which followed which."""
        trace = observation[2]
        if not isinstance(trace, Trace):
            return []
        found: list[Hashable] = []
        before = ""
        for event in trace.events:
            call: Call = event.about
            error = event.value.variant if event.outcome == REJECT else event.error[:48]
            kinds = tuple((item.kind, item.left, item.right, item.step > 1) for item in call.items[:3])
            found += [
                (before, event.call, event.outcome),
                (event.call, call.form, call.place, kinds, event.outcome, error),
            ]
            if 0 <= call.tensor < len(trace.program.tensors):
                _, dtype, shape, _ = trace.program.tensors[call.tensor]
                found.append((event.call, DTYPE_BITS[dtype], len(shape), 0 in shape, event.outcome))
            before = event.call
        return found

    def seeds(self) -> dict[str, bytes]:
        """A program per kind of call."""
        step, encode = VOCABULARY.step, VOCABULARY.encode
        file = [step("tensor", 0, 3), step("tensor", 1, 16, 1)]
        plans: dict[str, list[Step]] = {
            "file": [*file, step("entry"), step("deserialize"), step("read_metadata"), step("named"), step("named", 1)],
            "absent": [*file, step("named", 3)],
            "empty": [step("no_tensors"), step("deserialize"), step("read_metadata")],
            "parts": [*file, step("part"), step("range", 1, 0, 1), step("range", 3)],
            "one": [*file, step("part", 0, 1), step("range", 0, 1)],
            "tuple": [*file, step("part", 1, 2), step("range", 0, 1), step("range", 4, 0, 0), step("range", 5, 0, 1)],
            "tuple of one": [*file, step("part", 0, 2), step("range", 1, 0, 1)],
            "tuple of two": [*file, step("part", 0, 2), step("range", 1, 0, 1), step("range", 1, 0, 2)],
            "narrow": [*file, step("part", 1), step("narrow", 5, 0, 1), step("narrow", 0), step("stride", 1)],
            "ranges": [*file, step("byte_ranges"), step("range", 2, 1)],
            "words": [*file, step("display"), step("range", 1, 0, 2), step("stride", 1), step("range", 0, 1)],
            "values": [*file, step("view"), step("metadata"), step("entry"), step("header")],
            "writers": [*file, *(step("serialize", kind) for kind in range(4)), step("serialize_to_file")],
            "about": [step("dtypes"), step("errors")],
            "short": [*file, step("damage", 0, 0, 255), step("deserialize")],
            "long": [*file, step("damage", 2, 0, 0), step("deserialize")],
            "sub-byte": [step("tensor", DTYPES.index("F4")), step("part"), step("range"), step("range", 1, 0, 1)],
            "sub-byte rows": [
                step("tensor", DTYPES.index("F4"), 3, 128),
                step("part"),
                step("range", 0, 0, 1),
                step("range", 1, 0, 4),
            ],
            "none": [*file, step("change", 0, 10), step("change", 0, 10), step("metadata"), step("serialize")],
            "header": [*file, step("entry"), step("header_text"), step("header_into"), step("header_into", 255)],
            "wrong header": [*file, step("damage", 4, 40, 9), step("header_text")],
            "refusal": [*file, step("change", 0, 0), *(step("refusal_into", room) for room in (0, 30, 255))],
            "past the limit": [*file, step("past_limit")],
            "file past the limit": [*file, step("past_limit", 1)],
            "at the limit": [*file, step("past_limit", 0, 1)],
            "file at the limit": [*file, step("past_limit", 1, 1)],
            "damaged": [*file, step("damage", 0), step("deserialize"), step("read_metadata")],
        }
        plans |= _pairs_of_items()
        return {name: encode(steps) for name, steps in plans.items()}

    def call_names(self, data: bytes) -> list[str]:
        """The kinds of the calls of a program, in order."""
        return [call.kind for call in decode(data).calls]


def _pairs_of_items() -> dict[str, list[Step]]:
    """Parts by each pair of some items, of rows of five elements: of whole bytes, of four bits, and of six."""
    step = VOCABULARY.step
    outer = [step("range", 0, 1), step("range", 0, 4), step("range", 1, 1, 3), step("range", 2, 4)]
    inner = [step("range", 0, 3), step("range", 5, 0, 4), step("range", 1, 1, 8), step("range", 2, 1), step("range", 3)]
    plans = {}
    for dtype, (number, first) in itertools.product(("U8", "F4", "F6_E2M3"), enumerate(outer)):
        # A third argument of 128 puts a dimension before those of elements that are no whole bytes.
        tensor = step("tensor", DTYPES.index(dtype), SHAPES.index((7, 5) if dtype == "U8" else (5,)), 128)
        parts = [one for second in inner for one in (step("part"), first, second)]
        plans[f"pairs of items {dtype} {number}"] = [tensor, *parts]
    return plans


class _Runner:
    """Sends each call of a program to the extension."""

    def __init__(self, crate: Crate, has: api.Api) -> None:
        self._crate = crate
        self._api = has
        self._folder = ""
        # The ends of calls with metadata at or past the limit, by place and size.
        self._limits: dict[tuple[str, int], int | Refusal] = {}

    def run(self, data: bytes) -> Observation:
        program = decode(data)
        events: list[Event] = []
        dtypes = [one[1] for one in program.tensors] + [own.dtype for _, own in program.own]
        for call in program.calls if self._api.knows(dtypes) else ():
            kind = call.kind
            if not _lives(program, kind):
                continue
            try:
                events.append(Event(kind, ACCEPT, "", self._ask(program, call), call))
            except Lacking:
                continue
            except Refusal as error:
                events.append(Event(kind, REJECT, str(error), error, call))
            except PanicException as error:
                events.append(Event(kind, PANIC, describe(error), error, call))
        return observe(Trace(program, events))

    def _ask(self, program: Program, call: Call) -> Any:
        crate, kind = self._crate, call.kind
        if kind == "serialize_to_file":
            return self._written(program, call)
        if kind == "past_limit":
            return self._past_limit(call)
        if kind == "slice":
            name = program.tensors[call.tensor][0]
            return crate.part(_part(call.form, program.raw, name, call.items))
        return _CALLS[kind](crate, program, call)

    def _past_limit(self, call: Call) -> int:
        """The size of the header of a file with metadata at or past the limit. Writing takes a second, so each is asked once."""
        key = call.place, call.room
        if key not in self._limits:
            path = self._path(call.place) if call.place else ""
            try:
                request = library.serialize(library.OWNED, (), None, path, long=call.room)
                if path:
                    self._crate.serialize_to_file(request)
                    with open(path, "rb") as file:
                        self._limits[key] = int.from_bytes(file.read(8), "little")
                else:
                    self._limits[key] = int.from_bytes(self._crate.serialize(request)[:8], "little")
            except Refusal as error:
                self._limits[key] = error
            finally:
                if os.path.isfile(path):
                    os.unlink(path)
        found = self._limits[key]
        if isinstance(found, Refusal):
            raise found.with_traceback(None)
        return found

    def _path(self, place: str) -> str:
        """A place in a folder of our own."""
        if not self._folder:
            self._folder = str(scratch.folder("crate"))
            os.mkdir(os.path.join(self._folder, PLACES[-1]))
        return os.path.join(self._folder, place)

    def _written(self, program: Program, call: Call) -> bytes:
        """The file at a place in a folder of our own, which is removed again."""
        path = self._path(call.place)
        try:
            self._crate.serialize_to_file(
                library.serialize(_handed(program, call), program.own, program.metadata, path)
            )
            return Path(path).read_bytes()
        finally:
            if os.path.isfile(path):
                os.unlink(path)


@functools.lru_cache(1 << 12)
def _part(form: int, raw: bytes, name: str, items: tuple[Item, ...]) -> bytes:
    return library.part(form, raw, name, items)


def _lives(program: Program, kind: str) -> bool:
    """Whether the values get as far as a buffer: the calls ``view`` and ``header`` tell which of them panic before."""
    if kind == "header_into":
        return len(dict(program.infos)) == len(program.infos)
    return kind != "refusal_into" or not _huge(program)


def _huge(program: Program) -> bool:
    return any(overflows(view.dtype, view.shape) for _, view in program.own)


def _handed(program: Program, call: Call) -> int:
    """How tensors are handed over. Where their size overflows, no view can be made, which the call ``view`` tells."""
    return max(call.form, library.BORROWED) if _huge(program) else call.form


_CALLS: dict[str, Callable[[Crate, Program, Call], Any]] = {
    "deserialize": lambda crate, program, call: crate.deserialize(library.deserialize(program.raw)),
    "read_metadata": lambda crate, program, call: crate.read_metadata(library.read_metadata(program.raw)),
    "tensor": lambda crate, program, call: crate.tensor(
        library.tensor(program.raw, program.tensors[call.tensor][0] if call.tensor >= 0 else ABSENT)
    ),
    "slice_byte_ranges": lambda crate, program, call: crate.byte_ranges(
        library.byte_ranges(*program.tensors[call.tensor][1:3], call.items)
    ),
    "display": lambda crate, program, call: crate.indexer_words(library.indexer_words(call.items)),
    "view": lambda crate, program, call: crate.view_new(
        library.view_new(*program.own[call.tensor % len(program.own)][1])
    ),
    "metadata": lambda crate, program, call: crate.metadata_new(library.metadata_new(program.metadata, program.infos)),
    "header": lambda crate, program, call: crate.metadata_json(
        library.metadata_new(program.metadata, program.infos, as_json=True)
    ),
    "serialize": lambda crate, program, call: crate.serialize(
        library.serialize(_handed(program, call), program.own, program.metadata)
    ),
    "header_text": lambda crate, program, call: crate.metadata_from_json(library.metadata_from_json(program.header)),
    "header_into": lambda crate, program, call: crate.fitted(
        library.metadata_into(program.metadata, program.infos, call.room)
    ),
    "refusal_into": lambda crate, program, call: crate.fitted(
        library.refusal_into(*program.own[call.tensor % len(program.own)][1], call.room)
    ),
    "dtypes": lambda crate, program, call: crate.dtypes(library.dtypes(tuple(DTYPE_BITS))),
    "errors": lambda crate, program, call: crate.wrapped_errors(library.WRAPPED_ERRORS),
}
