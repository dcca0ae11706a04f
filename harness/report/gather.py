"""The data for the outputs for machines: every finding once, and the work of each campaign."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness import paths
from harness.engine.campaign import states
from harness.engine.campaign.states import State
from harness.findings import crashes, defects, store
from harness.findings.crashes import Crash
from harness.findings.defects import Defect
from harness.findings.finding import Finding, Record
from harness.findings.severity import SEVERITIES
from harness.findings.store import Stored
from harness.findings.verdicts import VerdictRule
from harness.foreign_json import number, table
from harness.parsers.registry import Parser
from harness.report.drives import Drive, drives
from harness.targets import known_findings
from harness.targets.registry import all_targets, broken_targets, not_installed
from harness.triage import compare_builds

NEW = "new"
#: Covered by a verdict rule; all other states are those of a filed finding.
RULED = "ruled"
#: Of what nothing covers, as it was compared with another build: it shows there too, or neither there nor again.
ELSEWHERE = (compare_builds.THERE_TOO, compare_builds.NOT_AGAIN)


@dataclass(frozen=True, slots=True)
class Seen:
    """A finding as one campaign has it; ``count`` executions showed it."""

    campaign: str
    stored: Stored
    count: int
    flaky: bool


@dataclass(frozen=True, slots=True)
class Row(Record):
    """One finding. ``state`` is new, ruled, open, fixed or by-design; ``seen`` is where campaigns met it.

    A filed one has its ``crash``, and the ``defect`` whose record names it; one that a verdict rule covers its ``verdict``. ``why`` and ``sentence`` as in crashes/. A
    finding without either may be compared with another build, its ``base``. It is new only where it does not show there;
    else its state is one of ELSEWHERE.
    """

    finding: Finding
    severity: str
    state: str
    why: str
    sentence: str
    crash: Crash | None = None
    defect: Defect | None = None
    verdict: VerdictRule | None = None
    seen: tuple[Seen, ...] = ()
    base: str = ""

    @property
    def flaky(self) -> bool:
        """Whether a campaign saw it and could not repeat it each time."""
        return any(one.flaky for one in self.seen)

    @property
    def stored(self) -> Stored:
        """Of a finding that campaigns saw, the smallest input. Raises ValueError where none did."""
        return min((one.stored for one in self.seen), key=lambda stored: stored.size)

    @property
    def compared_with(self) -> dict[str, str]:
        """The build that it was compared with and what came of it, as `harness findings --against` says it; empty where it was not."""
        shows = compare_builds.ONLY_HERE if self.state == NEW else self.state
        return {"parser": self.base, "shows": shows} if self.base else {}

    @property
    def elsewhere(self) -> str:
        """Why it does not count as new, in words; "" where it does, or where it is covered."""
        words = {
            compare_builds.THERE_TOO: f"shows on {self.base} too",
            compare_builds.NOT_AGAIN: f"shows neither on {self.base} nor, again, where it was found",
        }
        return words.get(self.state, "")

    @property
    def repeat(self) -> str:
        """The command that shows it again."""
        if self.crash or not self.seen:
            return f"harness repro {self.crash.id if self.crash else self.id}"
        return f"harness repro {store.reference(self.stored.folder.parents[1], self.id)}"


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign's folder, what campaign.json says of its sessions, and its findings.

    Without ``began`` it stands for the targets that no campaign asked for (:func:`unasked`).
    """

    name: str
    folder: Path
    sessions: tuple[dict[str, Any], ...]
    findings: tuple[Stored, ...]
    began: bool = True

    @property
    def title(self) -> str:
        """Its name in a sentence."""
        return f"campaign {self.name}" if self.began else self.name

    def drives(self) -> dict[str, Drive]:
        """The work on each target."""
        return drives(self.sessions)

    def states(self) -> dict[str, State]:
        """The state of each target."""
        return states.states(self.sessions)

    def total(self, name: str) -> float:
        """A figure of the sessions, summed: seconds, cpu_seconds (of the workers), replay_cpu_seconds, executions."""
        return sum(number(session.get(name)) for session in self.sessions)

    @property
    def spent(self) -> float:
        """CPU-seconds in all: of the workers, and of the replays of what they found."""
        return self.total("cpu_seconds") + self.total("replay_cpu_seconds")


def campaign(folder: Path) -> Campaign:
    """The campaign in ``folder``. Raises HarnessError when its ledger or a finding is damaged."""
    return Campaign(folder.resolve().name, folder, tuple(store.sessions(folder)), tuple(store.findings(folder)))


def campaigns(folders: Iterable[Path]) -> list[Campaign]:
    """Campaigns by folder or name. Two of one name get the names of their parents before their own."""
    found = [campaign(store.campaign_at(folder)) for folder in folders]
    names = [one.name for one in found]
    return [
        one
        if names.count(one.name) == 1
        else Campaign(f"{one.folder.resolve().parent.name}/{one.name}", one.folder, one.sessions, one.findings)
        for one in found
    ]


def unasked(found: Iterable[Campaign]) -> list[Campaign]:
    """The targets that none of the campaigns asked for, as a campaign that never began; empty where there is none."""
    asked = {name for one in found for name in one.states()}
    absent = {name: reason for name, reason in not_installed().items() if name not in asked}
    broken = {name: reason for name, reason in broken_targets().items() if name not in asked}
    able = [name for name in all_targets() if name not in asked and name not in absent]
    session = {"targets": able, "not_installed": absent, "left_out": broken, "ended": "never"}
    return (
        [Campaign("no campaign", paths.campaigns_dir(), (session,), (), began=False)]
        if able or absent or broken
        else []
    )


def rows(found: Iterable[Campaign], base: Parser | None = None) -> list[Row]:
    """Everything that is filed, and what campaigns found beside it: new ones first, then by severity.

    A finding of a campaign that a folder in crashes/ covers is that folder's row. With a ``base``, findings that nothing covers run on
    that build too (:func:`harness.triage.compare_builds.compare`, with its errors).
    """
    filed = {crash.id: crash for crash in crashes.crashes()}
    seen: dict[str, list[Seen]] = {}
    others: dict[str, tuple[Stored, VerdictRule | None]] = {}
    for one in found:
        for stored in one.findings:
            crash = known_findings.filed(stored.signature)
            seen.setdefault(crash.id if crash else stored.id, []).append(_seen(one, stored))
            if crash is None and stored.id not in others:
                others[stored.id] = stored, known_findings.verdict(stored.signature)
    owners = defects.owners(defects.defects())
    every = [_filed(crash, owners.get(name), seen.get(name, [])) for name, crash in filed.items()]
    every += [_found(stored, rule, seen[name]) for name, (stored, rule) in others.items()]
    if base is not None:
        every = _compared(every, base)
    ranks = list(SEVERITIES)
    return sorted(every, key=lambda row: (row.state != NEW, ranks.index(row.severity), row.id))


def _compared(every: list[Row], base: Parser) -> list[Row]:
    asked = [row.stored for row in every if row.state == NEW]
    states = {stored.id: state for stored, state in compare_builds.compare(asked, base)}
    return [
        replace(row, base=base.name, state=NEW if states[row.id] == compare_builds.ONLY_HERE else states[row.id])
        if row.id in states
        else row
        for row in every
    ]


def _seen(one: Campaign, stored: Stored) -> Seen:
    entries = [table(table(session.get("findings")).get(stored.id)) for session in one.sessions]
    flaky = any(about.get("flaky") for about in (stored.fields, *entries))
    return Seen(one.name, stored, store.count(stored, one.sessions), flaky)


def _filed(crash: Crash, defect: Defect | None, seen: list[Seen]) -> Row:
    words = crash.severity, crash.status, crash.why, crash.sentence
    return Row(crash.finding, *words, crash=crash, defect=defect, seen=tuple(seen))


def _found(stored: Stored, verdict: VerdictRule | None, seen: list[Seen]) -> Row:
    found = stored.finding
    state = RULED if verdict else NEW
    return Row(found, found.severity, state, found.why, found.sentence, verdict=verdict, seen=tuple(seen))
