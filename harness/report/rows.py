"""Findings as rows of the page: what the campaigns found and what is filed, each signature once."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from harness.errors import HarnessError
from harness.report.sessions import Run
from harness.report.words import number, table
from harness.triage import crashes, filing, store, verdicts
from harness.triage.crashes import Crash
from harness.triage.severity import SEVERITIES, severity
from harness.triage.store import Stored

NEW, OPEN, DECIDED = "new", "open", "decided"
#: What a finding can be, with what each means.
STATES = {
    NEW: "no folder in crashes/ and no verdict covers it",
    OPEN: "filed in crashes/, not mended yet",
    DECIDED: "fixed, or a person decided that it stays",
}
#: Inputs up to this size travel in the page, in bytes.
EMBEDDED = 4096


@dataclass(frozen=True, slots=True)
class Row:
    """One finding. ``seconds`` and ``seed`` say when it was first seen, ``count`` how often in the campaigns (0: not in them).

    ``covered`` is the name of what makes it known; ``links`` are (text, relative address); ``data`` is the input as a
    ``data:`` address where it is small. ``held`` is how many of ``replays`` fresh processes showed it again.
    """

    id: str
    target: str
    kind: str
    rule: str
    aspect: str
    severity: str
    state: str
    summary: str
    size: int
    seconds: float
    seed: int
    date: str
    count: int
    defect: str
    covered: str = ""
    why: str = ""
    sentence: str = ""
    flaky: bool = False
    replays: int = 0
    held: int = 0
    builds: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    data: str = ""

    @property
    def rank(self) -> int:
        """0 for the worst severity."""
        return list(SEVERITIES).index(self.severity)


def rows(runs: Iterable[Run], filed: Iterable[Crash], near: Path) -> list[Row]:
    """Every finding, new ones first, then by severity; links are relative to the folder ``near``.

    Raises HarnessError naming the file of a finding that is damaged.
    """
    by_id = {crash.id: crash for crash in filed}
    found: dict[str, Row] = {}
    for run in runs:
        seen = _seen(run)
        for stored in store.findings(run.folder):
            try:
                row = _of_campaign(stored, table(seen.get(stored.id)), by_id, near)
            except ValueError as error:
                raise HarnessError(f"{stored.folder / store.ABOUT}: {error}", hint="move the folder away") from error
            found[row.id] = _merged(found[row.id], row) if row.id in found else row
    for crash in by_id.values():
        if crash.id not in found:
            found[crash.id] = _of_crash(crash, near)
    states = list(STATES)
    return sorted(found.values(), key=lambda row: (states.index(row.state), row.rank, not row.count, row.rule, row.id))


def _seen(run: Run) -> Mapping[str, Any]:
    """What the sessions say of findings beyond what is stored with them: whether they held when they were repeated."""
    every: dict[str, Any] = {}
    for session in run.sessions:
        every |= {
            name: {**every.get(name, {}), **table(entry)} for name, entry in table(session.get("findings")).items()
        }
    return every


def _merged(first: Row, other: Row) -> Row:
    """One row of what two campaigns saw: the earlier sighting, the smaller input."""
    early = min(first, other, key=lambda row: row.seconds)
    small = min(first, other, key=lambda row: row.size)
    return replace(
        small,
        seconds=early.seconds,
        seed=early.seed,
        date=early.date,
        count=first.count + other.count,
        flaky=first.flaky or other.flaky,
    )


def _of_campaign(stored: Stored, seen: Mapping[str, Any], filed: Mapping[str, Crash], near: Path) -> Row:
    crash = filed.get(stored.id)
    replays = table(seen.get("replays") or stored.about.get("replays"))
    shared: dict[str, Any] = {
        "size": int(number(stored.size)),
        "seconds": number(seen.get("first_seconds")) or number(stored.seconds),
        "seed": int(number(stored.seed)),
        "date": str(stored.first_seen),
        "count": int(number(stored.count)),
        "flaky": (seen.get("flaky") or stored.about.get("flaky")) is True,
        "replays": int(number(replays.get("runs"))),
        "held": int(number(replays.get("held"))),
    }
    if crash is not None:
        # The filed input is minimised, and its account is a person's.
        return replace(_of_crash(crash, near), **shared | {"size": len(_data(crash.input) or b"") or shared["size"]})
    covered = store.known(stored.signature) or ""
    state, why, sentence = NEW, "", ""
    if covered.startswith("verdict:"):
        rule = verdicts.match(stored.signature)
        state = DECIDED
        why, sentence = (rule.why, rule.sentence) if rule else ("", "")
    elif covered:
        state = OPEN if store.is_open(stored.signature) else DECIDED
        why = f"The same defect as {covered}, in the reader that this target stands on."
    return Row(
        id=str(stored.id),
        target=str(stored.target),
        kind=str(stored.kind),
        rule=str(stored.rule),
        aspect=str(stored.aspect),
        severity=severity(str(stored.kind), str(stored.rule), str(stored.aspect)),
        state=state,
        summary=str(stored.summary),
        defect=filing.group(stored.signature),
        covered=covered,
        why=why,
        sentence=sentence,
        links=_links(near, input=stored.input, report=stored.folder / store.REPORT),
        data=_embedded(_data(stored.input)),
        **shared,
    )


def _of_crash(crash: Crash, near: Path) -> Row:
    data = _data(crash.input)
    return Row(
        id=crash.id,
        target=crash.target,
        kind=crash.kind,
        rule=crash.rule,
        aspect=crash.aspect,
        severity=crash.severity,
        state=OPEN if crash.status == crashes.OPEN else DECIDED,
        summary=crash.summary,
        size=len(data) if data is not None else int(number(crash.found.get("size"))),
        seconds=number(crash.found.get("seconds")),
        seed=int(number(crash.found.get("seed"))),
        date=str(crash.found.get("date", "")),
        count=0,
        defect=filing.group(crash.signature),
        covered=crash.status if crash.status != crashes.OPEN else crash.id,
        why=crash.verdict or crash.why,
        sentence=crash.sentence,
        builds=crash.builds,
        releases=crash.releases,
        links=_links(
            near,
            reproducer=crash.folder / crashes.REPRODUCER,
            input=crash.input,
            account=crash.folder / crashes.ABOUT,
            report=crash.folder / crashes.REPORT,
        ),
        data=_embedded(data),
    )


def _data(path: Path) -> bytes | None:
    """An input that is small enough to be embedded, or at least there; None when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError:
        return None


def _embedded(data: bytes | None) -> str:
    if data is None or len(data) > EMBEDDED:
        return ""
    return "data:application/octet-stream;base64," + base64.b64encode(data).decode()


def address(path: Path, near: Path) -> str:
    """A relative address of ``path`` for a page in the folder ``near``, in ASCII."""
    return quote(os.path.relpath(path.resolve(), near.resolve()), errors="surrogateescape")


def _links(near: Path, **files: Path) -> tuple[tuple[str, str], ...]:
    return tuple((name, address(path, near)) for name, path in files.items() if path.is_file())


def defects(chosen: Iterable[Row]) -> int:
    """How many defects the findings probably are: several entry points often show one."""
    return len({(row.severity, row.defect) for row in chosen})
