"""What a worker has seen so far: counts by stage and rule, findings by signature, time by part."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from harness.findings.finding import Finding, Record
from harness.findings.rule import Rule

# The parser's own words for its refusals, cut to their first twelve characters: what the hot loop looks up.
# Everything that is not named here got past the JSON and the fields of every tensor.
_SHALLOW = {
    "header too s": "framing",
    "header too l": "framing",
    "invalid head": "framing",
    "invalid UTF-": "utf-8",
    "invalid JSON": "json or fields",
}
KEY_LENGTH = 12
ACCEPTED = "accepted"
_PAST_FIELDS = "layout or size"
#: How far executions get, in the order of the way; what stands last was refused nowhere.
STAGES = (*dict.fromkeys(_SHALLOW.values()), _PAST_FIELDS, ACCEPTED)


def refusal_key(error: str) -> str:
    """The first words of the parser's message, after its own "Error while ...: " prefix."""
    place = error.find(": ") + 2
    return error[place : place + KEY_LENGTH]


def stage(key: str) -> str:
    """How far an execution got: ``accepted``, or what refused it."""
    return ACCEPTED if key == ACCEPTED else _SHALLOW.get(key, _PAST_FIELDS)


def deep(counts: Counter[str]) -> int:
    """Executions that got past the JSON and every tensor's fields, accepted ones included."""
    return sum(count for key, count in counts.items() if key not in _SHALLOW)


@dataclass
class Found(Record):
    """One finding in this worker: how often, and the smallest input that shows it."""

    finding: Finding
    known: str
    first_execution: int
    first_seconds: float
    count: int = 0
    smallest: bytes = b""
    stored: int = 0


@dataclass
class Tally:
    """Counts of one worker's run; plain data, written to disk a few times a second."""

    #: Whether refusals are in the parser's words, so that depth can be told from them.
    staged: bool = True
    executions: int = 0
    stages: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    judged: int = 0
    judged_refused: int = 0
    seeds: int = 0
    bases: int = 0
    guarded: int = 0
    isolated: int = 0
    defects: int = 0
    sizes: Counter[int] = field(default_factory=Counter)
    # Sampled clock time in nanoseconds, and how many samples: running the target, the quick tier of judging, mutating.
    run_ns: int = 0
    judge_ns: int = 0
    timed: int = 0
    mutate_ns: int = 0
    mutate_timed: int = 0
    #: All of the time that judging in full took where it had waited; the examination of new members is not in it.
    settle_ns: int = 0
    found: dict[tuple[Rule, str, str], Found] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """The part that other processes read, as plain JSON types."""
        by_stage: Counter[str] = Counter()
        for key, count in self.stages.items() if self.staged else ():
            by_stage[stage(key)] += count
        return {
            "executions": self.executions,
            "accepted": self.stages.get(ACCEPTED, 0),
            "deep": deep(self.stages) if self.staged else 0,
            "stages": dict(by_stage),
            "rules": dict(self.rules),
            "judged": self.judged,
            "judged_refused": self.judged_refused,
            "seeds": self.seeds,
            "bases": self.bases,
            "guarded": self.guarded,
            "isolated": self.isolated,
            "defects": self.defects,
            "ns": {
                "run": self.run_ns // max(self.timed, 1),
                "oracles": self.judge_ns // max(self.timed, 1) + self.settle_ns // max(self.executions, 1),
                "mutate": self.mutate_ns // max(self.mutate_timed, 1),
            },
            "findings": {
                f.id: {"count": f.count, "known": f.known, "size": f.stored, "signature": f.signature}
                for f in self.found.values()
            },
        }
