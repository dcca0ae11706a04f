"""Each call of a program of target ``lifecycle`` ends as the model of files and handles says, with the value it says.

The model (:mod:`harness.targets.lifecycle.expectation`) knows both from the program alone. A closed handle refuses. An
open one gives the content that its file had when it was opened. A copy of an error is that error.
"""

from __future__ import annotations

from harness.findings.finding import Finding
from harness.findings.rule import Case, Rule
from harness.findings.severity import STRICTNESS, WRONG_DATA
from harness.observation import ACCEPT, REJECT, Event
from harness.oracles.oracle import Execution, oracle
from harness.targets.lifecycle.expectation import ANY, ELSEWHERE, REFUSED, TYPE, UNKNOWN, VALUE, Call, value
from harness.targets.lifecycle.kit import same


def _rule(name: str, title: str, why: str) -> Rule:
    return Rule(
        f"lifecycle.{name}",
        "lifecycle",
        "differential",
        WRONG_DATA,
        title=title,
        why=why,
        should="each call ends as said below it",
        check="ends",
        cases=(Case("nothing:*", STRICTNESS),),
    )


CALL = _rule(
    "*",
    "A call does not fit the state of its handle and file",
    "After opening, closing, replacing or cutting a file, a call gives something else than the state of its handle and file says.",
)
OPEN = _rule(
    "open",
    "A file that cannot be opened raises another error than the cause",
    "The error names another cause than the real one, so callers take the wrong way out.",
)
OPEN_FILE = _rule(
    "open_file",
    "A handle reads another file than the one that it was made from",
    "The handle was made from an open file object. It reads the file that has that name by now.",
)
CUT = _rule(
    "cut",
    "A file that was cut while mapped reads as zeros",
    "The file lost its end while it was mapped. The call gives zeros in place of the lost bytes.",
)
_NAMED = {"open": OPEN, "open_file": OPEN_FILE, "cut": CUT}


@oracle(CALL, OPEN, OPEN_FILE, CUT)
def check(execution: Execution) -> list[Finding]:
    """The calls of a program that differ from the model."""
    trace = execution.trace
    if trace is None:
        return []
    return [found for event in trace.events for found in _check(event)]


def _check(event: Event) -> list[Finding]:
    call: Call = event.about
    outcome = event.outcome
    if outcome == ACCEPT:
        if call.end in (VALUE, ANY):
            wanted = value(call.wanted)
            if wanted is UNKNOWN or same(event.value, wanted):
                return []
            return _found(call, "value", f"gave {event.value!r:.120}, should give {wanted!r:.120}")
        return (
            [] if call.end == TYPE else _found(call, "given", f"gave {event.value!r:.120}, should raise {_error(call)}")
        )
    if outcome != REJECT or call.end in (ANY, TYPE):
        return []  # what is undocumented is the oracle contract's matter
    kind = event.error.partition(":")[0]
    if call.end == VALUE:
        # A part of no elements is refused whatever has become of handle and file: one defect, not one of each state.
        how = f"nothing:{kind}" if getattr(value(call.wanted), "size", None) == 0 else kind
        return _found(call, how, f"raised {event.error[:200]}, should give {call.wanted or 'something'}")
    return (
        [] if kind == _error(call) else _found(call, kind, f"raised {event.error[:200]}, should raise {_error(call)}")
    )


def _error(call: Call) -> str:
    return "SafetensorError" if call.end == REFUSED else call.end


def _found(call: Call, how: str, words: str) -> list[Finding]:
    state, _, backend = call.state.partition("/")
    # The call does not matter where the handle reads another file than the one it was given, or a file that was cut.
    if state.startswith(ELSEWHERE):
        rule, aspect = "open_file", f"{ELSEWHERE}:misread"
    elif how.startswith("nothing:"):
        rule, aspect = call.kind, how
    elif state.startswith("cut") and backend:
        rule, aspect = "cut", f"{backend}:{how}"
    elif call.kind == "open_file":
        rule, aspect = "open_file", f"{state}:{how}"
    else:
        rule, aspect = call.kind, f"{call.state}:{how}"
    return [Finding(_NAMED.get(rule) or CALL.member(rule), aspect, f"{call.source} {words}")]
