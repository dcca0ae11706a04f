"""Turns a person's verdict on one finding into a verdict rule for all findings like it.

A rule is drafted from a signature and shown with its matches. It is written into the project's verdicts.toml only if it
hides no finding that is filed as a bug.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from harness.errors import HarnessError
from harness.files import write_atomic
from harness.findings import crashes, store, toml, verdicts
from harness.findings.crashes import Crash
from harness.findings.signature import parts
from harness.findings.store import Stored
from harness.findings.verdicts import TOO_WIDE, VerdictRule
from harness.format.rules import RULES
from harness.targets import known_findings

_NOT_SLUG = re.compile(r"[^a-z0-9.]+")
# The bindings' words before the parser's: they differ between entry points.
_WHERE = re.compile(r"Error while [a-z ]+: ")
#: Campaigns of fewer executions give no share of a rule.
_LEAST_EXECUTIONS = 1_000


@dataclass(frozen=True, slots=True)
class Decided:
    """The finding with the verdict: filed, or only in a campaign."""

    id: str
    signature: str
    sentence: str
    crash: Crash | None = None


@dataclass(frozen=True, slots=True)
class Met:
    """Matches of a rule in one campaign: ids, ``count`` of the ``executions`` that showed them, targets driven."""

    campaign: Path
    ids: tuple[str, ...]
    count: int
    executions: int
    targets: tuple[str, ...]

    @property
    def share(self) -> float:
        """Of all executions; 0 where the ledger counts none."""
        return self.count / self.executions if self.executions else 0.0


@dataclass(frozen=True, slots=True)
class Matches:
    """Matches of a rule in crashes/ and in campaigns."""

    filed: tuple[Crash, ...]
    met: tuple[Met, ...]

    @property
    def nothing(self) -> bool:
        """Whether nothing matches."""
        return not self.filed and not any(one.ids for one in self.met)

    def bugs(self, but: str = "") -> list[str]:
        """Ids of findings filed as bugs, open or fixed, except ``but``."""
        return [crash.id for crash in self.filed if crash.status != crashes.BY_DESIGN and crash.id != but]

    def too_wide(self) -> Met | None:
        """The campaign in which the rule covers the largest share of executions above TOO_WIDE."""
        large = (one for one in self.met if one.executions >= _LEAST_EXECUTIONS)
        widest = max(large, key=lambda one: one.share, default=None)
        return widest if widest is not None and widest.share > TOO_WIDE else None


def decided(name: str, campaigns: Iterable[Path]) -> Decided:
    """The finding of that id in crashes/, else in the campaigns. Raises HarnessError when there is none."""
    for crash in crashes.crashes():
        if crash.id == name:
            return Decided(crash.id, crash.signature, crash.sentence, crash)
    for campaign in campaigns:
        for stored in store.findings(campaign):
            if stored.id == name:
                return Decided(stored.id, stored.signature, stored.finding.sentence)
    raise HarnessError(
        f"no finding is called {name!r}, neither filed nor in a campaign",
        hint="harness findings lists those of a campaign; --campaign names another",
    )


def generalised(sig: str) -> dict[str, str]:
    """Globs of the narrowest rule that recognises the defect behind ``sig`` on every target that can show it.

    Rules of the format, refusals and spellings of one content are properties of the parser: their target is ``*``. A
    signature that names a call or an exception of the bindings keeps its target.
    """
    found = parts(sig)
    of_the_parser = found.rule in RULES or found.rule.startswith("metamorphic.") or (found.rule == "refused" and _WHERE.search(found.aspect))  # fmt: skip
    aspect = glob.escape(found.aspect)
    return {
        "target": "*" if of_the_parser else glob.escape(found.target),
        "kind": glob.escape(found.kind),
        "rule": glob.escape(found.rule),
        "aspect": _WHERE.sub("Error while *: ", aspect) if of_the_parser else aspect,
    }


def draft(
    found: Decided, verdict: str, why: str, *, name: str, sentence: str, globs: Mapping[str, str | None]
) -> VerdictRule:
    """The rule of a verdict. An empty ``name`` or ``sentence`` is taken from the finding.

    ``globs`` (target, kind, rule, aspect) that are not None replace those of :func:`generalised`. Raises HarnessError when a
    rule covers the finding already, there is no sentence, the name is taken, or the globs do not match the finding.
    """
    if (covered := known_findings.verdict(found.signature)) is not None:
        raise HarnessError(f"the rule {covered.name} covers {found.id} already", hint="harness triage rules lists them")
    if not (sentence or found.sentence).strip():
        raise HarnessError(f"no text speaks of {found.id}, and a rule quotes the sentence it stands on",
                           hint="--sentence TEXT: of the documentation, or of who decided")  # fmt: skip
    taken = {rule.name for rule in verdicts.rules()}
    if name in taken:
        raise HarnessError(f"there is a rule called {name!r}", hint="give it another name, or leave the name out")
    chosen = generalised(found.signature) | {key: value for key, value in globs.items() if value is not None}
    rule = VerdictRule(
        name=name or _name(found.signature, taken),
        verdict=verdict,
        why=why.strip(),
        sentence=(sentence or found.sentence).strip(),
        **chosen,
    )
    (rule,) = verdicts.parse(_text(rule), "the rule")  # as it will be read
    if not rule.matches(found.signature):
        raise HarnessError(f"the rule would not match {found.id} itself: {found.signature}",
                           hint="a glob that holds a bracket or a star of the text needs it in brackets: [[], [*]")  # fmt: skip
    return rule


def _name(sig: str, taken: set[str]) -> str:
    found = parts(sig)
    slug = _NOT_SLUG.sub("-", f"{found.rule}-{found.aspect}".lower()).strip("-.")[:60].rstrip("-.")
    number = 1
    while (name := slug if number == 1 else f"{slug}-{number}") in taken:
        number += 1
    return name


def covers(rule: VerdictRule, sig: str) -> bool:
    """Whether a rule covers a signature, or the same defect in the reader that its target stands on."""
    return any(map(rule.matches, (sig, *known_findings.in_readers(sig))))


def matches(chosen: Sequence[VerdictRule], campaigns: Iterable[Path]) -> list[Matches]:
    """Matches of each rule that no earlier rule covers."""
    filed: list[list[Crash]] = [[] for _ in chosen]
    met: list[list[Met]] = [[] for _ in chosen]
    for crash in crashes.crashes():
        if (number := _first(chosen, crash.signature)) is not None:
            filed[number].append(crash)
    for campaign in campaigns:
        ledger = store.sessions(campaign)
        executions = sum(int(session.get("executions", 0)) for session in ledger)
        targets = tuple(sorted({name for session in ledger for name in session.get("targets", ())}))
        here: list[list[Stored]] = [[] for _ in chosen]
        for stored in store.findings(campaign):
            if (number := _first(chosen, stored.signature)) is not None:
                here[number].append(stored)
        for found, into in zip(here, met, strict=True):
            count = sum(store.count(one, ledger) for one in found)
            into.append(Met(campaign, tuple(one.id for one in found), count, executions, targets))
    return [Matches(tuple(one), tuple(other)) for one, other in zip(filed, met, strict=True)]


def _first(chosen: Sequence[VerdictRule], sig: str) -> int | None:
    return next((number for number, rule in enumerate(chosen) if covers(rule, sig)), None)


def refuse_too_wide(rule: VerdictRule, found: Matches, but: str) -> None:
    """Raise HarnessError if a rule hides findings filed as bugs, ``but`` one, or too many executions."""
    if bugs := found.bugs(but):
        raise HarnessError(
            f"the rule {rule.name} is too wide: it would hide {', '.join(bugs)}, filed as {'a bug' if len(bugs) == 1 else 'bugs'}; nothing is written",
            hint="narrow it (--target, --aspect), or decide about those first: harness triage verdict ID by-design --why TEXT",
        )
    if (most := found.too_wide()) is not None:
        raise HarnessError(
            f"the rule {rule.name} is too wide: it covers {100 * most.share:.1f} % of the executions of {most.campaign.name} "
            f"({', '.join(most.ids)}), more than {100 * TOO_WIDE:g} %; nothing is written",
            hint="narrow it (--target, --aspect): whatever else goes wrong in those would not be seen",
        )


def append(rule: VerdictRule) -> Path:
    """Append a rule to the project's verdicts.toml, whose text stays as it is. Returns the file."""
    old = verdicts.read()
    verdicts.parse(old, str(verdicts.place()))
    gap = "" if not old else "\n" if old.endswith("\n") else "\n\n"
    new = f"{old}{gap}{_text(rule)}"
    verdicts.parse(new, str(verdicts.place()))
    write_atomic(verdicts.place(), new)
    return verdicts.place()


def _text(rule: VerdictRule) -> str:
    order = ("name", "target", "kind", "rule", "aspect", "verdict", "sentence", "why")
    assert set(order) == {field.name for field in fields(VerdictRule)}
    values = asdict(rule)
    return "[[rule]]\n" + toml.dumps({name: values[name] for name in order})
