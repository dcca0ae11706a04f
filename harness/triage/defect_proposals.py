"""The defect record of a filed finding: proposals by place, rule and fix, and the decision of a person."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import paths
from harness.errors import HarnessError
from harness.files import write_atomic
from harness.findings import crashes, defects, toml
from harness.findings.crashes import Crash
from harness.findings.defects import Defect
from harness.parsers import registry
from harness.targets.registry import get_target
from harness.triage import filing

# The list of findings at the top of a record, up to its last id.
_FINDINGS = re.compile(r"^findings\s*=\s*\[[^\]]*?(?=,?\s*\])", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A record that may be the finding's, with the reasons, the strongest first."""

    defect: Defect
    reasons: tuple[str, ...]


def propose(crash: Crash, records: Sequence[Defect], filed: Iterable[Crash]) -> list[Proposal]:
    """The records that ``crash`` may belong to, the likeliest first; none where one names it already.

    Its input runs on the build with all fixes, if there is one.
    """
    if defects.owner(crash.id, records) is not None:
        return []
    every = {one.id: one for one in filed}
    mended = _mended(crash)
    found = []
    for defect in records:
        others = [every[name] for name in defect.findings if name in every]
        reasons = tuple(_reasons(crash, defect, others, mended))
        if reasons:
            found.append(Proposal(defect, reasons))
    order = (_PLACE, _RULE, _NEAR, _FIX)
    return sorted(found, key=lambda one: min(order.index(reason.split(":")[0]) for reason in one.reasons))


_PLACE, _RULE, _NEAR, _FIX = "same place", "same rule and aspect", "near its place", "mended by the fixes"
# Lines between two places that are near: a function of the parser has about so many.
_LINES = 30


def _reasons(crash: Crash, defect: Defect, others: list[Crash], mended: str) -> Iterable[str]:
    places = (*defect.places, *(one.place for one in others))
    if crash.place and crash.place in places:
        yield f"{_PLACE}: {crash.place}"
    elif near := next((place for place in places if _near(crash.place, place)), None):
        yield f"{_NEAR}: {near}"
    group = filing.group(crash.signature)
    if same := next((one.id for one in others if filing.group(one.signature) == group), None):
        yield f"{_RULE}: {same}"
    if mended and defect.edits and any(one.target == crash.target for one in others):
        yield f"{_FIX}: {mended} does not show it, and a finding on {crash.target} has this record"


def _near(one: str, other: str) -> bool:
    """Whether two places are few lines apart."""
    (file, _, line), (there, _, at) = one.rpartition(":"), other.rpartition(":")
    return bool(file) and file == there and line.isdigit() and at.isdigit() and abs(int(line) - int(at)) <= _LINES


def _mended(crash: Crash) -> str:
    """The build with all fixes where the plain build shows the finding and that one does not; else ""."""
    plain = registry.read(registry.default_release())
    fixed = registry.read(f"{registry.default_release()}-mended")
    if plain is None or fixed is None or fixed.why_not_here() or not get_target(crash.target).uses_parser:
        return ""
    shown = [one.parser for one in filing.shows(crash.target, crash.signature, crash.data(), [plain, fixed])]
    return fixed.name if shown == [plain] else ""


def claim(finding: str, name: str) -> Path:
    """Add a filed finding to the record ``name``, and leave the rest of the file as it is; its path.

    A record of the package is copied into the project. Raises HarnessError for an unknown record, a finding that is not
    filed, or one that a record names already; then nothing is written.
    """
    defect = defects.find(name)
    crashes.named(finding)
    if (owner := defects.owner(finding, defects.defects())) is not None:
        raise HarnessError(
            f"the defect {owner.name} names {finding} already", hint=f"take it out of {owner.path} first"
        )
    old = defect.path.read_text(encoding="utf-8")
    text = _FINDINGS.sub(lambda match: _longer(match[0], finding), old, count=1)
    place, hint = str(defect.path), "add the finding by hand"
    table = toml.loads(old, place, hint)
    if toml.loads(text, place, hint) != table | {"findings": [*defect.findings, finding]}:
        raise HarnessError(f"the list of findings in {place} cannot be extended", hint=hint)
    path = paths.home() / "crashes" / defects.FOLDER / defect.path.name
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text)
    return path


def _longer(head: str, finding: str) -> str:
    """The beginning of a list with one more text, on a line of its own where the last one has one."""
    last = head.rpartition("\n")[2]
    margin = f"\n{last[: len(last) - len(last.lstrip())]}" if last.startswith((" ", "\t")) else " "
    return f'{head},{margin}"{finding}"'
