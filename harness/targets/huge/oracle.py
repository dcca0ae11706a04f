"""The oracle for the files that programs make: it judges the answer against how the file was made, and its cost.

A file made by repetition needs no judge: :mod:`harness.targets.huge.layout` knows its names, its order, some of its bytes
and whether the format allows it. Costs are judged by how they grow, never by the clock alone: a reader may take time and
memory in proportion to the header, and not more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from harness.findings.finding import Finding, normalise
from harness.findings.rule import Rule
from harness.findings.severity import DENIAL
from harness.observation import ACCEPT, REJECT
from harness.oracles.differential import format_rules
from harness.oracles.leaks import DOS
from harness.oracles.oracle import Execution, oracle
from harness.targets.huge.layout import Layout

OPEN, KEYS, READ, PREAD, DESERIALIZE = "open", "keys", "read", "pread", "deserialize"
#: The phases that accept or refuse a file. The one by pread comes after an accepted opening.
_OPENING = (OPEN, PREAD, DESERIALIZE)


@dataclass(slots=True)
class Measured:
    """One run of one program: the question to the parser, its answer and its cost.

    ``ends`` has ``(outcome, error)`` per phase, ``seconds`` its CPU time. ``growth`` has its peak of resident memory, in
    bytes, without that of the file itself. ``slower`` names phases that were measured again, with the least CPU
    seconds of the file and of the same file at half its size.
    """

    layout: Layout
    ends: dict[str, tuple[str, str]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    growth: dict[str, int] = field(default_factory=dict)
    slower: dict[str, tuple[float, float]] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    #: None where the release has no such call.
    offset_keys: list[str] | None = field(default_factory=list)
    metadata: dict[str, str] | None = None
    #: Differences between the tensors as they are and as they were read, as (aspect, words).
    wrong: list[tuple[str, str]] = field(default_factory=list)
    deserialized: dict[str, dict[str, Any]] | None = None


#: Twice the header may cost up to this many times the CPU (linear is 2, quadratic is 4).
TIME_RATIO = 3.0
#: Bytes of resident memory that one byte of header may cost. The densest valid text, a shape of ones, takes about 28.
MEMORY_FACTOR = 40
MEMORY_FLOOR = 64 << 20

_ANSWERS = format_rules("huge")
TIME = Rule(
    "time.*",
    "huge",
    "time",
    DENIAL,
    title="The time to read grows faster than the file",
    why="Reading takes time that grows faster than the file. A person who supplies a file can keep the program that reads it busy.",
    sentence=DOS,
    should="twice the header takes about twice the time",
    check="time",
)
MEMORY = Rule(
    "memory.*",
    "huge",
    "memory",
    DENIAL,
    title="Memory out of proportion to the file",
    why="Reading takes memory out of proportion to the file. A person who supplies a file can stop the program that reads it.",
    sentence=DOS,
    should="the file is read or refused within memory in proportion to its size",
    check="memory",
)


@oracle(*_ANSWERS.values(), TIME, MEMORY)
def check(execution: Execution) -> list[Finding]:
    """The findings of one run of target ``huge``; panics and undocumented errors are the contract oracle's."""
    measured = execution.observation[2]
    if not isinstance(measured, Measured):
        return []
    return _verdicts(measured) + _misread(measured) + _costs(measured)


def _verdicts(measured: Measured) -> list[Finding]:
    """Files accepted or refused wrongly: once where both entry points agree, with the phase's name where not."""
    layout = measured.layout
    wrong: dict[tuple[str, str], dict[str, str]] = {}
    for phase in _OPENING:
        outcome, error = measured.ends.get(phase, ("", ""))
        if outcome == ACCEPT and layout.rule:
            wrong.setdefault((layout.rule, f"accepted/{layout.cause}"), {})[phase] = f"accepted, breaks {layout.rule}"
        if outcome == REJECT and not layout.rule:
            # "Error while deserializing header: ..." or "Error while deserializing: ...": the place, then the reason.
            reason = normalise(error.partition(": ")[2] or error)
            text = f"refused with {error[:200]!r}, but the format allows it"
            wrong.setdefault(("refused", f"{layout.repeated}/{reason}"), {})[phase] = text
    asked = [phase for phase in _OPENING if phase in measured.ends]
    found = []
    for (rule, aspect), phases in wrong.items():
        where = "" if len(phases) == len(asked) else f"/{next(iter(phases))} alone"
        summary = f"{' and '.join(phases)}: {next(iter(phases.values()))}; {_size(layout)}"
        found.append(Finding(_ANSWERS[rule], aspect + where, summary))
    return found


def _misread(measured: Measured) -> list[Finding]:
    layout = measured.layout
    if layout.rule or layout.prefix != layout.header_size or measured.ends.get(OPEN, ("", ""))[0] != ACCEPT:
        return []  # nothing to compare: refused, wrongly accepted, or with bytes of padding taken as data
    found = []
    if measured.ends.get(KEYS, ("", ""))[0] == ACCEPT:
        if measured.keys != sorted(layout.names):
            found.append(
                ("names", f"{len(measured.keys)} names are listed, the file has {len(layout.names)} (or others)")
            )
        elif measured.offset_keys is not None and not _in_order(measured.offset_keys, layout):
            found.append(("offset-order", "offset_keys is not by offset"))
        if measured.metadata != layout.metadata:
            found.append(("metadata", f"{len(measured.metadata or {})} metadata entries, the file has others"))
    found += measured.wrong
    if measured.deserialized is not None and len(measured.deserialized) != len(layout.names):
        found.append(("names", f"deserialize lists {len(measured.deserialized)} tensors of {len(layout.names)}"))
    return [Finding(_ANSWERS["misread"], aspect, f"{text}: {_size(layout)}") for aspect, text in dict(found).items()]


def _in_order(keys: list[str], layout: Layout) -> bool:
    """Whether ``keys`` are the names by offset. Only tensors of zero bytes share a place; they may stand in any order."""
    if keys == layout.names:
        return True
    solid = [name for name in layout.names if name not in layout.empty]
    return [name for name in keys if name not in layout.empty] == solid and sorted(keys) == sorted(layout.names)


def _costs(measured: Measured) -> list[Finding]:
    layout = measured.layout
    found = []
    for phase, (full, half) in measured.slower.items():
        if full > TIME_RATIO * half:
            summary = f"{phase} takes {full:.2f} s of CPU, {half:.2f} s at half the size: {_size(layout)}"
            found.append(Finding(TIME.member(phase), layout.repeated, summary))
    for phase, growth in measured.growth.items():
        if growth > MEMORY_FLOOR and growth > MEMORY_FACTOR * layout.header_size:
            summary = f"{phase} takes {growth >> 20} MB of memory: {_size(layout)}"
            found.append(Finding(MEMORY.member(phase), layout.repeated, summary))
    return found


def _size(layout: Layout) -> str:
    return (
        f"{len(layout.names)} tensors, header {layout.header_size} bytes (mostly {layout.repeated}), "
        f"length prefix {layout.prefix}, file {layout.size} bytes"
    )
