"""Words for devices: a word for none is refused, one for a device is taken where the framework has devices. Data stays the same.

The binding says ``device`` (`str`, defaults to "cpu"), its example has ``device=0``, and the loader for torch promises "all
regular torch device locations".
"""

from __future__ import annotations

from harness.findings.finding import Finding
from harness.findings.rule import Rule
from harness.findings.severity import LENIENCY, STRICTNESS, WRONG_DATA
from harness.observation import ACCEPT, REJECT, Event
from harness.oracles.oracle import Execution, oracle
from harness.programs import arrays
from harness.targets.device import program as device

_SENTENCE = "The device where the tensors need to be located after load. available options are all regular torch device locations."
_SHOULD = (
    "a word that names no device is refused with SafetensorError, and every word that the documentation names is taken"
)


def _rule(name: str, severity: str, title: str, why: str, check: str = "values") -> Rule:
    return Rule(
        f"device.{name}",
        "device",
        "differential",
        severity,
        title,
        why,
        sentence=_SENTENCE,
        should=_SHOULD,
        check=check,
    )


ACCEPTED = _rule(
    "accepted",
    LENIENCY,
    "A word that names no device is accepted",
    "The word names no device that the framework has, and the call accepts it. A typing error stays unseen.",
    "taken",
)
REFUSED = _rule(
    "refused",
    STRICTNESS,
    "A word for a device is refused",
    "The documentation names this device, and the call refuses it.",
    "refused",
)
PLACE = _rule(
    "place",
    WRONG_DATA,
    "Tensors are on another device than the one named",
    "The call puts the tensors on another device than the caller named.",
)
BYTES = _rule(
    "bytes",
    WRONG_DATA,
    "Tensors read to a device hold other bytes",
    "The tensors hold other bytes than the file.",
)


@oracle(ACCEPTED, REFUSED, PLACE, BYTES)
def check(execution: Execution) -> list[Finding]:
    """The calls of a program of target ``device``, against the meaning of the words for their devices."""
    trace = execution.trace
    if trace is None:
        return []
    return [found for event in trace.events for found in _check(event)]


def _check(event: Event) -> list[Finding]:
    call: device.Call = event.about
    given = call.given
    words = f"{call.kind} for {call.framework} with device={given.source[:80]}"
    aspect = f"{call.kind} {call.framework}: {given.form}"
    if event.outcome == ACCEPT:
        if not given.place:
            return [Finding(ACCEPTED, aspect, f"{words} was accepted, and names no device")]
        if call.framework == "numpy" and given.place != "cpu":
            summary = f"{words} was accepted, and numpy has only one place"
            return [Finding(ACCEPTED, f"{call.kind} numpy: accelerator", summary)]
        return _content(call, event, words)
    if event.outcome == REJECT and given.known and (call.framework == "pt" or given.source == "'cpu'"):
        return [Finding(REFUSED, aspect, f"{words} was refused with {event.error[:120]!r}")]
    return []


def _content(call: device.Call, event: Event, words: str) -> list[Finding]:
    """Data that was read must be the file's, and on the device that was named; a file that was only opened has none."""
    if event.value is None:
        return []
    wanted = {name: arrays.content(dtype, shape, salt) for name, dtype, shape, salt in device.FILE}
    place, contents = event.value
    if call.given.place not in ("number", place):
        return [Finding(PLACE, f"{call.kind} {call.framework}", f"{words} gave tensors on {place}")]
    if contents != wanted:
        return [Finding(BYTES, f"{call.kind} {call.framework}", f"{words} gave other bytes than the file holds")]
    return []
