"""For each new finding the text of an issue, as a maintainer of the parser would want to read it: one Markdown file."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.files import write_atomic
from harness.findings import crashes
from harness.findings.crashes import Crash
from harness.findings.severity import SEVERITIES
from harness.findings.store import Stored
from harness.format.judge import judge
from harness.programs import scripts
from harness.report.gather import NEW, Campaign, Row
from harness.report.text import code, fenced, inert, plain
from harness.targets.registry import get_target
from harness.triage import reproducer, show

#: Longest issue that GitHub takes, in characters, and the largest input that is put into one, in bytes.
MOST_TEXT = 65_536
_MOST_INPUT = 6_000
_MOST_LINES = 40
_MOST_SCRIPT = 24_000


@dataclass(frozen=True, slots=True)
class Issue:
    """The text of one finding that was written; ``title`` is plain text, no Markdown."""

    id: str
    title: str
    file: Path


def write(rows: Iterable[Row], campaigns: Iterable[Campaign], folder: Path) -> list[Issue]:
    """Write ``ID.md`` of each new finding into ``folder``, which is made if need be.

    Raises HarnessError when the folder cannot be written.
    """
    sessions = {one.name: one.sessions[-1] for one in campaigns if one.sessions}
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for row in rows:
            if row.state == NEW:
                path = folder / f"{row.id}.md"
                write_atomic(path, issue(row, sessions.get(row.seen[0].campaign, {})))
                written.append(Issue(row.id, title(row), path))
    except OSError as error:
        raise HarnessError(f"cannot write into {folder}: {error.strerror}", hint="name another folder") from error
    return written


def title(row: Row) -> str:
    """The line for a finding in a list of issues, as plain text."""
    return plain(f"{row.target}: {row.summary}", 120)


def issue(row: Row, session: dict[str, Any]) -> str:
    """The text: a first line that is the title, then the body. The last line names the finding for machines.

    Nothing that an input holds is markup in it, a link, or notifies anybody.
    """
    stored = row.stored
    data = stored.data()
    pieces = [
        f"# {inert(title(row))}\n",
        f"{code(row.summary, 600)}\n",
        f"**{row.severity.capitalize()}**: {SEVERITIES[row.severity]}.\n",
        "## Why this is wrong\n",
        _why(row),
        "## How to repeat it\n",
        _repeat(row, data),
        "## The input\n",
        fenced(_explained(row, data)),
        "## Where and how it was found\n",
        _found(row, stored, session),
    ]
    script = _script(row, stored, data)
    if script:
        needs = "which needs the harness" if reproducer.needs_harness(script) else "which needs nothing of the harness"
        pieces.append(f"<details><summary>reproduce.py, {needs}</summary>\n\n{script}\n</details>\n")
    end = f"\n<!-- safetensors-harness: {row.id} -->\n"
    text = "\n".join(pieces)
    if len(text) + len(end) > MOST_TEXT:
        text = text[: MOST_TEXT - len(end) - 60].rpartition("\n")[0] + "\n```\n\n(cut off)\n"
    return text + end


def _why(row: Row) -> str:
    return f"{inert(row.why, 1200)}\n" + (f"\n> {inert(row.sentence, 600)}\n" if row.sentence else "")


def _repeat(row: Row, data: bytes) -> str:
    place = f"findings/{row.id}"
    text = (
        f"With the campaign's folder (an artifact of the run), from that folder:\n\n```\nharness repro {place}\n```\n"
    )
    if len(data) <= _MOST_INPUT:
        encoded = base64.b64encode(data).decode()
        lines = f"base64 -d > input.safetensors <<'END'\n{encoded}\nEND\nharness repro input.safetensors --target {row.target}\n"
        text += f"\nOr from this text, in one go:\n\n{fenced(lines, 'sh')}"
    return text


def _explained(row: Row, data: bytes) -> str:
    """The header with what is wrong in it marked, or the program in words."""
    try:
        words = get_target(row.target).explain(data)
    except HarnessError:  # a target of a package that is not installed here
        words = ""
    lines = words.splitlines() or [
        f"{len(data)} bytes",
        *show.lines(data, len(data), judge(data).span, width=100, colour=False),
    ]
    more = [f"... {len(lines) - _MOST_LINES} lines more"] if len(lines) > _MOST_LINES else []
    return "\n".join([*(line[:300] for line in lines[:_MOST_LINES]), *more])


def _found(row: Row, stored: Stored, session: dict[str, Any]) -> str:
    facts = {
        "signature": stored.signature,
        "parser": stored.parser,
        **{f"version of {name}": str(value) for name, value in session.get("versions", {}).items()},
        "campaign": row.seen[0].campaign,
        "random seed": str(stored.seed),
        "execution": str(stored.execution),
        "first seen": stored.first_seen,
        "seen": f"{sum(one.count for one in row.seen)} times, in {', '.join(one.campaign for one in row.seen)}",
        "size of the input": f"{stored.size} bytes",
    }
    if row.flaky:
        facts["repeats"] = "not each time"
    lines = "".join(f"| {name} | {code(value)} |\n" for name, value in facts.items())
    return f"| | |\n|---|---|\n{lines}\nFound by fuzzing with safetensors-harness; nobody wrote this input by hand.\n"


def _script(row: Row, stored: Stored, data: bytes) -> str:
    """The reproducer, fenced; "" where it takes a run to write one (the other spelling of two that differ)."""
    if row.rule.check == "relation":
        return ""
    finding = replace(stored.finding, summary=plain(stored.summary))
    crash = Crash(finding, status=crashes.OPEN, why=plain(row.why), sentence=row.sentence)
    try:
        text = reproducer.write(crash, data)
    except HarnessError:  # a target of a package that is not installed here
        return ""
    text = scripts.single(text, data)
    return fenced(text, "python") if len(text) <= _MOST_SCRIPT else ""
