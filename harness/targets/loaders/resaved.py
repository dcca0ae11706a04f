"""What a loader read, saved again: the judge accepts the new file, and it reads as what was saved; the saver takes nothing away.

For the programs of target ``writers``, which save what people make, there is an oracle of its own.
"""

from __future__ import annotations

from harness.findings.finding import Finding, normalise
from harness.format.judge import judge
from harness.observation import REJECT, Observation, Reading, Written
from harness.oracles import differential
from harness.targets.loaders.agreement import compare

SAVERS = ("save", "save_file")


def check(data: bytes, observation: Observation) -> list[Finding]:
    """What is wrong with the files that the savers of a run made; of two equal files, the first alone is looked at."""
    found: list[Finding] = []
    seen: set[bytes] = set()
    for event in getattr(observation[2], "events", ()):
        if event.call not in SAVERS:
            continue
        if event.outcome == REJECT:
            words = f"{event.call} refuses what load gave: {event.error[:200]}"
            found.append(_finding("refused", f"{event.call}: {normalise(event.error)}", words))
        elif isinstance(event.value, Written):
            if not event.value.kept:
                words = f"{event.call} changed the dictionary that it was given"
                found.append(_finding("argument", f"{event.call}: changed", words))
            if event.value.data not in seen:
                seen.add(event.value.data)
                found += _written(event.call, event.value)
    return found


def _finding(rule: str, aspect: str, summary: str) -> Finding:
    return Finding("resaved", "roundtrip", f"resaved.{rule}", aspect, summary)


def _written(call: str, written: Written) -> list[Finding]:
    judgement = judge(written.data)
    if judgement.verdict == "reject":
        words = f"what {call} wrote is forbidden: {judgement.detail}"
        return [_finding("forbidden", f"{call}: {judgement.rule}", words)]
    if judgement.header is not None:
        wrong = differential.misread(written.data, judgement.header, written.read)
        if wrong:
            words = f"what {call} wrote is not what it was given: {wrong[0].summary}"
            return [_finding("content", f"{call}: {wrong[0].aspect}", words)]
    if not isinstance(written.again, Reading):
        words = f"load cannot read what {call} wrote: {written.again[:200]}"
        return [_finding("unreadable", f"{call}: {normalise(written.again)}", words)]
    difference = compare(written.read, written.again)
    if difference is not None:
        words = f"load reads what {call} wrote as something else: {difference[1]}"
        return [_finding("again", f"{call}: {difference[0]}", words)]
    return []
