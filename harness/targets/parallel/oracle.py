"""The parts that the ranks took, put together, are the whole tensor; no part within a tensor is refused.

Loaders split a tensor among ranks with get_slice. A part that differs makes a wrong model. If a part within the tensor is
refused, the loader works for some shapes and some numbers of ranks alone.
"""

from __future__ import annotations

from typing import Any

import numpy

from harness.findings.finding import Finding
from harness.findings.rule import Case, Rule
from harness.findings.severity import LENIENCY, STRICTNESS, WRONG_DATA
from harness.observation import ACCEPT, REJECT, Event
from harness.oracles.compare import differs
from harness.oracles.oracle import Execution, oracle
from harness.programs import arrays
from harness.targets.parallel.program import WITHIN, Call, Program

_SLICE = "A dummy object you can slice into to get a real tensor"
_SHOULD = "each rank gets its part of the tensor, and the parts put together are the whole"
PARTS = Rule(
    "parallel.*",
    "parallel",
    "differential",
    WRONG_DATA,
    title="The parts of a tensor are not the whole",
    why="Ranks split a tensor among them. The parts that they get are not the tensor, so the model is another one.",
    sentence=_SLICE,
    should=_SHOULD,
    check="values",
    cases=(Case("accepted*", LENIENCY),),
)
REFUSED = Rule(
    "refused",
    "parallel",
    "differential",
    STRICTNESS,
    title="A part within a tensor is refused",
    why="Ranks that split a tensor among them take such parts. The part lies within the tensor, and the parser refuses it.",
    sentence=_SLICE,
    should=_SHOULD,
    check="refused-call",
)


@oracle(PARTS, REFUSED)
def check(execution: Execution) -> list[Finding]:
    """The parts that the ranks of a program of target ``parallel`` got, against numpy's arrays of the same file."""
    trace = execution.trace
    if trace is None:
        return []
    found: list[Finding] = []
    events = trace.events
    at = 0
    while at < len(events):
        call: Call | None = events[at].about[0]
        first = at
        # A call's events stand together; equal calls in a row begin anew at their part 0.
        at += 1
        while at < len(events) and events[at].about[0] is call and events[at].about[1]:
            at += 1
        if call is not None:
            found += _call(trace.program, call, events[first:at])
    return found


def _found(member: str, aspect: str, summary: str) -> Finding:
    return Finding(PARTS.member(member), aspect, summary)


def _call(program: Program, call: Call, events: list[Event]) -> list[Finding]:
    if call.kind == "stages":
        return _stages(program, call, events)
    name, dtype, shape, salt = program.tensors[call.tensor]
    whole = arrays.array(dtype, shape, salt)
    if call.kind == "whole":
        return [
            _found("whole", aspect, f"get_tensor({name[:40]!r}) through handle {event.about[1]}: {words}")
            for event in events
            if event.outcome == ACCEPT
            for aspect, words in differs(event.value, whole)
        ]
    if call.order and all(event.outcome == ACCEPT for event in events):
        return _together(call, events, whole)
    return [one for event in events for one in _part(call, event, whole)]


def _together(call: Call, events: list[Event], whole: Any) -> list[Finding]:
    """All parts, put together along the dimension that was split, against as much of the whole as they cover."""
    values = [event.value for event in events]
    shape = list(whole.shape)
    try:
        made = numpy.concatenate([values[place] for place in call.order], axis=call.axis)
    except (ValueError, TypeError) as error:
        return [_found(call.kind, "parts-do-not-fit", f"{len(values)} parts of {shape}: {error}")]
    for aspect, words in differs(made, _covered(whole, call.axis, call.covered)):
        return [_found(call.kind, aspect, f"{call.form}: {len(values)} parts of {shape}, put together: {words}")]
    return []


def _covered(whole: Any, axis: int, covered: int) -> Any:
    if covered == whole.shape[axis]:
        return whole
    index = [slice(None)] * whole.ndim
    index[axis] = slice(0, covered)
    return whole[tuple(index)]


def _part(call: Call, event: Event, whole: Any) -> list[Finding]:
    part = call.parts[event.about[1]]
    words = f"rank {part.rank} takes [{part.source}] of shape {list(whole.shape)}"
    if event.outcome == REJECT and part.place in WITHIN:
        return [Finding(REFUSED, part.place, f"{words}, and it is refused: {event.error}")]
    if event.outcome != ACCEPT:
        return []
    wanted = _wanted(whole, part.index)
    if wanted is None:
        return [_found(call.kind, "accepted/no-dimension", f"{words}: given, where numpy has nothing")]
    return [_found(call.kind, aspect, f"{words}: {difference}") for aspect, difference in differs(event.value, wanted)]


def _wanted(whole: Any, index: Any) -> Any:
    """Numpy's part; None where there is no such dimension."""
    try:
        return whole[index]
    except IndexError:
        return None


def _stages(program: Program, call: Call, events: list[Event]) -> list[Finding]:
    """Each stage gets its layers, under their names."""
    by, _, _ = call.form.partition("/")
    tensors = {name: (dtype, shape, salt) for name, dtype, shape, salt in program.tensors}
    names = sorted(tensors) if by == "keys" else list(tensors)
    places: dict[str, Any] = {name: name for name in names} if by == "keys" else dict(_offsets(program))
    found = []
    for event in events:
        if event.outcome != ACCEPT:
            continue
        wanted = [names[place] for place in call.stages[event.about[1]]]
        if [places.get(name) for name in event.value] != [places[name] for name in wanted]:
            words = f"stage {event.about[1]} of {len(call.stages)} takes {wanted!r:.100} by {by}, and gets {list(event.value)!r:.100}"
            found.append(_found("stages", f"names/{by}", words))
            continue
        for name, value in event.value.items():
            for aspect, words in differs(value, arrays.array(*tensors[name])):
                found.append(_found("stages", aspect, f"layer {name[:40]!r}: {words}"))
    return found


def _offsets(program: Program) -> dict[str, tuple[int, int]]:
    """Where each tensor lies. Neighbours without elements share a place: which of them comes first is free."""
    offsets = {}
    begin = 0
    for name, dtype, shape, salt in program.tensors:
        end = begin + len(arrays.content(dtype, shape, salt))
        offsets[name] = begin, end
        begin = end
    return offsets
