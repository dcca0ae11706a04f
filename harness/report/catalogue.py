"""Rules as SARIF lists them: the levels of severities, and the rules that every log has."""

from __future__ import annotations

from harness.findings import rule as rules
from harness.findings.rule import Rule
from harness.findings.severity import (
    DENIAL,
    LENIENCY,
    MEMORY_SAFETY,
    SIDE_EFFECT,
    STRICTNESS,
    WRONG_DATA,
    WRONG_EXCEPTION,
)
from harness.format.rules import RULES

# GitHub's bands for a rule tagged security: high from 7, medium from 4. A severity that helps no attacker has no score.
_SCORES = {MEMORY_SAFETY: "8.5", DENIAL: "7.0", WRONG_DATA: "5.5", LENIENCY: "5.0"}
_LEVELS = {
    MEMORY_SAFETY: "error",
    DENIAL: "error",
    WRONG_DATA: "error",
    WRONG_EXCEPTION: "warning",
    SIDE_EFFECT: "warning",
    LENIENCY: "warning",
    STRICTNESS: "note",
}
_STANDING = (
    ("contract", "panic"), ("contract", "raise"), ("isolation", "crash"), ("isolation", "hang"), ("isolation", "memory"),
    ("differential", "refused"), ("differential", "misread"), *(("differential", name) for name in RULES),
)  # fmt: skip


def level(severity: str) -> str:
    """SARIF's word for a severity: error, warning or note."""
    return _LEVELS[severity]


def score(severity: str) -> str:
    """GitHub's ``security-severity`` of a severity; "" where security is not concerned."""
    return _SCORES.get(severity, "")


def standing() -> list[Rule]:
    """The rules that are always listed: those of the format, and those that judge every target."""
    return [rules.find(oracle, name) for oracle, name in _STANDING]


def tags(rule: Rule) -> tuple[str, ...]:
    """Words to filter a rule by."""
    family = rule.name.partition(".")[0]
    return ("safetensors", "format", family) if rule.name in RULES else ("safetensors", rule.kind, family)


def meaning(rule: Rule) -> str:
    """The rule in whole sentences, with the text that settles it."""
    return f'{rule.why} The text: "{rule.sentence}".' if rule.sentence else rule.why
