"""Calls under ambient states: the answer is that of the same calls without the states, and the states stay as they are.

The documentation names no ambient state that a call depends on. The format fixes the byte order, and ``device`` and ``framework``
are arguments.
"""

from __future__ import annotations

from harness.findings.finding import Finding
from harness.findings.rule import Case, Rule
from harness.findings.severity import SIDE_EFFECT, STRICTNESS, WRONG_DATA, WRONG_EXCEPTION
from harness.oracles.oracle import Execution, oracle
from harness.targets.ambient.answers import FIELDS
from harness.targets.ambient.calls import Made
from harness.targets.ambient.expectation import Expected, wrong
from harness.targets.ambient.program import PARTS

_ORDER = "Endianness: Little-endian."
_DEVICE = "The device where the tensors need to be located after load. [`device` defaults to `cpu`]"

ANSWER = Rule(
    "ambient.answer",
    "ambient",
    "differential",
    WRONG_DATA,
    title="An ambient state changes the answer of a call",
    why="The same call on the same file gives another answer in this state. No argument names the state, and no text mentions it.",
    sentence="Returns: `Dict[str, torch.Tensor]`: dictionary that contains name as key, value as `torch.Tensor`",
    should="the call gives the same answer as without the state",
    cases=(
        Case("*byte order big: raises *", WRONG_EXCEPTION, sentence=_ORDER),
        Case(
            "*byte order big: *",
            sentence=_ORDER,
            why="The format is little-endian, and branches for big-endian machines exist. On such a machine this call misses its branch.",
        ),
        Case(
            "*: device*",
            sentence=_DEVICE,
            why="The tensors are on another device than the argument `device` or its default names.",
        ),
        Case("*: raises *", WRONG_EXCEPTION),
        Case("*: refused *", STRICTNESS),
    ),
)
CHANGED = Rule(
    "ambient.changed",
    "ambient",
    "differential",
    SIDE_EFFECT,
    title="A call changes an ambient state",
    why="The call leaves a setting of the process other than the setting was. Code that runs afterwards behaves otherwise.",
    should="every setting of the process is after the call as it was before",
)


@oracle(ANSWER, CHANGED)
def check(execution: Execution) -> list[Finding]:
    """The calls of a program of target ``ambient``, against the same calls without states."""
    trace = execution.trace
    if trace is None:
        return []
    found: list[Finding] = []
    for event in trace.events:
        made: Made = event.value
        expected: Expected = event.about
        words = wrong(trace.program, expected.plain, made)
        if words:
            # Slices have code of their own: a known defect of slices hides none of whole tensors.
            whole = made.call.kind not in PARTS and made.call.slices and words in FIELDS
            aspect = f"{made.call.route}: {expected.culprit}: {words}{' of a whole tensor' if whole else ''}"
            summary = f"{made.call.kind} ({made.call.route}) within {expected.culprit}: {words}; {made.error[:120]}"
            found.append(Finding(ANSWER, aspect, summary.rstrip("; ")))
        found += [
            Finding(CHANGED, f"{made.call.route}: {name}", f"{made.call.kind} changes {name}") for name in made.changed
        ]
    return found
