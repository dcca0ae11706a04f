"""Two pages on the open defects of the newest release, made from crashes/: a line per defect, and the long form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.findings import crashes, defects
from harness.findings.crashes import Crash
from harness.findings.defects import CONTROLLERS, RANKS, Defect
from harness.findings.severity import SEVERITIES
from harness.parsers import registry
from harness.report import record
from harness.report.text import cell, fenced, table
from harness.triage import filing

#: Defects that the pages ask to mend first, and how many of them the README names.
MOST_FIRST, README_FIRST = 10, 4

_HEAD = """\
# Open defects of safetensors {release}

`harness report --defects FILE` makes this page from `crashes/`; do not edit it. {more}

{figures}
"""
_SHORT = """\
A [record](triage.md#defects) describes each defect: cause, impact, proven fix, findings. Campaigns of this harness found
every defect, and the test suite replays every finding. `harness report --upstream RECORD` writes the text of an issue.
`harness report --defects` also writes the long form, to `build/defects.md`."""
_LONG = "The short form has one line per defect."
_HEADS = ("#", "rank", "defect", "place", "fix", "upstream", "since", "findings", "record")


@dataclass(frozen=True, slots=True)
class Overview:
    """All that is filed. Each record has a finding that is still open or disputed, the worst record first.

    ``counted`` are the defects of the release, ``checked`` show only on checked builds, ``disputed`` are none. ``unassigned``
    are groups of open findings that no record names and that are probably one defect each.
    """

    counted: tuple[Defect, ...]
    checked: tuple[Defect, ...]
    disputed: tuple[Defect, ...]
    unassigned: tuple[tuple[Crash, ...], ...]
    closed: tuple[Crash, ...]
    findings: dict[str, Crash]

    @property
    def first(self) -> tuple[Defect, ...]:
        """The defects to mend first."""
        return self.counted[:MOST_FIRST]

    def of(self, defect: Defect) -> list[Crash]:
        """The findings of a record that are still open or disputed, the smallest input first."""
        found = (self.findings[name] for name in defect.findings if name in self.findings)
        return sorted((one for one in found if one.status in _STILL), key=lambda one: (len(one.data()), one.id))


_STILL = (crashes.OPEN, crashes.DISPUTED)


def overview(filed: Iterable[Crash] | None = None, records: Iterable[Defect] | None = None) -> Overview:
    """All findings by their records; by default those of crashes/."""
    every = {crash.id: crash for crash in (crashes.crashes() if filed is None else filed)}
    known = defects.defects() if records is None else sorted(records, key=defects.by_harm)
    live = [one for one in known if any(name in every and every[name].status in _STILL for name in one.findings)]
    return Overview(
        tuple(one for one in live if one.counts),
        tuple(one for one in live if not one.wheel and not one.disputed),
        tuple(one for one in live if one.disputed),
        tuple(_groups(defects.unclaimed(every.values(), known))),
        tuple(crash for crash in every.values() if crash.status not in _STILL),
        every,
    )


def _groups(found: Iterable[Crash]) -> list[tuple[Crash, ...]]:
    """Findings grouped by what is probably one defect, the worst severity first."""
    groups: dict[tuple[str, str], list[Crash]] = {}
    for crash in found:
        groups.setdefault((crash.severity, filing.group(crash.signature)), []).append(crash)
    ranks = list(SEVERITIES)
    members = [tuple(sorted(group, key=lambda crash: (len(crash.data()), crash.id))) for group in groups.values()]
    return sorted(members, key=lambda group: (ranks.index(group[0].severity), group[0].id))


def summary(seen: Overview | None = None) -> str:
    """The README's lines on what the harness found."""
    found = seen or overview()
    if not found.counted:
        count = sum(map(len, found.unassigned))
        return f"[{_number(count, 'open finding')}](docs/defects.md), not yet assigned to defects.\n"
    findings = sum(len(found.of(defect)) for defect in found.counted)
    fixes = sum(bool(defect.edits) for defect in found.counted)
    lines = [f"- {record.prose(defect.title, 160)} ({defect.harm})" for defect in found.first[:README_FIRST]]
    said = f"[{_number(len(found.counted), 'defect')}](docs/defects.md) in {_number(findings, 'finding')}, {fixes} with a fix."
    return f"{said} Fix these first:\n\n" + "\n".join(lines) + "\n"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def page(seen: Overview | None = None) -> str:
    """The short page in Markdown: the defects to mend first, the others, and what does not count or is closed."""
    found = seen or overview()
    lines = [_line(number, defect, found) for number, defect in enumerate(found.counted, 1)]
    text = _head(found, _SHORT)
    for title, rows in (
        ("Fix these first", lines[:MOST_FIRST]),
        ("Other defects", lines[MOST_FIRST:]),
        ("Only on checked builds", [_line("", defect, found) for defect in found.checked]),
    ):
        text += f"\n## {title}\n\n" + table(_HEADS, rows, ("#", "findings")) if rows else ""
    if found.disputed:
        rows = [
            (record.prose(one.title, 160), _sources(one), len(found.of(one)), _record(one)) for one in found.disputed
        ]
        text += "\n## Disputed\n\nUpstream's texts or tests contradict each other here. A disputed behaviour is no defect.\n\n"
        text += table(("behaviour", "sources", "findings", "record"), rows, ("findings",))
    if found.unassigned:
        groups = [(one[0].severity, cell(one[0].summary, 120), len(one), _folder(one[0])) for one in found.unassigned]
        text += "\n## Not yet assigned\n\nNo record names these findings. A row is probably one defect.\n\n"
        text += table(("severity", "defect", "findings", "first finding"), groups, ("findings",))
    if found.closed:
        ended = [(_folder(crash), crash.status, cell(crash.verdict or crash.summary, 240)) for crash in found.closed]
        text += "\n## Closed findings\n\n" + table(("finding", "status", "verdict"), ended)
    return text


def _head(found: Overview, more: str) -> str:
    return _HEAD.format(release=registry.default_release(), more=more, figures=_figures(found))


def _figures(found: Overview) -> str:
    """The page in numbers."""
    findings = sum(len(found.of(defect)) for defect in found.counted)
    text = f"{_number(len(found.counted), 'defect')} in {_number(findings, 'finding')}"
    if ranks := Counter(defect.severity for defect in found.counted):
        text += ": " + ", ".join(f"{ranks[rank]} {rank}" for rank in RANKS if ranks[rank])
        text += f"; {sum(bool(defect.edits) for defect in found.counted)} with a fix"
    for members, words in (
        (found.checked, "more on checked builds alone"),
        (found.disputed, "disputed"),
        ([crash for group in found.unassigned for crash in group], "findings not yet assigned"),
        (found.closed, "findings closed"),
    ):
        text += f"; {len(members)} {words}" if members else ""
    return text + "."


def _line(number: int | str, defect: Defect, found: Overview) -> tuple[object, ...]:
    return (
        number,
        f"{defect.severity}: {defect.harm}",
        record.prose(defect.title, 160),
        record.place_link(defect),
        "yes" if defect.edits else "-",
        record.thread_links(defect) or "-",
        record.since(defect),
        len(found.of(defect)),
        _record(defect),
    )


def _record(defect: Defect) -> str:
    return f"[{defect.name}](../crashes/{defects.FOLDER}/{defect.name}.toml)"


def _sources(defect: Defect) -> str:
    return cell("; ".join(quote.source for quote in defect.quotes), 400)


def details(seen: Overview | None = None) -> str:
    """The long page in Markdown: of each record the cause, the impact, the fix and all findings with their builds."""
    found = seen or overview()
    text = _head(found, _LONG)
    for title, members in (
        ("Defects", found.counted),
        ("Only on checked builds", found.checked),
        ("Disputed", found.disputed),
    ):
        text += f"\n## {title}\n" + "".join(_defect(one, found) for one in members) if members else ""
    if found.unassigned:
        text += "\n## Not yet assigned\n" + "".join(f"\n{_findings(group)}" for group in found.unassigned)
    if found.closed:
        rows = [(_link(crash), crash.status, cell(crash.verdict)) for crash in found.closed]
        text += "\n## Closed findings\n\n" + table(("finding", "status", "why"), rows)
    return text


def _defect(defect: Defect, found: Overview) -> str:
    facts = [
        ("rank", f"{defect.severity}: {defect.harm}, by {defect.use} use"),
        ("input", f"controlled by {CONTROLLERS[defect.controller]}"),
        ("since", record.since(defect)),
        ("places", ", ".join(f"[{place}]({record.place_address(place)})" for place in defect.places)),
        ("threads", record.thread_links(defect) or "none known"),
        ("record", _record(defect)),
    ]
    text = (
        f"\n### {record.prose(defect.title, 160)}\n\n{record.prose(defect.impact)}\n\n{record.prose(defect.cause)}\n\n"
    )
    text += "".join(f"- {name}: {value}\n" for name, value in facts)
    for quote in defect.quotes:
        text += f"\n{cell(quote.source, 200)}:\n\n{fenced(quote.text)}"
    if defect.edits:
        text += f"\n{fenced(record.patch(defect), 'diff')}"
    return f"{text}\n{_findings(found.of(defect))}"


def _findings(members: Sequence[Crash]) -> str:
    rows = []
    for crash in members:
        builds = ", ".join(crash.builds) or "-"
        if crash.instead:
            builds += f" (on the wheel: {cell(crash.instead.partition(': ')[2], 120)})"
        size = f"{len(crash.data())} bytes, [reproduce.py](../crashes/{crash.id}/reproduce.py)"
        releases = ", ".join(crash.releases) or "-"
        rows.append((_link(crash), crash.target, cell(crash.summary, 240), builds, releases, size))
    return table(("finding", "entry point", "shows", "builds", "releases", "input"), rows)


def _link(crash: Crash) -> str:
    return f"[{crash.id}](../crashes/{crash.id}/finding.toml)"


def _folder(crash: Crash) -> str:
    return f"[{crash.id}](../crashes/{crash.id})"
