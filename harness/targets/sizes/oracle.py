"""Every length is read and written as it is: nothing changes at a power of two, a page or a block, or beside one."""

from __future__ import annotations

from harness.findings.finding import Finding, normalise
from harness.findings.rule import Case, Rule
from harness.findings.severity import STRICTNESS, WRONG_DATA
from harness.observation import ACCEPT, REJECT
from harness.oracles.oracle import Execution, oracle

#: safetensors/README.md of the 0.8.0 sdist; its table of formats has a tick for safetensors here.
_ANY_SIZE = "No file size limit: Is there a limit to the file size ?"

SIZE = Rule(
    "sizes.*",
    "sizes",
    "differential",
    WRONG_DATA,
    title="Content of some length is read or written otherwise than it is",
    why="Another length goes well, so callers trust the call. At this one they get or store other content, and no error says so.",
    sentence=_ANY_SIZE,
    should="names, shapes and bytes are the same at every length",
    cases=(Case("refused*", STRICTNESS),),
)


@oracle(SIZE)
def check(execution: Execution) -> list[Finding]:
    """The differences that the calls of a program found, and the calls that were refused: the content is valid."""
    trace = execution.trace
    if trace is None:
        return []
    found: dict[tuple[str, str], str] = {}
    for event in trace.events:
        if event.outcome == REJECT:
            found.setdefault((event.call, f"refused: {normalise(event.error)}"), event.error[:200])
        for aspect, words in event.value if event.outcome == ACCEPT else ():
            found.setdefault((event.call, aspect), words)
    return [Finding(SIZE.member(call), aspect, f"{call}: {words}") for (call, aspect), words in found.items()]
