"""Each call of a program of target ``lifecycle`` ends as the model of files and handles says, with the value it says.

The model (:mod:`harness.targets.lifecycle.expectation`) knows it from the program alone: a closed handle refuses, an open one gives
what its file held when it was opened, a copy of an error is that error.
"""

from __future__ import annotations

from harness.findings.finding import Finding
from harness.observation import ACCEPT, REJECT, Event, Observation, Trace
from harness.targets.lifecycle.expectation import ANY, ELSEWHERE, REFUSED, TYPE, UNKNOWN, VALUE, Call, value
from harness.targets.lifecycle.kit import same


def check(data: bytes, observation: Observation) -> list[Finding]:
    """Where the calls of a program differ from the model."""
    trace = observation[2]
    if not isinstance(trace, Trace):
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
    # Whatever is asked of it: one handle has another file than it was given, the other one that has lost its end.
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
    return [Finding("lifecycle", "differential", f"lifecycle.{rule}", aspect, f"{call.source} {words}")]
