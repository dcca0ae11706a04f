"""Files and readings have the values of the call, and none of memory that was freed meanwhile.

The program says what each tensor may be: as it was when the call began, or as an act in the middle of the call made it.
Memory without an owner is overwritten, so a use after free shows as bytes that no tensor ever had.

- ``serialize`` asks its caller to keep memory: "The caller must ensure the underlying buffer stays alive for the duration
  of every serialize / serialize_file call that consumes this spec." Programs keep it.
- ``save`` and ``save_file`` ask for nothing of the kind. They make the specs, so the promise is theirs to keep.
- "There is no mechanism in place to prevent the caller from modifying the data while a file save occurs" (save_file of
  torch): bytes that an act overwrites may be of either version.
- A dict that changes while it is iterated raises RuntimeError: "Iterating views while adding or deleting entries in the
  dictionary may raise a RuntimeError or fail to iterate over all entries." (Python, Dictionary view objects)
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from harness.findings.finding import Finding
from harness.findings.rule import Rule
from harness.findings.severity import MEMORY_SAFETY, STRICTNESS, WRONG_DATA
from harness.observation import ACCEPT, REJECT, Event
from harness.oracles.oracle import Execution, oracle
from harness.targets.lifetimes import kit, writing
from harness.targets.lifetimes.program import WAYS, Call

WRITTEN = Rule(
    "lifetimes.written",
    "lifetimes",
    "roundtrip",
    MEMORY_SAFETY,
    title="A writer reads values after they are gone",
    why="The file holds bytes that no tensor ever had: the writer read memory whose owner was gone. Freed memory may hold secrets, and may be unmapped.",
    sentence="The caller must ensure the underlying buffer stays alive for the duration of every `serialize` / `serialize_file` call that consumes this spec.",
    should="each tensor in the file has the bytes that it had during the call, or the call is refused",
    check="values",
)
READ = Rule(
    "lifetimes.read",
    "lifetimes",
    "differential",
    WRONG_DATA,
    title="A tensor changes with what it was read from",
    why="A tensor differs from the content of its file after its handle, its slice or its bytes went, or when another act came in between.",
    sentence="Returns a full tensor",
    should="a tensor that was read keeps the content of its file for as long as it is held",
    check="values",
)
REFUSED = Rule(
    "lifetimes.refused",
    "lifetimes",
    "differential",
    STRICTNESS,
    title="A call is refused because something else went",
    why="Nothing that the call needs is missing, and the call is refused.",
    should="the call gives the values",
    check="refused-call",
)


@oracle(WRITTEN, READ, REFUSED)
def check(execution: Execution) -> list[Finding]:
    """The calls of a program that give other values than they may, or are refused."""
    trace = execution.trace
    if trace is None:
        return []
    return [found for event in trace.events if isinstance(event.about, Call) for found in _check(event, event.about)]


@lru_cache(1 << 10)
def allowed(source: str) -> Any:
    """The allowed versions of each tensor, by name."""
    names = {"versions": writing.versions, "whole": writing.whole, "part": kit.part}
    return eval(source, names)  # noqa: S307 - text of the language


def _check(event: Event, call: Call) -> list[Finding]:
    state = f"{call.state}:" if call.state else ""
    if event.outcome == REJECT and call.must:
        kind = event.error.partition(":")[0]
        summary = f"{call.source[:300]} raised {event.error[:200]}"
        return [Finding(REFUSED, f"{call.kind}:{state}{kind}", summary)]
    if event.outcome != ACCEPT or not call.allowed:
        return []
    word = writing.strange(event.value, allowed(call.allowed), call.missing, call.mixed)
    if not word:
        return []
    rule = WRITTEN if call.kind in WAYS else READ
    return [Finding(rule, f"{call.kind}:{state}{word}", f"{call.source[:300]} gives other {word} than it may")]
