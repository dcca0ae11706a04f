"""Loaded tensors, saved again: the judge accepts the new file, and it reads the same. The saver changes no argument.

For the programs of target ``writers``, which save what people make, there is an oracle of its own.
"""

from __future__ import annotations

from harness.findings.finding import Finding, normalise
from harness.findings.rule import Rule
from harness.findings.severity import SIDE_EFFECT, STRICTNESS, WRONG_DATA
from harness.format.judge import judge
from harness.observation import REJECT, Reading, Written
from harness.oracles import differential
from harness.oracles.oracle import Execution, oracle
from harness.targets.loaders.agreement import compare

SAVERS = ("save", "save_file")


def _rule(name: str, severity: str, title: str, why: str) -> Rule:
    return Rule(
        f"resaved.{name}",
        "resaved",
        "roundtrip",
        severity,
        title=title,
        why=why,
        should="the saved file reads as what was given, and the dictionary stays as it was",
        check="saved",
    )


REFUSED = _rule(
    "refused",
    STRICTNESS,
    "A saver refuses what the loader gave",
    "The loader read the file. The saver of the same module refuses its tensors.",
)
ARGUMENT = _rule(
    "argument", SIDE_EFFECT, "A saver changes its argument", "The saver changes the dictionary that the caller passed."
)
FORBIDDEN = _rule(
    "forbidden", WRONG_DATA, "A saver writes a forbidden file", "The saver writes a file that the format forbids."
)
CONTENT = _rule(
    "content",
    WRONG_DATA,
    "A saver writes something else than it was given",
    "The file holds other tensors or metadata than the saver was given, and no error says so.",
)
UNREADABLE = _rule(
    "unreadable",
    WRONG_DATA,
    "The loader cannot read what the saver wrote",
    "The loader of a module refuses the file that the saver of the same module wrote.",
)
AGAIN = _rule(
    "again",
    WRONG_DATA,
    "Loaded and saved again, it is something else",
    "The loader reads other content from the saved file than it gave before.",
)


@oracle(REFUSED, ARGUMENT, FORBIDDEN, CONTENT, UNREADABLE, AGAIN)
def check(execution: Execution) -> list[Finding]:
    """Findings about the files that the savers of a run made; of two equal files, the first alone is judged."""
    found: list[Finding] = []
    seen: set[bytes] = set()
    for event in getattr(execution.observation[2], "events", ()):
        if event.call not in SAVERS:
            continue
        if event.outcome == REJECT:
            words = f"{event.call} refuses what load gave: {event.error[:200]}"
            found.append(Finding(REFUSED, f"{event.call}: {normalise(event.error)}", words))
        elif isinstance(event.value, Written):
            if not event.value.kept:
                words = f"{event.call} changed the dictionary that it was given"
                found.append(Finding(ARGUMENT, f"{event.call}: changed", words))
            if event.value.data not in seen:
                seen.add(event.value.data)
                found += _written(event.call, event.value)
    return found


def _written(call: str, written: Written) -> list[Finding]:
    judgement = judge(written.data)
    if judgement.verdict == "reject":
        words = f"what {call} wrote is forbidden: {judgement.detail}"
        return [Finding(FORBIDDEN, f"{call}: {judgement.rule}", words)]
    if judgement.header is not None:
        wrong = differential.misread(written.data, judgement.header, written.read)
        if wrong:
            words = f"what {call} wrote is not what it was given: {wrong[0].summary}"
            return [Finding(CONTENT, f"{call}: {wrong[0].aspect}", words)]
    if not isinstance(written.again, Reading):
        words = f"load cannot read what {call} wrote: {written.again[:200]}"
        return [Finding(UNREADABLE, f"{call}: {normalise(written.again)}", words)]
    difference = compare(written.read, written.again)
    if difference is not None:
        words = f"load reads what {call} wrote as something else: {difference[1]}"
        return [Finding(AGAIN, f"{call}: {difference[0]}", words)]
    return []
