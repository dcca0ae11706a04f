"""Findings: one observed violation of a rule.

An oracle makes a finding. Replays, campaigns, crashes/ and reports keep it, each beside fields of their own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from harness.findings import rule as rules
from harness.findings.rule import Rule
from harness.findings.signature import Parts, finding_id, parts


@dataclass(frozen=True, slots=True)
class Finding:
    """One violation of ``rule`` in one run.

    ``aspect`` says what of the rule is violated, in words that are the same for the same defect: no numbers, names or
    positions of the input. ``summary`` is one clause for people, with the values of this input. ``kind`` is the rule's
    unless given. ``target`` is "" until the run's target is known (:meth:`on`).
    """

    rule: Rule
    aspect: str
    summary: str
    kind: str = ""
    target: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.rule, Rule):
            raise rules.RuleError(
                f"a finding names the rule {self.rule!r}, which is not defined",
                hint="define harness.findings.rule.Rule(...) and list it in @oracle(...)",
            )
        if not self.kind:
            object.__setattr__(self, "kind", self.rule.kind)

    def on(self, target: str) -> Finding:
        """The same finding on that target."""
        return replace(self, target=target)

    @property
    def oracle(self) -> str:
        """The name of the oracle."""
        return self.rule.oracle

    @property
    def signature(self) -> str:
        """``target|kind|rule|aspect``: equal for the same violation."""
        return str(Parts(self.target, self.kind, self.rule.name, self.aspect))

    @property
    def id(self) -> str:
        """The name of its folder."""
        return finding_id(self.signature)

    @property
    def severity(self) -> str:
        """By rule and aspect."""
        return self.rule.severity_of(self.aspect)

    @property
    def why(self) -> str:
        """Why it is wrong, in whole sentences."""
        return self.rule.why_of(self.aspect)

    @property
    def sentence(self) -> str:
        """The text that settles it, "" where none does."""
        return self.rule.sentence_of(self.aspect)

    def fields(self) -> tuple[str, str, str, str, str]:
        """Oracle, kind, rule, aspect and summary, as they are sent to another process."""
        return self.oracle, self.kind, self.rule.name, self.aspect, self.summary

    def about(self) -> dict[str, str]:
        """The fields of the finding as finding.json and finding.toml name them."""
        return {
            "id": self.id,
            "target": self.target,
            "oracle": self.oracle,
            "kind": self.kind,
            "rule": self.rule.name,
            "aspect": self.aspect,
            "signature": self.signature,
        }

    @classmethod
    def of(cls, fields: Sequence[str], target: str = "") -> Finding:
        """The finding of :meth:`fields`."""
        oracle, kind, name, aspect, summary = fields
        return cls(rules.find(oracle, name, kind), aspect, summary, kind, target)

    @classmethod
    def of_signature(cls, signature: str, oracle: str, summary: str) -> Finding:
        """The finding of a stored signature. Raises ValueError when it is none."""
        found = parts(signature)
        return cls.of((oracle, found.kind, found.rule, found.aspect, summary), found.target)


class Record:
    """A finding with what somebody keeps beside it."""

    __slots__ = ()

    finding: Finding

    @property
    def id(self) -> str:
        """The name of its folder."""
        return self.finding.id

    @property
    def target(self) -> str:
        """The name of the target."""
        return self.finding.target

    @property
    def oracle(self) -> str:
        """The name of the oracle."""
        return self.finding.oracle

    @property
    def kind(self) -> str:
        """One of :data:`harness.findings.rule.KINDS`."""
        return self.finding.kind

    @property
    def rule(self) -> Rule:
        """The rule."""
        return self.finding.rule

    @property
    def aspect(self) -> str:
        """The part of the rule that is violated."""
        return self.finding.aspect

    @property
    def signature(self) -> str:
        """``target|kind|rule|aspect``."""
        return self.finding.signature

    @property
    def summary(self) -> str:
        """One clause, with the values of the input."""
        return self.finding.summary


# Backquotes around words of the parser's, of its JSON reader's or of Rust's own. All others are around names of the
# input, which are printed as they are and may hold anything, backquotes too.
_OWN = re.compile(
    r"(?:missing|duplicate) field `(?:dtype|shape|data_offsets|__metadata__)`"
    r"|expected `[:,\]}]`(?: or `[:,\]}]`)?"
    r"|called `(?:Option|Result)::\w+\(\)` on an? `(?:None|Err|Ok)` value"
)
_BACKQUOTED = re.compile(r"`.*`", re.DOTALL)
# These messages print a name without any quotes: up to the end, or up to the cause after the last colon.
_BARE = re.compile(r"(contain tensor|tensor info for) .*|((?:read|failed for) tensor) .*(?= from file: |: )", re.DOTALL)
_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|(?<!\w)'(?:[^'\\]|\\.)*'", re.DOTALL)
# Words of frameworks for a tensor's dtype: which one it is comes from the file.
_DTYPE = re.compile(r"\b(?:u?int|b?float|complex)(?:8|16|32|64|128)(?:_e\dm\d\w*)?\b")
_NUMBER = re.compile(r"(?<!\w)0x[0-9a-fA-F]+|(?<!\w)(?<![A-Za-z]-)-?\d[\d_.]*(?:[eE][+-]?\d+)?(?!\w)")
_LIST = re.compile(r"\[[^\[\]]*\]|(?<![\w:])\([N, ]*\)")
_LONG_WORD = re.compile(r"\S{60,}")
_ENUMERATION = re.compile(r"\b_(?:, _)+")
_SPACE = re.compile(r"\s+")
_LONGEST = 1 << 16


@lru_cache(256)
def normalise(message: str) -> str:
    """An error message with what comes from the input taken out: quoted text, names, numbers, lists, words for dtypes.

    Two inputs that trip over the same defect give the same string, however their names and sizes differ.
    """
    text = message[:_LONGEST]
    text = _OWN.sub(lambda match: match.group().replace("`", "\ue000"), text)
    text = _BACKQUOTED.sub("_", text)
    text = _BARE.sub(lambda match: f"{match[1] or match[2]} _", text)
    text = _QUOTED.sub("_", text)
    text = _NUMBER.sub("N", _DTYPE.sub("DTYPE", text))
    for _ in range(3):  # nested lists, inside out
        text = _LIST.sub("_", text)
    text = _LONG_WORD.sub("_", text)
    text = _ENUMERATION.sub("_", text).replace("\ue000", "`")
    return _SPACE.sub(" ", text).strip()[:160]
