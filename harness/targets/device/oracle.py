"""Words for devices: what names none is refused, what does is taken where the framework has devices, and data is the same there.

The binding says ``device`` (`str`, defaults to "cpu"), its example has ``device=0``, and the loader for torch promises "all
regular torch device locations".
"""

from __future__ import annotations

from harness.findings.finding import Finding
from harness.observation import ACCEPT, REJECT, Event, Observation, Trace
from harness.programs import arrays
from harness.targets.device import program as device


def check(data: bytes, observation: Observation) -> list[Finding]:
    """What the calls of a program of target ``device`` gave, against what the words for their devices deserve."""
    trace = observation[2]
    if not isinstance(trace, Trace):
        return []
    return [found for event in trace.events for found in _check(event)]


def _found(rule: str, aspect: str, summary: str) -> list[Finding]:
    return [Finding("device", "differential", f"device.{rule}", aspect, summary)]


def _check(event: Event) -> list[Finding]:
    call: device.Call = event.about
    given = call.given
    words = f"{call.kind} for {call.framework} with device={given.source[:80]}"
    aspect = f"{call.kind} {call.framework}: {given.form}"
    if event.outcome == ACCEPT:
        if not given.place:
            return _found("accepted", aspect, f"{words} was accepted, and names no device")
        if call.framework == "numpy" and given.place != "cpu":
            return _found(
                "accepted", f"{call.kind} numpy: accelerator", f"{words} was accepted, and numpy has only one place"
            )
        return _content(call, event, words)
    if event.outcome == REJECT and given.known and (call.framework == "pt" or given.source == "'cpu'"):
        return _found("refused", aspect, f"{words} was refused with {event.error[:120]!r}")
    return []


def _content(call: device.Call, event: Event, words: str) -> list[Finding]:
    """Data that was read must be the file's, and on the device that was named; a file that was only opened has none."""
    if event.value is None:
        return []
    wanted = {name: arrays.content(dtype, shape, salt) for name, dtype, shape, salt in device.FILE}
    place, contents = event.value
    if call.given.place not in ("number", place):
        return _found("place", f"{call.kind} {call.framework}", f"{words} gave tensors on {place}")
    if contents != wanted:
        return _found("bytes", f"{call.kind} {call.framework}", f"{words} gave other bytes than the file holds")
    return []
