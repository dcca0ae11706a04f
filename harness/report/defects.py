"""One page that says what is wrong with the newest release today, made from crashes/."""

from __future__ import annotations

from collections.abc import Iterable

from harness.findings import crashes
from harness.findings.crashes import Crash
from harness.findings.severity import SEVERITIES
from harness.parsers import registry
from harness.report.text import cell
from harness.triage import filing

_HEAD = """\
# What is wrong with safetensors {release} today

Made by `harness report --defects` from `crashes/`; do not edit. Every line was found by a campaign of this harness, repeats in a fresh
process, and is replayed by the test-suite: the day upstream mends one, the suite says so.

"""


def page(filed: Iterable[Crash] | None = None) -> str:
    """The page in Markdown: open findings of the newest release by severity, then those that were decided otherwise.

    Findings that are probably one defect, seen through several entry points, stand together.
    """
    release = registry.default_release()
    every = list(crashes.crashes() if filed is None else filed)
    found = [
        crash for crash in every if crash.status == crashes.OPEN and (release in crash.releases or not crash.releases)
    ]
    defects = _defects(found)
    text = _HEAD.format(release=release) + _summary(defects, len(found))
    for name, meaning in SEVERITIES.items():
        here = [members for members in defects if members[0].severity == name]
        if here:
            text += f"\n## {name.capitalize()}\n\nHere {meaning}.\n"
            text += "".join(_defect(members) for members in here)
    decided = [crash for crash in every if crash.status != crashes.OPEN]
    if decided:
        text += "\n## Decided otherwise\n\n| finding | status | why |\n|---|---|---|\n"
        text += "".join(f"| {_link(crash)} | {crash.status} | {cell(crash.verdict)} |\n" for crash in decided)
    return text


def _defects(found: list[Crash]) -> list[list[Crash]]:
    """Findings grouped by what is probably one defect, the worst severity first, then by name."""
    groups: dict[tuple[str, str], list[Crash]] = {}
    for crash in found:
        groups.setdefault((crash.severity, filing.group(crash.signature)), []).append(crash)
    ranks = list(SEVERITIES)
    members = [sorted(group, key=lambda crash: (len(crash.data()), crash.id)) for group in groups.values()]
    return sorted(members, key=lambda group: (ranks.index(group[0].severity), group[0].rule.name, group[0].id))


def _summary(defects: list[list[Crash]], count: int) -> str:
    lines = ["| how bad | defects | seen through | on the wheel that users install |", "|---|---|---|---|"]
    for name in SEVERITIES:
        here = [members for members in defects if members[0].severity == name]
        if here:
            targets = sorted({crash.target for members in here for crash in members})
            users = sum(any("wheel" in crash.builds for crash in members) for members in here)
            lines.append(f"| {name} | {len(here)} | {', '.join(targets)} | {users} |")
    return f"{len(defects)} defects in {count} findings.\n\n" + "\n".join(lines) + "\n"


def _defect(members: list[Crash]) -> str:
    first = members[0]
    text = f"\n### {_title(first)}\n\n{cell(first.summary, 400)}\n\n{cell(first.why, 600)}"
    if first.sentence:
        text += f' The text: "{first.sentence}"'
    # What a person found out about each of them, said once where several have the same.
    text += "".join(
        f"\n\n{cell(words, 600)}" for words in dict.fromkeys(crash.verdict for crash in members if crash.verdict)
    )
    text += "\n\n| finding | entry point | builds | releases | input |\n|---|---|---|---|---|\n"
    for crash in members:
        builds = ", ".join(crash.builds) or "-"
        if crash.instead:
            builds += f" (on the wheel: {cell(crash.instead.partition(': ')[2], 120)})"
        size = f"{len(crash.data())} bytes, [reproduce.py](../crashes/{crash.id}/reproduce.py)"
        text += f"| {_link(crash)} | {crash.target} | {builds} | {', '.join(crash.releases) or '-'} | {size} |\n"
    return text


def _title(crash: Crash) -> str:
    return cell(
        f"{crash.rule.name}: {crash.aspect}" if crash.rule.name != crash.kind else f"{crash.kind}: {crash.aspect}", 110
    )


def _link(crash: Crash) -> str:
    return f"[{crash.id}](../crashes/{crash.id}/finding.toml)"
