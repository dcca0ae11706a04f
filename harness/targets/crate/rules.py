"""The rules of the Rust API, and the findings that break them."""

from __future__ import annotations

import dataclasses

from harness.findings.finding import Finding
from harness.findings.rule import SIGNATURE, Case, Rule
from harness.findings.severity import LENIENCY, SIDE_EFFECT, WRONG_DATA
from harness.observation import Event
from harness.oracles.differential import format_rules
from harness.oracles.written import TEXTS

_PART = "Gives back the amount of bytes still being in the iterator"
API = Rule(
    "crate.*",
    "crate",
    "differential",
    WRONG_DATA,
    title="A call of the Rust API gives another answer than documented",
    why="A Rust caller such as candle or burn gets an answer that the documentation of the crate, or the file, contradicts. No error says so.",
    sentence="The various pieces of the data buffer according to the asked slice",
    should="the call gives the documented answer, or an error of the crate",
    cases=(
        Case("accepted/duplicate-name", LENIENCY, sentence="Duplicate keys are disallowed."),
        Case("accepted/order", LENIENCY, sentence="Notably the tensors need to be ordered by increasing data_offsets."),
        Case("accepted/size", sentence="Invalid information between shape, dtype and the proposed offsets in the file"),
        Case("accepted/misaligned", sentence="the slice does not end up at a byte boundary, this is invalid"),
        Case("accepted/*", sentence="When the client asked for a slice that exceeds the allowed bounds"),
        Case("length*", sentence=_PART),
        Case("method/nth", sentence="Returns the nth element of the iterator."),
        Case("method/*", sentence="A trait for dealing with iterators."),
        Case("room", SIDE_EFFECT, sentence="The stuct representing the header of safetensor files"),
        Case("text", SIDE_EFFECT, sentence="The stuct representing the header of safetensor files"),
        Case("display*", SIDE_EFFECT, sentence="Intended for Python users mostly or at least for its conventions"),
        Case(
            "error/words", SIDE_EFFECT, sentence="Errors must describe themselves through the Display and Debug traits."
        ),
        Case("error*", SIDE_EFFECT, sentence="Error representing invalid slicing attempt"),
        Case("source*", SIDE_EFFECT, sentence="Returns the lower-level source of this error, if any."),
        Case("offset-keys", sentence="Gives back the tensor names ordered by offset"),
        Case("data-len", sentence="Gives the size of the content buffer in bytes."),
        Case("bits", sentence="Gives out the size (in bits) of 1 element of this dtype."),
        Case("size", sentence="Gives out the size (in bytes) of 1 element of this dtype."),
        Case("rank", sentence="They MUST be in increasing alignment order"),
        Case("names", sentence="Return the names of the tensors within the SafeTensors."),
        Case("count", sentence="Return how many tensors are currently stored within the SafeTensors."),
    ),
)
WRITTEN = Rule(
    "roundtrip.written",
    "crate",
    "roundtrip",
    WRONG_DATA,
    title="The Rust API writes something else than it was given",
    why="The file that serialize or serialize_to_file makes is no valid file, or holds other tensors or metadata than the caller gave.",
    sentence="Serialize to an owned byte buffer the dictionnary of tensors.",
    should="the file holds what the caller gave, or the call gives an error",
    cases=TEXTS,
)
FORMAT = {name: dataclasses.replace(rule, check=SIGNATURE) for name, rule in format_rules("crate").items()}
_MISALIGNED = Case(
    "misaligned",
    why="The part begins and ends at bytes of the tensor. The documentation refuses those parts alone that do not end at one.",
    sentence="the slice does not end up at a byte boundary, this is invalid",
)
REFUSED = FORMAT["refused"] = dataclasses.replace(
    FORMAT["refused"], title="A valid file, part or value is refused", cases=(_MISALIGNED,)
)


def found(call: str, aspect: str, words: str) -> list[Finding]:
    """A wrong answer of ``call``."""
    return [Finding(API.member(call), aspect, f"{call} {words}")]


def refused(event: Event, aspect: str) -> list[Finding]:
    """A valid value that is refused."""
    return [Finding(REFUSED, aspect, f"{event.call} refuses what is valid: {event.error[:200]}")]


def as_own(findings: list[Finding]) -> list[Finding]:
    """Findings of the oracle ``differential`` under this oracle's rules."""
    return [Finding(FORMAT[one.rule.name], one.aspect, one.summary) for one in findings]
