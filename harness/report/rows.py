"""Findings as rows of the HTML page."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from harness.findings import crashes, defects, store
from harness.findings.severity import SEVERITIES
from harness.foreign_json import number, table
from harness.report import gather
from harness.report.gather import Campaign, Row

NEW, OPEN, DECIDED, ELSEWHERE = gather.NEW, crashes.OPEN, "decided", "elsewhere"
#: States of a finding, and their meaning.
STATES = {
    NEW: "no folder in crashes/ and no verdict covers it",
    ELSEWHERE: "nothing covers it, and it is not new against another build of the parser",
    OPEN: "filed in crashes/, not fixed yet",
    DECIDED: "fixed, or a person decided that it stays",
}
#: Inputs up to this size travel in the page, in bytes.
EMBEDDED = 4096


@dataclass(frozen=True, slots=True)
class PageRow:
    """A finding with what only the page shows of it: first seen at ``seconds`` with ``seed``, by ``count`` executions.

    ``state`` is one of STATES. ``covered`` is its verdict, or why it is not new; ``why`` and ``sentence`` are those of the
    decision, if there is one. ``size`` is that of the input, in bytes. ``links`` are (text, relative address). ``data`` is a
    small input as a ``data:`` address. ``held`` of ``replays`` fresh processes showed it again. Findings of one state and
    defect stand together.
    """

    row: Row
    state: str
    size: int
    seconds: float
    seed: int
    date: str
    count: int
    targets: frozenset[str]
    covered: str
    why: str
    sentence: str
    replays: int
    held: int
    links: tuple[tuple[str, str], ...]
    data: str

    @property
    def rank(self) -> int:
        """0 for the worst severity."""
        return list(SEVERITIES).index(self.row.severity)

    @property
    def group(self) -> str:
        """The name of its group in the table: that of its defect and state, or of all others in that state."""
        return f"{self.state}-{self.row.defect.name}" if self.row.defect else f"all-{self.state}"


def rows(campaigns: Iterable[Campaign], near: Path, found: Iterable[Row] | None = None) -> list[PageRow]:
    """Every finding, new ones first, then by defect and severity; links are relative to the folder ``near``.

    ``found`` are the rows of the campaigns if they are gathered already. Raises HarnessError for a damaged finding.
    """
    campaigns = list(campaigns)
    first = _first_seconds(campaigns)
    every = [_page_row(row, first, near) for row in (gather.rows(campaigns) if found is None else found)]
    states = list(STATES)

    def key(one: PageRow) -> tuple[Any, ...]:
        owner = one.row.defect
        worst = (0, *defects.by_harm(owner)) if owner else (1,)
        return states.index(one.state), worst, one.rank, not one.count, one.row.rule.name, one.row.id

    return sorted(every, key=key)


def _first_seconds(campaigns: Iterable[Campaign]) -> dict[tuple[str, str], float]:
    """Seconds into its session at which a campaign first saw a finding."""
    found: dict[tuple[str, str], float] = {}
    for campaign in campaigns:
        for session in campaign.sessions:
            for name, entry in table(session.get("findings")).items():
                if seconds := number(table(entry).get("first_seconds")):
                    found.setdefault((campaign.name, name), seconds)
    return found


def _page_row(row: Row, first: dict[tuple[str, str], float], near: Path) -> PageRow:
    crash, verdict = row.crash, row.verdict
    sightings = [
        (first.get((one.campaign, one.stored.id), number(one.stored.seconds)), one.stored.seed, one.stored.first_seen)
        for one in row.seen
    ]
    if not sightings and crash is not None:
        sightings = [(number(crash.found.get("seconds")), crash.found.get("seed", 0), crash.found.get("date", ""))]
    seconds, seed, date = min(sightings, key=lambda one: one[0])
    replays = [table(one.stored.fields.get("replays")) for one in row.seen]
    if crash is not None:
        files = {"reproducer": crash.folder / crashes.REPRODUCER, "input": crash.input}
        files |= {"account": crash.folder / crashes.ABOUT, "report": crash.folder / crashes.REPORT}
    else:
        files = {"input": row.stored.input, "report": row.stored.folder / store.REPORT}
    try:
        data = files["input"].read_bytes()
    except OSError:
        data = None
    small = data if data is not None and len(data) <= EMBEDDED else None
    decided = crash.verdict if crash is not None else verdict.why if verdict else ""
    return PageRow(
        row,
        state=ELSEWHERE if row.elsewhere else row.state if row.state in STATES else DECIDED,
        size=len(data) if data is not None else int(number(crash.found.get("size") if crash else row.stored.size)),
        seconds=seconds,
        seed=int(number(seed)),
        date=str(date)[:16].replace("T", " "),
        count=sum(one.count for one in row.seen),
        targets=frozenset(str(one.stored.target) for one in row.seen),
        covered=row.elsewhere or (verdict.name if verdict else row.state if row.state not in STATES else ""),
        why=decided or row.why,
        sentence=(verdict.sentence if verdict else "") or row.sentence,
        replays=sum(int(number(one.get("runs"))) for one in replays),
        held=sum(int(number(one.get("held"))) for one in replays),
        links=tuple((name, address(path, near)) for name, path in files.items() if path.is_file()),
        data=f"data:application/octet-stream;base64,{base64.b64encode(small).decode()}" if small is not None else "",
    )


def address(path: Path, near: Path) -> str:
    """A relative address of ``path`` for a page in the folder ``near``, in ASCII."""
    return quote(os.path.relpath(path.resolve(), near.resolve()), errors="surrogateescape")
