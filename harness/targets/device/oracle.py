"""Words for devices: a word for none is refused, one for a device is taken where the framework has devices. Data stays the same.

The same holds of words for frameworks. The binding says ``device`` (`str`, defaults to "cpu"), its example has ``device=0``, and the loader for torch promises "all
regular torch device locations".
"""

from __future__ import annotations

from harness.findings.finding import Finding
from harness.findings.rule import Case, Rule
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


FRAMEWORK = Rule(
    "device.framework",
    "device",
    "differential",
    LENIENCY,
    title="A word for a framework is taken or refused wrongly",
    why="The word names no framework, and the call accepts it. Or the documentation names the word, and the call refuses it.",
    sentence="The framework you want you tensors in. Supported values: `pt`, `tf`, `flax`, `numpy`.",
    should="a word that names no framework is refused with SafetensorError, and the words of the documentation are taken",
    cases=(Case("refused", STRICTNESS),),
)


@oracle(ACCEPTED, REFUSED, PLACE, BYTES, FRAMEWORK)
def check(execution: Execution) -> list[Finding]:
    """The calls of a program of target ``device``, against the meaning of the words for their devices."""
    trace = execution.trace
    if trace is None:
        return []
    return [found for event in trace.events for found in _check(event)]


def _check(event: Event) -> list[Finding]:
    call: device.Call = event.about
    given = call.given
    words = f"{call.function} for {call.framework} with device={given.source[:80]}"
    aspect = f"{call.function} {call.framework}: {given.form}"
    if call.kind == "framework" and (found := _framework(call, event)):
        return found
    if call.compared and call.plain is None:
        # The CPU gives nothing, which is the subject of other targets.
        return []
    if event.outcome == ACCEPT:
        if not given.place:
            return [Finding(ACCEPTED, aspect, f"{words} was accepted, and names no device")]
        if call.framework not in ("pt", "paddle") and given.place != "cpu":
            summary = f"{words} was accepted, and {call.framework} has only one place"
            return [Finding(ACCEPTED, f"{call.function} {call.framework}: accelerator", summary)]
        return _content(call, event, words)
    # Without its framework, a call is refused for that.
    mine = call.framework == "pt" or (given.source == "'cpu'" and call.framework == "numpy")
    if event.outcome == REJECT and given.known and mine:
        if call.compared and "device" not in event.error:
            aspect = f"{aspect}: {call.file[0][1]}"
        return [Finding(REFUSED, aspect, f"{words} was refused with {event.error[:120]!r}")]
    return []


def _framework(call: device.Call, event: Event) -> list[Finding]:
    words = f"safe_open with framework={call.word!r}"
    if event.outcome == ACCEPT and not call.framework:
        return [Finding(FRAMEWORK, "accepted", f"{words} was accepted, and names no framework")]
    invalid = event.outcome == REJECT and "framework" in event.error and "is invalid" in event.error
    if invalid and call.word in device.DOCUMENTED:
        return [Finding(FRAMEWORK, "refused", f"{words} was refused with {event.error[:120]!r}")]
    return []


def _content(call: device.Call, event: Event, words: str) -> list[Finding]:
    """Data that was read must be the file's, and on the device that was named; a file that was only opened has none."""
    if event.value is None:
        return []
    wanted = {name: arrays.content(dtype, shape, salt) for name, dtype, shape, salt in device.FILE}
    if call.compared:
        _, wanted = call.plain
    place, contents = event.value
    if ("cpu" if call.redirected else call.given.place) not in ("number", place):
        return [Finding(PLACE, f"{call.function} {call.framework}", f"{words} gave tensors on {place}")]
    if contents != wanted:
        return [Finding(BYTES, f"{call.function} {call.framework}", f"{words} gave other bytes than the file holds")]
    return []
