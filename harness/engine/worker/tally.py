"""A worker's counts: executions by stage and rule, findings by signature, time by part."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from harness.findings.finding import Finding, Record
from harness.findings.rule import Rule

# The parser's error messages, cut to twelve characters, as the hot loop looks them up.
# Refusals with other messages got past the JSON and the fields of every tensor.
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
#: The stages that end executions, in their order. The last one is no refusal.
STAGES = (*dict.fromkeys(_SHALLOW.values()), _PAST_FIELDS, ACCEPTED)


def refusal_key(error: str) -> str:
    """The start of the parser's message after its prefix "Error while ...: "."""
    place = error.find(": ") + 2
    return error[place : place + KEY_LENGTH]


def stage(key: str) -> str:
    """The stage that ended an execution: ``accepted``, or the refusing one."""
    return ACCEPTED if key == ACCEPTED else _SHALLOW.get(key, _PAST_FIELDS)


def deep(counts: Counter[str]) -> int:
    """Number of executions past the JSON and every tensor's fields, accepted ones included."""
    return sum(count for key, count in counts.items() if key not in _SHALLOW)


@dataclass
class Found(Record):
    """One signature in this worker, with its count and its smallest input."""

    finding: Finding
    known: str
    first_execution: int
    first_seconds: float
    count: int = 0
    smallest: bytes = b""
    stored: int = 0


@dataclass
class Tally:
    """Counts of one worker's run."""

    #: Whether refusals have the parser's messages, which tell the stage.
    staged: bool = True
    executions: int = 0
    stages: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    judged: int = 0
    judged_refused: int = 0
    seeds: int = 0
    guarded: int = 0
    forked: int = 0
    defects: int = 0
    sizes: Counter[int] = field(default_factory=Counter)
    # Sampled clock time in nanoseconds and the number of samples: running the target, the first tier of judging, mutating.
    run_ns: int = 0
    judge_ns: int = 0
    timed: int = 0
    mutate_ns: int = 0
    mutate_timed: int = 0
    # The whole time of judging batches, without the slow oracles.
    batch_ns: int = 0
    found: dict[tuple[Rule, str, str], Found] = field(default_factory=dict)

    def figures(self) -> dict[str, Any]:
        """The fields of :class:`harness.engine.worker.status.WorkerStatus` that are known here."""
        by_stage: Counter[str] = Counter()
        for key, count in self.stages.items() if self.staged else ():
            by_stage[stage(key)] += count
        names = ("executions", "judged", "judged_refused", "seeds", "guarded", "forked", "defects")
        return {
            **{name: getattr(self, name) for name in names},
            "accepted": self.stages.get(ACCEPTED, 0),
            "deep": deep(self.stages) if self.staged else 0,
            "stages": by_stage,
            "rules": self.rules,
            "ns": {
                "run": self.run_ns // max(self.timed, 1),
                "oracles": self.judge_ns // max(self.timed, 1) + self.batch_ns // max(self.executions, 1),
                "mutate": self.mutate_ns // max(self.mutate_timed, 1),
            },
            "findings": {
                f.id: {"count": f.count, "known": f.known, "size": f.stored, "signature": f.signature}
                for f in self.found.values()
            },
        }
