"""``harness bench locate``: for how many fixed defects does ``harness locate`` name a function that the fix edits?"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.bench.runner import Say
from harness.coverage.functions import PYTHON, Functions, Place
from harness.errors import HarnessError
from harness.findings import crashes, defects
from harness.findings.defects import Edit
from harness.parsers import registry, sources
from harness.triage.inputs import of_crash
from harness.triage.locate import SHOWN, locate

#: The least share of fixed defects that a person can live with.
TARGET = 0.7


def edited(functions: Functions, source: Path, edit: Edit) -> set[Place]:
    """The functions that the replaced text of ``edit`` lies in; empty for an edit outside of functions."""
    path = sources.find(source, edit.file) or source / edit.file
    text = path.read_text(encoding="utf-8")
    at = text.index(edit.anchor)
    first, last = text.count("\n", 0, at) + 1, text.count("\n", 0, at + len(edit.anchor.rstrip())) + 1
    file = edit.file if edit.file.startswith(PYTHON) else path.relative_to(source).as_posix()
    return {place for line in range(first, last + 1) if (place := functions.at(file, line)) is not None}


def measure(names: Sequence[str], say: Say, *, every: bool) -> dict[str, Any]:
    """Locate the smallest finding of each fixed defect, or with ``every`` all findings; ``names`` choose defects."""
    build = registry.find(flavour="coverage")
    functions = Functions(build)
    filed = {crash.id: crash for crash in crashes.crashes()}
    rows: list[dict[str, Any]] = []
    for defect in defects.defects():
        if not defect.edits or (names and defect.name not in names):
            continue
        wanted = {place for edit in defect.edits for place in edited(functions, build.source, edit)}
        found = sorted((filed[name] for name in defect.findings), key=lambda crash: len(crash.data()))
        for number, crash in enumerate(found):
            row = {"defect": defect.name, "finding": crash.id, "smallest": number == 0, **_located(crash, wanted)}
            rows.append(row)
            say(f"  {defect.name}: {crash.id}: {row['why_not'] or _told(row)}")
            # A finding that cannot run here stands aside for the next one.
            if not every and not row["why_not"]:
                break
    return {"rows": rows, **summary(rows)}


def _located(crash: crashes.Crash, wanted: set[Place]) -> dict[str, Any]:
    began = time.monotonic()
    row: dict[str, Any] = {"edited": sorted(place.function for place in wanted), "rank": 0, "why_not": ""}
    try:
        found = locate(of_crash(crash))
    except HarnessError as error:
        return row | {"why_not": str(error), "seconds": 0.0}
    ranks = [rank for rank, suspect in enumerate(found.suspects, 1) if suspect.place in wanted]
    named = {"rank": min(ranks, default=0), "functions": len(found.suspects), "differs": found.differs}
    languages = sorted({"Python" if place.file.endswith(".py") else "Rust" for place in wanted})
    return row | named | {"languages": languages, "seconds": round(time.monotonic() - began, 1)}


def _told(row: dict[str, Any]) -> str:
    place = f"rank {row['rank']} of {row['functions']}" if row["rank"] else f"not among {row['functions']}"
    same = "" if row["differs"] else ", coverage does not differ"
    return f"{place}{same} ({', '.join(row['edited']) or 'no function'}; {row['seconds']} s)"


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Counts over the findings that ran: one per defect (the smallest), and all."""
    ran = [row for row in rows if not row["why_not"]]
    first = list({row["defect"]: row for row in reversed(ran)}.values())
    return {
        "defects": len(first),
        "defects_named": sum(_hit(row) for row in first),
        "findings": len(ran),
        "findings_named": sum(_hit(row) for row in ran),
        "not_run": len(rows) - len(ran),
    }


def _hit(row: dict[str, Any]) -> bool:
    return bool(0 < row["rank"] <= SHOWN)
