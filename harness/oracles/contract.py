"""Only the documented errors: a panic, or any exception that is not the library's own, is a finding."""

from __future__ import annotations

from harness.findings.finding import Finding, normalise
from harness.findings.rule import Rule
from harness.findings.severity import DENIAL, WRONG_EXCEPTION
from harness.observation import PANIC, RAISE, Event, Reading, Readings, Trace
from harness.oracles.oracle import Execution, oracle

_ERRORS = "Custom Python Exception for Safetensor errors."
_PAST = "Callers that read untrusted files catch SafetensorError, the error that the library documents. This error goes past them."
_SHOULD = "the file is read, or refused with SafetensorError"

PANICKED = Rule(
    "panic",
    "contract",
    "panic",
    DENIAL,
    title="The parser panics",
    why=f"A panic reaches the caller. PanicException is no Exception, so no ordinary handler catches it. {_PAST}",
    sentence=_ERRORS,
    should=_SHOULD,
    check="panic",
)
RAISED = Rule(
    "raise",
    "contract",
    "contract",
    WRONG_EXCEPTION,
    title="An exception that is not the documented one",
    why=f"An undocumented exception reaches the caller. {_PAST}",
    sentence=_ERRORS,
    should=_SHOULD,
    check="raise",
)


@oracle(PANICKED, RAISED)
def check(execution: Execution) -> list[Finding]:
    """The findings of one run, judged by how it ended alone; of a program, by how each of its calls ended.

    Entry points that read the same file and fail in the same words have one defect. The documented error is
    ``SafetensorError`` ("Custom Python Exception for Safetensor errors", the binding's own docstring). A Rust panic comes
    through as an exception that ``except Exception`` does not catch.
    """
    outcome, error, value = execution.observation
    if isinstance(value, Trace) and value.program is not None:
        ends = {(event.call, event.outcome, event.error): None for event in value.events}
        return [found for call, how, words in ends for found in _check(how, words, f"{call}: ")]
    if isinstance(value, (Trace, Readings)):
        return _entry_points(value.events)
    return _check(outcome, error, "")


def _entry_points(events: list[Event]) -> list[Finding]:
    """Of those that failed in the same words, on the whole file or on one of its tensors, the first alone."""
    found: list[Finding] = []
    seen: set[str] = set()
    for event in events:
        words = normalise(event.error)
        if words not in seen:
            found += _check(event.outcome, event.error, f"{event.call}: ")
        seen.add(words)
        if isinstance(event.value, Reading):
            seen.update(normalise(error) for error in (event.value.partial or {}).values())
    return found


def _check(outcome: str, error: str, call: str) -> list[Finding]:
    aspect = call + normalise(error)
    if outcome == PANIC:
        return [Finding(PANICKED, aspect, f"{call}the parser panicked: {error[:300]}")]
    if outcome == RAISE:
        return [Finding(RAISED, aspect, f"{call}an undocumented error: {error[:300]}")]
    return []
