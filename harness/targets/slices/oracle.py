"""A slice equals numpy's slice of the whole tensor, or is refused with the documented error; never other data.

The binding's own example promises it: ``f.get_slice("embedding")[:, ::8]`` is "a real tensor". Callers take a part of a
tensor to save memory, and rely on the values of that part.
"""

from __future__ import annotations

from typing import Any

from harness.findings.finding import Finding
from harness.findings.rule import Case, Rule
from harness.findings.severity import LENIENCY, WRONG_DATA
from harness.observation import ACCEPT, Event
from harness.oracles.compare import differs
from harness.oracles.oracle import Execution, oracle
from harness.programs import arrays
from harness.targets.slices import program as slices

SLICE = Rule(
    "numpy.*",
    "numpy",
    "differential",
    WRONG_DATA,
    title="A slice is not numpy's slice",
    why="A part of a tensor is not the part that numpy gives of the whole. The caller computes with other data, and no error says so.",
    sentence="A dummy object you can slice into to get a real tensor",
    should="each call gives what numpy gives of the whole array, or is refused with SafetensorError",
    check="values",
    cases=(Case("accepted*", LENIENCY),),
)


@oracle(SLICE)
def check(execution: Execution) -> list[Finding]:
    """The calls of a program of target ``slices``, against the same on numpy's arrays."""
    trace = execution.trace
    if trace is None:
        return []
    return [found for event in trace.events if event.outcome == ACCEPT for found in _check(trace.program, event)]


def _found(call: str, aspect: str, summary: str) -> list[Finding]:
    return [Finding(SLICE.member(call), aspect, summary)]


def _check(program: slices.Program, event: Event) -> list[Finding]:
    call: slices.Call = event.about
    if call.kind == "get_tensors":
        return _whole(program, event.value)
    if call.kind == "all_shapes":
        wanted = {name: list(shape) for name, _, shape, _ in program.tensors}
        if event.value != wanted:
            return _found("get_shape", "all", f"shapes are {wanted}, read as {event.value}")
        return []
    if call.kind == "no_such_tensor":
        return _found(call.source, "no-such-tensor", f"{call.source} of a name that is not in the file gave something")
    name, dtype, shape, salt = program.tensors[call.tensor]
    if call.kind == "get_shape":
        return (
            [] if event.value == list(shape) else _found("get_shape", "shape", f"{list(shape)}, read as {event.value}")
        )
    if call.kind == "get_dtype":
        return [] if event.value == dtype else _found("get_dtype", "dtype", f"{dtype}, read as {event.value}")
    array = arrays.array(dtype, shape, salt)
    if array is None:
        return []
    if call.kind == "get_tensor":
        return _compare("get_tensor", "whole", f"get_tensor({name[:40]!r})", event.value, array)
    return _subscript(call, array, event.value)


def _subscript(call: slices.Call, array: Any, value: Any) -> list[Finding]:
    words = f"get_slice(...)[{call.source}] of shape {list(array.shape)}"
    try:
        wanted = array[call.index]
    except (IndexError, TypeError, ValueError, OverflowError) as error:
        return _found(
            "get_slice",
            f"accepted/{call.form}",
            f"{words} gave shape {list(value.shape)}; numpy says {type(error).__name__}: {error}",
        )
    return _compare("get_slice", call.form, words, value, wanted)


def _whole(program: slices.Program, value: Any) -> list[Finding]:
    if sorted(value) != sorted(name for name, *_ in program.tensors):
        return _found("get_tensors", "names", f"get_tensors gave {sorted(value)!r:.200}")
    return [
        found
        for name, dtype, shape, salt in program.tensors
        if (array := arrays.array(dtype, shape, salt)) is not None
        for found in _compare("get_tensors", "whole", f"get_tensors()[{name[:40]!r}]", value[name], array)
    ]


def _compare(call: str, form: str, words: str, value: Any, wanted: Any) -> list[Finding]:
    """The finding of a call that gave ``value`` for numpy's ``wanted``, if they differ."""
    return [
        Finding(SLICE.member(call), f"{aspect}/{form}", f"{words} {difference}")
        for aspect, difference in differs(value, wanted)
    ]
