"""Two pages on the open defects of the newest release, made from crashes/: one line per defect, and the long form."""

from __future__ import annotations

from collections.abc import Iterable

from harness.findings import crashes
from harness.findings.crashes import Crash
from harness.findings.severity import SEVERITIES
from harness.parsers import registry
from harness.report.text import cell, table
from harness.triage import filing

_HEAD = """\
# Open defects of safetensors {release}

`harness report --defects FILE` makes this page from `crashes/`; do not edit it. {more}

"""
_SHORT = """\
Campaigns of this harness found every defect. The test suite replays every finding. When upstream mends a defect, the
suite fails and names the finding. `harness repro ID` runs a finding again. `harness report --defects` also writes the
long form, with cause and builds, to `build/defects.md`."""
_LONG = "The short form has one line per defect."


def page(filed: Iterable[Crash] | None = None) -> str:
    """The short page in Markdown: one row per open defect of the newest release, the worst first; then closed findings.

    Findings that are probably one defect, seen through several entry points, share a row.
    """
    text, defects, closed = _start(filed, _SHORT)
    firsts = [(members[0], len(members)) for members in defects]
    rows = [(one.severity, cell(one.summary, 120), count, _folder(one)) for one, count in firsts]
    text += "\n## Defects\n\n" + table(("severity", "defect", "findings", "first finding"), rows)
    if closed:
        ended = [(_folder(crash), crash.status, cell(crash.summary, 120)) for crash in closed]
        text += "\n## Closed findings\n\n" + table(("finding", "status", "summary"), ended)
    return text


def details(filed: Iterable[Crash] | None = None) -> str:
    """The long page in Markdown: of each open defect the cause, the sentence of the text, all findings and builds."""
    text, defects, closed = _start(filed, _LONG)
    for name, meaning in SEVERITIES.items():
        here = [members for members in defects if members[0].severity == name]
        if here:
            text += f"\n## {name.capitalize()}\n\nHere {meaning}.\n"
            text += "".join(_defect(members) for members in here)
    if closed:
        rows = [(_link(crash), crash.status, cell(crash.verdict)) for crash in closed]
        text += "\n## Closed findings\n\n" + table(("finding", "status", "why"), rows)
    return text


def _start(filed: Iterable[Crash] | None, more: str) -> tuple[str, list[list[Crash]], list[Crash]]:
    """Head and summary of a page, the open defects of the newest release, and the closed findings."""
    release = registry.default_release()
    every = list(crashes.crashes() if filed is None else filed)
    still = [crash for crash in every if crash.status == crashes.OPEN]
    found = [crash for crash in still if release in crash.releases or not crash.releases]
    defects = _defects(found)
    text = _HEAD.format(release=release, more=more) + _summary(defects, len(found))
    return text, defects, [crash for crash in every if crash.status != crashes.OPEN]


def _defects(found: list[Crash]) -> list[list[Crash]]:
    """Findings grouped by what is probably one defect, the worst severity first, then by name."""
    groups: dict[tuple[str, str], list[Crash]] = {}
    for crash in found:
        groups.setdefault((crash.severity, filing.group(crash.signature)), []).append(crash)
    ranks = list(SEVERITIES)
    members = [sorted(group, key=lambda crash: (len(crash.data()), crash.id)) for group in groups.values()]
    return sorted(members, key=lambda group: (ranks.index(group[0].severity), group[0].rule.name, group[0].id))


def _summary(defects: list[list[Crash]], count: int) -> str:
    rows = []
    for name in SEVERITIES:
        here = [members for members in defects if members[0].severity == name]
        if here:
            targets = sorted({crash.target for members in here for crash in members})
            users = sum(any("wheel" in crash.builds for crash in members) for members in here)
            rows.append((name, len(here), users, ", ".join(targets)))
    heads = ("severity", "defects", "of these in the wheel", "targets")
    return f"{len(defects)} defects in {count} findings.\n\n{table(heads, rows)}"


def _defect(members: list[Crash]) -> str:
    first = members[0]
    text = f"\n### {cell(f'{first.rule.name}: {first.aspect}', 110)}\n\n{cell(first.summary, 400)}\n\n{cell(first.why, 600)}"
    if first.sentence:
        text += f' The text: "{first.sentence}"'
    # A verdict that several findings share stands here once.
    verdicts = dict.fromkeys(crash.verdict for crash in members if crash.verdict)
    text += "".join(f"\n\n{cell(words, 600)}" for words in verdicts)
    rows = []
    for crash in members:
        builds = ", ".join(crash.builds) or "-"
        if crash.instead:
            builds += f" (on the wheel: {cell(crash.instead.partition(': ')[2], 120)})"
        size = f"{len(crash.data())} bytes, [reproduce.py](../crashes/{crash.id}/reproduce.py)"
        rows.append((_link(crash), crash.target, builds, ", ".join(crash.releases) or "-", size))
    return f"{text}\n\n{table(('finding', 'entry point', 'builds', 'releases', 'input'), rows)}"


def _link(crash: Crash) -> str:
    return f"[{crash.id}](../crashes/{crash.id}/finding.toml)"


def _folder(crash: Crash) -> str:
    return f"[{crash.id}](../crashes/{crash.id})"
