"""Rules: each thing that an oracle can find wrong, as one value.

An oracle's file defines its rules. Every output reads them: severity, the words in crashes/, SARIF, the reproducer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from harness.errors import HarnessError
from harness.findings.severity import DENIAL, SEVERITIES, WRONG_DATA, WRONG_EXCEPTION

#: The closed set of kinds that the JSON of ``harness findings`` may carry.
KINDS = ("panic", "contract", "differential", "roundtrip", "memory", "time", "crash", "hang")

#: How a reproducer shows a finding. SIGNATURE runs the harness' own oracles again, so it suits every rule. The others
#: are checks in plain Python, which need no harness.
SIGNATURE = "signature"
FILE_CHECKS = (
    "accepted", "refused", "panic", "raise", "death", "misread", "relation", "reserialized", "leak", "time", "memory",
    "agreement", "saved", "cost",
)  # fmt: skip
#: Of programs: the values that calls give, how they end, a refusal, a word taken for a device.
PROGRAM_CHECKS = ("values", "ends", "refused-call", "taken")
CHECKS = (SIGNATURE, *FILE_CHECKS, *PROGRAM_CHECKS)


class RuleError(HarnessError):
    """A rule that is incomplete, is defined twice, or is not defined at all."""


@dataclass(frozen=True, slots=True)
class Case:
    """Some aspects of a rule, which differ from the others. A field that is None means: as the rule says.

    ``aspect`` is a glob over the aspect of a finding (:func:`fnmatch.fnmatchcase`).
    """

    aspect: str
    severity: str | None = None
    why: str | None = None
    sentence: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One thing that an oracle can find wrong. Two rules are equal only if they are the same object.

    ``name`` is part of the signature of its findings, and ``kind`` is one of :data:`KINDS`. A name that ends in ``.*`` is a
    family: :meth:`member` gives its rules. ``severity`` is one of :data:`harness.findings.severity.SEVERITIES`.

    ``title`` is one clause for lists. ``why`` says in whole sentences why it is wrong. ``sentence`` quotes the text that
    settles it, or is "". ``should`` completes "what should happen: ". ``check`` is one of :data:`CHECKS`. ``costly`` rules
    show only where an input is run many more times. The first of ``cases`` that
    matches an aspect and has the field goes before the rule.

    Raises RuleError when a field is missing or none of its set.
    """

    name: str
    oracle: str
    kind: str
    severity: str
    title: str
    why: str
    sentence: str = ""
    should: str = "the call gives the right answer, or is refused with SafetensorError"
    check: str = SIGNATURE
    costly: bool = False
    cases: tuple[Case, ...] = ()
    family: Rule | None = None

    def __post_init__(self) -> None:
        for field in ("name", "oracle", "title", "why", "should"):
            if not str(getattr(self, field)).strip():
                raise RuleError(f"rule {self.name or '(no name)'!r} has no {field}", hint="give every rule its words")
        sets = (("kind", KINDS), ("severity", tuple(SEVERITIES)), ("check", CHECKS))
        for field, allowed in sets:
            if getattr(self, field) not in allowed:
                raise RuleError(
                    f"rule {self.name!r}: {field} {getattr(self, field)!r} is not known",
                    hint=f"one of: {', '.join(allowed)}",
                )

    def member(self, name: str) -> Rule:
        """The rule of this family with ``name`` after the dot: ``numpy.*`` and ``get_slice`` give ``numpy.get_slice``."""
        found = _MEMBERS.get((self, name))
        if found is None:
            assert self.name.endswith(".*"), f"{self.name} is no family"
            full = f"{self.name[:-1]}{name}"
            made = dataclasses.replace(self, name=full, title=f"{self.title} ({name})", family=self)
            found = _MEMBERS.setdefault((self, name), made)
        return found

    def severity_of(self, aspect: str) -> str:
        """The severity of a finding with that aspect."""
        return next((one.severity for one in self._cases(aspect) if one.severity is not None), self.severity)

    def why_of(self, aspect: str) -> str:
        """Why a finding with that aspect is wrong."""
        return next((one.why for one in self._cases(aspect) if one.why is not None), self.why)

    def sentence_of(self, aspect: str) -> str:
        """The text that settles a finding with that aspect, "" where none does."""
        return next((one.sentence for one in self._cases(aspect) if one.sentence is not None), self.sentence)

    def _cases(self, aspect: str) -> Iterator[Case]:
        return (one for one in self.cases if fnmatchcase(aspect, one.aspect))


_MEMBERS: dict[tuple[Rule, str], Rule] = {}
_DEFINED: dict[tuple[str, str], Rule] = {}
# Oracles stand above this module, so the registry of targets says how to load them.
_loader: list[Callable[[], None]] = []
# The severity of a finding whose rule belongs to a package that is not installed.
_BY_KIND = {"contract": WRONG_EXCEPTION, "differential": WRONG_DATA, "roundtrip": WRONG_DATA}


def define(rule: Rule) -> None:
    """Make ``rule`` known by oracle and name. Raises RuleError where another rule has both."""
    known = _DEFINED.setdefault((rule.oracle, rule.name), rule)
    if known is not rule and dataclasses.astuple(known) != dataclasses.astuple(rule):
        raise RuleError(
            f"oracle {rule.oracle!r} defines the rule {rule.name!r} twice, in other words", hint="rename one of them"
        )


def defined() -> list[Rule]:
    """Every rule and family of the oracles that are loaded, in the order of their definition."""
    return list(_DEFINED.values())


def load_with(load_all: Callable[[], None]) -> None:
    """Have ``load_all`` define every rule when a rule is asked for that no loaded oracle defines."""
    _loader[:] = [load_all]


def _load_all() -> None:
    if not _loader:
        raise RuleError("a stored finding was read before its rules", hint="import harness.targets.registry first")
    _loader[0]()


def find(oracle: str, name: str, kind: str = "differential") -> Rule:
    """The rule of that oracle and name. For a rule that no installed oracle defines, one that says so, of ``kind``.

    Raises RuleError where the rule is not loaded, and nothing says how to load it (:func:`load_with`).
    """
    found = _find(oracle, name)
    if found is None:
        _load_all()
        found = _find(oracle, name)
    return found or Rule(
        name or "unknown",
        oracle or "unknown",
        kind if kind in KINDS else "differential",
        _BY_KIND.get(kind, DENIAL),
        title=f"{kind}: {name}",
        why=f"Oracle {oracle} found it. The package that defines its rule {name} is not installed here.",
    )


def named(name: str) -> list[Rule]:
    """The rules of that name, of every oracle that is installed."""
    _load_all()
    return [found for oracle in dict.fromkeys(oracle for oracle, _ in _DEFINED) if (found := _find(oracle, name))]


def _find(oracle: str, name: str) -> Rule | None:
    rule = _DEFINED.get((oracle, name))
    if rule is None:
        family, _, member = name.partition(".")
        group = _DEFINED.get((oracle, f"{family}.*"))
        rule = group.member(member) if group is not None and member else None
    return rule
