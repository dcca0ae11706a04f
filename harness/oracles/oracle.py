"""Oracles: functions that judge one execution, with the rules that they may report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from harness.findings import rule as rules
from harness.findings.finding import Finding
from harness.findings.rule import Rule, RuleError
from harness.format.judge import Judgement
from harness.observation import Observation, Reading, Run, Trace


class Reader(Protocol):
    """A target as far as oracles need it."""

    timeout_s: float

    def reading(self, value: object) -> Reading:
        """The neutral form of an accepted run's value."""

    def call_names(self, data: bytes) -> list[str]:
        """The kinds of the calls of a program, in order."""

    def memory_state(self, data: bytes, call: str, files: tuple[bytes, bytes] | None) -> str:
        """The words of an aspect about a call that met memory of others."""


@dataclass(slots=True)
class Execution:
    """One run of an input, as every oracle gets it.

    ``target`` gives the neutral form of a run's value. ``judgement`` is the independent judge's word on ``data``, and ``run``
    runs an input again in this process. Both are None for the oracles that a target lists: a worker calls these for every
    execution. ``variants`` gets the other input that a finding is about, where there is one.
    """

    data: bytes
    observation: Observation
    judgement: Judgement | None = None
    run: Run | None = None
    target: Reader | None = None
    variants: dict[Finding, bytes] = field(default_factory=dict)

    @property
    def trace(self) -> Trace | None:
        """The trace of a program; None where the run yielded something else."""
        value = self.observation[2]
        return value if isinstance(value, Trace) else None


Check = Callable[[Execution], list[Finding]]


@dataclass(frozen=True, slots=True)
class Oracle:
    """A check, callable as it is, and the rules that it may report."""

    check: Check
    rules: tuple[Rule, ...]

    def __call__(self, execution: Execution) -> list[Finding]:
        """The findings of one execution."""
        return self.check(execution)

    @property
    def name(self) -> str:
        """The function, as errors name it."""
        return f"{self.check.__module__}.{self.check.__qualname__}"

    def covers(self, rule: Rule) -> bool:
        """Whether the oracle declares ``rule``, or its family."""
        return rule in self.rules or rule.family in self.rules


def oracle(*declared: Rule) -> Callable[[Check], Oracle]:
    """Make a check an oracle that reports the rules ``declared``, and define these.

    Raises RuleError where something declared is no rule, or where another rule has its name.
    """

    def make(check: Check) -> Oracle:
        made = Oracle(check, declared)
        if not declared:
            raise RuleError(
                f"oracle {made.name} declares no rule", hint="@oracle(RULE, ...) names those that it reports"
            )
        for rule in declared:
            if not isinstance(rule, Rule):
                raise RuleError(
                    f"oracle {made.name} names the rule {rule!r}, which is not defined",
                    hint="define harness.findings.rule.Rule(...) and pass that",
                )
            rules.define(rule)
        return made

    return make
