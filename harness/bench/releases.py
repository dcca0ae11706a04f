"""Campaigns on older releases: do they find, untold, what later releases fixed?

A finding of an old release that the newest one does not show was *fixed*, in the first release from which on it never shows.
``releases.toml`` lists fixed defects from upstream's history, and the signatures by which people recognise each one. Campaigns
do not read it.
"""

from __future__ import annotations

import fnmatch
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import paths
from harness.bench import runner
from harness.bench.runner import Say
from harness.errors import EngineError, HarnessError
from harness.findings import store, toml
from harness.findings.store import Stored
from harness.parsers import build, registry
from harness.parsers.registry import Parser
from harness.targets.registry import get_target
from harness.triage import compare_builds
from harness.triage.bisect import order

#: Releases that are fuzzed: the last one of each series, and those before a release with many fixes.
RELEASES = ("0.2.8", "0.3.0", "0.3.1", "0.3.3", "0.4.0", "0.4.3", "0.4.5", "0.5.3", "0.6.2", "0.7.0")
#: The goal: fixed defects found.
TARGET = 14

_FILE = Path(__file__).with_suffix(".toml")
#: Where a finding went. It may not show a second time, and the newest release may still have it.
FIXED, OPEN, FLAKY = "fixed", "open", "not again"


@dataclass(frozen=True, slots=True)
class Defect:
    """A defect that upstream fixed in the release ``fixed``, by ``thread`` ("PR 206").

    ``signatures`` are patterns; a finding that matches one and was gone in ``fixed``, or in a fuzzed release next to it, is of this
    defect.
    """

    name: str
    fixed: str
    thread: str
    title: str
    signatures: tuple[str, ...] = ()
    why_missed: str = ""


def defects() -> tuple[Defect, ...]:
    """All of them, in the order of the file."""
    table = toml.loads(_FILE.read_text(encoding="utf-8"), _FILE.name, "restore it from version control")
    return tuple(Defect(**row | {"signatures": tuple(row.get("signatures", ()))}) for row in table["defect"])


def measure(releases: Sequence[str], seconds: float, seed: int, say: Say) -> dict[str, Any]:
    """A campaign of ``seconds`` with one worker on each of ``releases``, and what became of each finding.

    Raises HarnessError where a release does not build.
    """
    newest = registry.default_release()
    ordered = sorted({*RELEASES, *releases}, key=order)
    builds = {name: _build(name, say) for name in (*ordered, newest)}
    rows: list[dict[str, Any]] = []
    for release in sorted(releases, key=order):
        folder = paths.build_dir() / "bench" / "releases" / release
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        runner.campaign(folder, [], seconds, seed, "--parser", builds[release].name, "--workers", "1")
        later = [builds[name] for name in ordered if order(name) > order(release)] + [builds[newest]]
        found = [_row(release, stored, *_fate(stored, builds[release], later)) for stored in store.findings(folder)]
        rows += found
        say(f"  {release}: {len(found)} findings, {sum(row['fate'] == FIXED for row in found)} of them fixed later")
    return summary(rows) | {"seconds": seconds, "seed": seed, "releases": list(releases)}


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The defects of ``releases.toml`` with what found them, and the findings that were fixed and belong to none."""
    fixed = [row for row in rows if row["fate"] == FIXED]
    told = [_told(defect, fixed) for defect in defects()]
    claimed = {row["id"] for one in told for row in one["findings"]}
    return {
        "rows": list(rows),
        "defects": told,
        "found": sum(bool(one["findings"]) for one in told),
        "unclaimed": sorted({row["signature"] for row in fixed if row["id"] not in claimed}),
    }


def _told(defect: Defect, fixed: Iterable[dict[str, Any]]) -> dict[str, Any]:
    mine = [
        row
        for row in fixed
        if _window(row, defect.fixed) and any(fnmatch.fnmatchcase(row["signature"], one) for one in defect.signatures)
    ]
    return {
        "name": defect.name, "fixed": defect.fixed, "thread": defect.thread, "title": defect.title,
        "findings": mine, "why_missed": "" if mine else defect.why_missed,
    }  # fmt: skip


def _window(row: dict[str, Any], fixed: str) -> bool:
    """Whether the release of the fix lies after the last fuzzed release that shows the finding, up to the first without it."""
    return order(row["last"]) < order(fixed) <= order(row["gone"])


def _row(release: str, stored: Stored, fate: str, last: str, gone: str) -> dict[str, Any]:
    return {
        "id": f"{release}/{stored.id}", "release": release, "target": stored.target, "signature": stored.signature,
        "summary": stored.summary, "fate": fate, "last": last, "gone": gone,
    }  # fmt: skip


def _fate(stored: Stored, own: Parser, later: Sequence[Parser]) -> tuple[str, str, str]:
    """FIXED, OPEN or FLAKY; the last release that shows it; the first one from which on none does ("" for none)."""
    if not get_target(stored.target).uses_parser or not _shows(own, stored):
        return FLAKY, own.version, ""
    if _shows(later[-1], stored):
        return OPEN, later[-1].version, ""
    last, gone = own.version, later[-1].version
    # From the newest one backwards: a finding that comes and goes was fixed last.
    for parser in reversed(later[:-1]):
        if _shows(parser, stored):
            last = parser.version
            break
        gone = parser.version
    return FIXED, last, gone


def _shows(parser: Parser, stored: Stored) -> bool:
    """Whether it shows in a process of its own. A release that cannot run the target does not show it."""
    try:
        return compare_builds.shows(parser, stored, stored.data(), 1)
    except EngineError:
        return False


def _build(release: str, say: Say) -> Parser:
    try:
        return build.build(release=release, progress=lambda _: None)
    except HarnessError as error:
        say(f"  {release} does not build: {error}")
        raise


def lines(result: dict[str, Any]) -> list[str]:
    """A line for each defect: found in which release, or why it was missed."""
    told = []
    for one in result["defects"]:
        where = sorted({row["release"] for row in one["findings"]}, key=order)
        state = f"found in {', '.join(where)}" if where else f"missed: {one['why_missed'] or 'no reason known'}"
        told.append(f"{one['fixed']:6} {one['thread']:10} {one['title']}: {state}")
    return told
