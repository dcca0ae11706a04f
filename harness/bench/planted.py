"""How many planted bugs does a short campaign find? ``planted.toml`` lists them, with the edit that makes each one."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import paths
from harness.bench import runner
from harness.bench.runner import Say
from harness.coverage import changed
from harness.errors import EngineError
from harness.findings import store, toml
from harness.findings.defects import Edit
from harness.findings.store import Stored
from harness.parsers import build, fixes, registry
from harness.parsers.registry import Parser
from harness.targets.known_findings import known
from harness.triage import compare_builds

#: The blind spots that bugs are planted in.
KINDS = ("memory", "framework", "state", "file", "size", "relation", "promise", "crate")
#: The least share of bugs found.
TARGET = 22 / 24
#: The name of the build with the bug.
BUILD = "planted"

_FILE = Path(__file__).with_suffix(".toml")
_POLL = 2.0
_GRACE = 120.0


@dataclass(frozen=True, slots=True)
class Bug:
    """One planted bug. ``kind`` is one of :data:`KINDS`, ``edits`` make the bug in the released source."""

    name: str
    kind: str
    title: str
    edits: tuple[Edit, ...]


def bugs() -> tuple[Bug, ...]:
    """All of them, in the order of the file."""
    table = toml.loads(_FILE.read_text(encoding="utf-8"), _FILE.name, "restore it from version control")
    return tuple(
        Bug(row["name"], row["kind"], row["title"], tuple(Edit(**edit) for edit in row["edits"]))
        for row in table["bug"]
    )


def measure(names: Sequence[str], seconds: float, seed: int, say: Say) -> dict[str, Any]:
    """Hunt each bug in a campaign of its own, of at most ``seconds`` with one worker; ``names`` choose bugs.

    A bug counts as found when a finding that is not filed shows on the build with it, and not on the release.
    """
    before = registry.find()
    rows = []
    for bug in bugs():
        if not names or bug.name in names:
            rows.append(_hunt(bug, before, seconds, seed))
            say(f"  {bug.name} ({bug.kind}): {_told(rows[-1])}")
    found = Counter(row["kind"] for row in rows if row["found"])
    return {"seconds": seconds, "seed": seed, "rows": rows, "found": found.total(), "found_by_kind": dict(found)}


def _hunt(bug: Bug, before: Parser, seconds: float, seed: int) -> dict[str, Any]:
    parser = build.build(mend=[bug], name=BUILD)
    folder = paths.build_dir() / "bench" / "planted" / bug.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Those that the pull-request workflow drives for a change of these files.
    targets = changed.choose(fixes.touched([bug]), changed.measured(), changed.drivable()).targets
    line = runner.command(folder, targets, seconds, seed, "--parser", parser.name, "--workers", "1")
    row: dict[str, Any] = {"bug": bug.name, "kind": bug.kind, "targets": len(targets), "found": "", "summary": ""}
    began = time.monotonic()
    with folder.with_suffix(".log").open("wb") as log:
        campaign = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        tried: set[str] = set()
        try:
            running = True
            while running and not row["found"] and time.monotonic() - began < seconds + _GRACE:
                time.sleep(_POLL)
                running = campaign.poll() is None
                at = time.monotonic() - began
                if finding := _new(folder, before, tried):
                    row |= {"found": finding.signature, "summary": finding.summary, "target": finding.target}
                    row["seconds"] = round(at, 1)
        finally:
            if campaign.poll() is None:
                campaign.send_signal(signal.SIGINT)
            code = campaign.wait()
    row["failed"] = code not in (0, 1, 130)
    return row


def _new(folder: Path, before: Parser, tried: set[str]) -> Stored | None:
    """A finding of the campaign that only the build with the bug shows, or None."""
    fresh = [one for one in store.findings(folder) if one.id not in tried and known(one.signature) is None]
    try:
        for finding, state in compare_builds.compare(fresh, before):
            tried.add(finding.id)
            if state == compare_builds.ONLY_HERE:
                return finding
    except EngineError:
        # On a loaded machine a process may not start in time. The rest is tried at the next look.
        return None
    return None


def _told(row: dict[str, Any]) -> str:
    if row["found"]:
        return f"found after {row['seconds']:.0f} s: {row['found']}"
    return "the campaign failed" if row["failed"] else "missed"
