"""Bytes in, the same bytes out, for dtypes of every width; a tensor that disagrees with its own bytes is refused.

The parser's source says: "For smaller than 1 byte dtypes, some slices will happen outside of the byte boundary, some
special care has to be taken". The parser gives the right part of such a tensor, or refuses it. It never gives other data.
"""

from __future__ import annotations

from typing import Any

import numpy

from harness.findings.finding import Finding
from harness.findings.rule import Case, Rule
from harness.findings.severity import LENIENCY, STRICTNESS, WRONG_DATA
from harness.observation import ACCEPT, REJECT, Event
from harness.oracles.oracle import Execution, oracle
from harness.programs.arrays import NUMPY_NAMES
from harness.targets.quantized.program import Held, Program, cut, stored_shape

_OFFSETS = "data_offsets point to the tensor data relative to the beginning of the byte buffer"
_SHOULD = "the bytes that went in come out, and a tensor that does not fit its bytes is refused"
READ = Rule(
    "quantized.*",
    "quantized",
    "differential",
    WRONG_DATA,
    title="A quantised tensor is not what the file holds",
    why="The parser reads a packed or scaled dtype otherwise than the header and the bytes say.",
    sentence=_OFFSETS,
    should=_SHOULD,
    check="values",
    cases=(Case("accepted*", LENIENCY),),
)
REFUSED = Rule(
    "refused",
    "quantized",
    "differential",
    STRICTNESS,
    title="A valid quantised file is refused",
    why="Every tensor has the bytes of its dtype and shape, and the parser refuses the file.",
    sentence=_OFFSETS,
    should=_SHOULD,
    check="refused-call",
)


@oracle(READ, REFUSED)
def check(execution: Execution) -> list[Finding]:
    """The calls of a program of target ``quantized``, against the bytes that its file was made of."""
    trace = execution.trace
    if trace is None:
        return []
    return [finding for event in trace.events for finding in _event(trace.program, event)]


def _found(member: str, aspect: str, summary: str) -> list[Finding]:
    return [Finding(READ.member(member), aspect, summary)]


def _event(program: Program, event: Event) -> list[Finding]:
    if event.call in ("safe_open", "deserialize"):
        if event.outcome == REJECT and program.valid:
            words = f"every tensor has the bytes of its dtype and shape, and {event.call} refuses: {event.error}"
            return [Finding(REFUSED, event.call, words)]
        if event.outcome == ACCEPT and not program.valid:
            words = f"a tensor has not the bytes of its dtype and shape, and {event.call} accepts the file"
            return _found(event.call, "accepted", words)
    if event.outcome != ACCEPT:
        return []
    if event.call == "deserialize":
        return _deserialized(program, event.value)
    if event.call == "get_tensors":
        if set(event.value) != {held.name for held in program.tensors}:
            return _found("get_tensors", "names", f"get_tensors gave {sorted(event.value)!r:.200}")
        return [one for held in program.tensors for one in _compare("get_tensors", held, "", event.value[held.name])]
    call = event.about
    if call.kind == "about":
        held = program.tensors[call.tensor]
        wanted = held.dtype, list(held.shape)
        return [] if event.value == wanted else _found("about", "differs", f"{wanted}, said to be {event.value}")
    if call.kind in ("get_tensor", "part"):
        return _compare(event.call, program.tensors[call.tensor], call.source, event.value)
    return []


def _deserialized(program: Program, value: Any) -> list[Finding]:
    read = {name: (one["dtype"], list(one["shape"]), bytes(one["data"])) for name, one in value}
    wanted = {held.name: (held.dtype, list(held.shape), held.content) for held in program.tensors}
    if read == wanted:
        return []
    if read.keys() != wanted.keys():
        return _found("deserialize", "names", f"deserialize gave {sorted(read)!r:.200}")
    for name, (dtype, shape, content) in wanted.items():
        for aspect, was, is_ in zip(("dtype", "shape", "bytes"), (dtype, shape, content), read[name], strict=True):
            if was != is_:
                return _found("deserialize", aspect, f"{name!r} is {was!r:.80}, deserialize gives {is_!r:.80}")
    return []


def _width(dtype: str) -> str:
    """The width of an element, as signatures name it: a defect depends on how elements lie in their bytes."""
    return dtype if dtype.startswith(("F4", "F6")) else "whole-bytes"


def _compare(call: str, held: Held, source: str, value: Any) -> list[Finding]:
    """An array against the part it should be: shape, bytes, and the dtype where numpy has one."""
    words = f"{call}{f'[{source}]' if source else ''} of {held.dtype} {list(held.shape)}"
    width = _width(held.dtype)
    part = cut(held, source)
    shape = None if part is None else stored_shape(held.dtype, part[0])
    if part is None or (shape is None and part[1]):
        return _found(call, f"accepted/{width}", f"{words}: given as {list(value.shape)}, where there is no such part")
    if shape is None:
        return _found(
            call, f"shape/{width}", f"{words}: two to a byte there is no shape {list(part[0])}, and it is given"
        )
    if tuple(value.shape) != shape:
        return _found(
            call, f"shape/{width}", f"{words} should have shape {list(shape)} in memory, and has {list(value.shape)}"
        )
    if value.tobytes() != part[1]:
        return _found(call, f"bytes/{width}", f"{words} holds {value.tobytes()!r:.80}, and should {part[1]!r:.80}")
    name = NUMPY_NAMES.get(held.dtype)
    if name is not None and value.dtype != numpy.dtype(name):
        return _found(call, f"dtype/{width}", f"{words} has dtype {value.dtype}")
    return []
