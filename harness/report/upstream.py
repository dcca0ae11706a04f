"""The text of an issue for upstream about one defect: at most 40 lines, for a person to check and file."""

from __future__ import annotations

from collections.abc import Iterable

from harness.findings import crashes
from harness.findings.crashes import Crash
from harness.findings.defects import CONTROLLERS, FOLDER, Defect
from harness.findings.severity import MEMORY_SAFETY
from harness.parsers import registry
from harness.report import record
from harness.report.brief import brief
from harness.report.text import cell, fenced, plain
from harness.triage import reproducer

MOST_LINES = 40
_PRIVATE = "**Report this in private**, as upstream's SECURITY.md says. Do not open a public issue.\n\n"
_CHECK = "<!-- Before you file this: search upstream's open and closed threads for it. -->\n"
_THERE = "<!-- Threads on it exist: comment on an open one, and do not open a new issue. -->\n"
_FUZZER = "A fuzzer, safetensors-harness, found this: {findings}. A machine wrote this text; a person must check it.\n"


def private(defect: Defect) -> bool:
    """Whether a stranger's file breaks memory safety: such a report does not go to a public issue."""
    return defect.harm == MEMORY_SAFETY and defect.controller == "file"


def title(defect: Defect) -> str:
    """The title of the issue, as plain text."""
    return plain(defect.title, 160)


def text(defect: Defect, filed: list[Crash] | None = None) -> str:
    """The issue in Markdown: impact, script, cause, fix, first release, threads. The first line is its title.

    The script is that of the first finding in the record that fits. A script or a patch that is too long is named instead. ``filed`` are the findings, by default those of
    crashes/.
    """
    every = {one.id: one for one in (crashes.crashes() if filed is None else filed)}
    found = [every[name] for name in defect.findings if name in every]
    head = f"# {title(defect)}\n\n" + (_PRIVATE if private(defect) else "") + f"{record.prose(defect.impact)}\n\n"
    places = ", ".join(f"[{place}]({record.place_address(place)})" for place in defect.places[:3])
    cause = f"\n**Cause** ({places}): {record.prose(defect.cause)}\n\n"
    tail = f"\n{_facts(defect)}\n\n" + _FUZZER.format(findings=", ".join(defect.findings[:3]))
    tail += _THERE if defect.threads else _CHECK
    room = MOST_LINES - (head + cause + tail).count("\n")
    script = _fitting(map(_script, found), room - 2, _named(found))
    change = _fitting(_changes(defect), room - script.count("\n"), _recorded(defect))
    return head + script + cause + change + tail


def _facts(defect: Defect) -> str:
    """Since when, by whose input, and the known threads."""
    where = "" if defect.wheel else " Only builds with overflow checks or sanitizers show it."
    before = "; an earlier release was right" if defect.regression else ""
    threads = record.thread_links(defect) or "none known"
    source = f"**Input**: controlled by {CONTROLLERS[defect.controller]}."
    return f"**Since** {defect.first}{before}.{where} {source} **Threads**: {threads}."


def _fitting(blocks: Iterable[str], room: int, instead: str) -> str:
    """The first block that has at most ``room`` lines, or the sentence ``instead``."""
    return next((one for one in blocks if 0 < one.count("\n") <= room), instead)


def _script(crash: Crash) -> str:
    """The reproducer in few lines, fenced; "" where it runs the harness, reads the input beside it, or is none."""
    try:
        script = (crash.folder / crashes.REPRODUCER).read_text(encoding="utf-8")
        text = brief(script, "\n".join(crashes.kit().values()))
    except (OSError, SyntaxError, ValueError):
        return ""
    if reproducer.needs_harness(script) or not text or crashes.INPUT in text:
        return ""
    return f"With safetensors {registry.default_release()}:\n\n" + fenced(text, "python")


def _named(found: list[Crash]) -> str:
    smallest = min(found, key=lambda one: len(one.data()), default=None)
    return f"`harness repro {smallest.id} --script` prints a script.\n" if smallest else ""


def _changes(defect: Defect) -> list[str]:
    """The fix with less and less context; or, of a disputed behaviour, both texts."""
    if defect.disputed:
        return ["".join(f"{cell(one.source, 200)}:\n{fenced(one.text)}" for one in defect.quotes)]
    return [fenced(record.patch(defect, context), "diff") for context in (2, 1, 0)] if defect.edits else []


def _recorded(defect: Defect) -> str:
    place = f"`crashes/{FOLDER}/{defect.name}.toml` of safetensors-harness"
    if defect.disputed:
        return f"{place} quotes both texts.\n"
    command = f"`harness report --upstream {defect.name} --patch`"
    return f"The patch is long, and {command} prints it. Attach it.\n" if defect.edits else "No fix is proposed.\n"
