"""One page in Markdown with the defects of the newest release, from crashes/."""

from __future__ import annotations

from collections.abc import Iterable

from harness.findings import crashes
from harness.findings.crashes import Crash
from harness.findings.severity import SEVERITIES
from harness.parsers import registry
from harness.report.text import cell, table
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
    still = [crash for crash in every if crash.status == crashes.OPEN]
    found = [crash for crash in still if release in crash.releases or not crash.releases]
    defects = _defects(found)
    text = _HEAD.format(release=release) + _summary(defects, len(found))
    for name, meaning in SEVERITIES.items():
        here = [members for members in defects if members[0].severity == name]
        if here:
            text += f"\n## {name.capitalize()}\n\nHere {meaning}.\n"
            text += "".join(_defect(members) for members in here)
    decided = [crash for crash in every if crash.status != crashes.OPEN]
    if decided:
        rows = [(_link(crash), crash.status, cell(crash.verdict)) for crash in decided]
        text += "\n## Decided otherwise\n\n" + table(("finding", "status", "why"), rows)
    return text


def _defects(found: list[Crash]) -> list[list[Crash]]:
    """Groups of findings that are probably one defect, the worst severity first, then by name."""
    groups: dict[tuple[str, str], list[Crash]] = {}
    for crash in found:
        groups.setdefault((crash.severity, filing.group(crash.signature)), []).append(crash)
    ranks = list(SEVERITIES)
    members = [sorted(group, key=lambda crash: (len(crash.data()), crash.id)) for group in groups.values()]
    return sorted(members, key=lambda group: (ranks.index(group[0].severity), group[0].rule, group[0].id))


def _summary(defects: list[list[Crash]], count: int) -> str:
    rows = []
    for name in SEVERITIES:
        here = [members for members in defects if members[0].severity == name]
        if here:
            targets = sorted({crash.target for members in here for crash in members})
            users = sum(any("wheel" in crash.builds for crash in members) for members in here)
            rows.append((name, len(here), ", ".join(targets), users))
    heads = ("how bad", "defects", "seen through", "on the wheel that users install")
    return f"{len(defects)} defects in {count} findings.\n\n{table(heads, rows)}"


def _defect(members: list[Crash]) -> str:
    first = members[0]
    text = f"\n### {cell(f'{first.rule}: {first.aspect}', 110)}\n\n{cell(first.summary, 400)}\n\n{cell(first.why, 600)}"
    if first.sentence:
        text += f' The text: "{first.sentence}"'
    # Each verdict once, as several findings may have the same.
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
