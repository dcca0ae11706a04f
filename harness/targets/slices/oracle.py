"""A slice equals numpy's slice of the whole tensor. A read within the tensor is not refused; one beyond it may be.

The binding's own example promises it: ``f.get_slice("embedding")[:, ::8]`` is "a real tensor". Callers take a part of a
tensor to save memory, and rely on the values of that part.
"""

from __future__ import annotations

from typing import Any

from harness.findings.finding import Finding
from harness.findings.rule import Case, Rule
from harness.findings.severity import LENIENCY, STRICTNESS, WRONG_DATA
from harness.observation import ACCEPT, REJECT, Event
from harness.oracles.compare import differs
from harness.oracles.oracle import Execution, oracle
from harness.programs import arrays, subscripts
from harness.targets.slices import program as slices

_SLICE = "A dummy object you can slice into to get a real tensor"
SLICE = Rule(
    "numpy.*",
    "numpy",
    "differential",
    WRONG_DATA,
    title="A slice is not numpy's slice",
    why="A part of a tensor is not the part that numpy gives of the whole. The caller computes with other data, and no error says so.",
    sentence=_SLICE,
    should="each call gives what numpy gives of the whole array, or is refused with SafetensorError",
    check="values",
    cases=(
        Case("accepted*", LENIENCY),
        Case("order", sentence="Equivalent to iterating `offset_keys()` and calling `get_tensor` on each"),
    ),
)
REFUSED = Rule(
    "refused",
    "numpy",
    "differential",
    STRICTNESS,
    title="A read within a tensor is refused",
    why="The subscript lies within the tensor and holds elements, and numpy has its dtype. The parser refuses it.",
    sentence=_SLICE,
    should="the call gives the values",
    check="refused-call",
)


@oracle(SLICE, REFUSED)
def check(execution: Execution) -> list[Finding]:
    """The calls of a program of target ``slices``, against the same on numpy's arrays."""
    trace = execution.trace
    if trace is None:
        return []
    found: list[Finding] = []
    for event in trace.events:
        if event.outcome == ACCEPT:
            found += _check(trace.program, event)
        elif event.outcome == REJECT:
            found += _refused(trace.program, event)
    return found


def _found(call: str, aspect: str, summary: str) -> list[Finding]:
    return [Finding(SLICE.member(call), aspect, summary)]


def _refused(program: slices.Program, event: Event) -> list[Finding]:
    """A refused read of what is there, of a dtype that numpy has."""
    call: slices.Call = event.about
    if call.kind == "no_such_tensor":
        return []
    held = program.tensors if call.tensor < 0 else [program.tensors[call.tensor]]
    made = [arrays.array(dtype, shape, salt) for _, dtype, shape, salt in held]
    if any(array is None for array in made) or (
        call.kind == "get_slice" and not subscripts.within(call.index, made[0])
    ):
        return []
    words = f"{call.kind} of shape {list(held[0][2])} {call.source}".rstrip()
    return [Finding(REFUSED, f"{call.kind}/{call.form or 'whole'}", f"{words} is refused: {event.error[:200]}")]


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
    # Tensors without bytes share their place, and may stand in any order.
    solid = [name for name, _, shape, _ in program.tensors if 0 not in shape]
    if [name for name in value if name in solid] != solid:
        return _found("get_tensors", "order", f"get_tensors gave the order {list(value)!r:.200}")
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
