"""How many planted bugs does a short campaign find? Each set is a file, with the edits that make each bug.

The project wrote the set ``own`` before it measured. Someone who had read only the parser's source wrote the set ``blind``.
"""

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
from harness.processes import session_cpu_seconds
from harness.targets.known_findings import known
from harness.triage import compare_builds

#: The blind spots that bugs are planted in.
KINDS = ("memory", "framework", "state", "file", "size", "relation", "promise", "crate")
#: The least share of bugs found.
TARGET = 22 / 24
#: The name of the build with the bug.
BUILD = "planted"

#: The sets of bugs.
SETS = ("own", "blind")

_POLL = 2.0
# CPU seconds that the speed of the machine is measured for.
_LOOK_S = 0.5
_GRACE = 120.0


@dataclass(frozen=True, slots=True)
class Bug:
    """One planted bug. ``kind`` is one of :data:`KINDS`, ``edits`` make the bug in the released source."""

    name: str
    kind: str
    title: str
    edits: tuple[Edit, ...]


def bugs(name: str) -> tuple[Bug, ...]:
    """Those of a set, in the order of its file."""
    file = Path(__file__).with_name(f"planted_{name}.toml")
    table = toml.loads(file.read_text(encoding="utf-8"), file.name, "restore it from version control")
    return tuple(
        Bug(row["name"], row["kind"], row["title"], tuple(Edit(**edit) for edit in row["edits"]))
        for row in table["bug"]
    )


def measure(chosen: Sequence[Bug], seconds: float, seed: int, say: Say) -> dict[str, Any]:
    """Hunt each bug in a campaign of its own with one worker, of at most ``seconds``.

    Where other processes use the machine as well, a campaign gets longer, so that its worker gets ``seconds`` of CPU time.

    A bug counts as found when a finding that is not filed shows on the build with it, and not on the release.
    """
    before = registry.find()
    rows = []
    for bug in chosen:
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
    most = seconds * _slowdown()
    line = runner.command(folder, targets, most, seed, "--parser", parser.name, "--workers", "1")
    row: dict[str, Any] = {"bug": bug.name, "kind": bug.kind, "targets": len(targets), "found": "", "summary": ""}
    began = time.monotonic()
    with folder.with_suffix(".log").open("wb") as log:
        # A session of its own, so that its CPU time can be told.
        campaign = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        tried: set[str] = set()
        try:
            running, spent = True, 0.0
            while running and not row["found"] and time.monotonic() - began < most + _GRACE:
                time.sleep(_POLL)
                spent = max(spent, session_cpu_seconds(campaign.pid))
                running = campaign.poll() is None
                row |= {"seconds": round(time.monotonic() - began, 1), "cpu_seconds": round(spent, 1)}
                if finding := _new(folder, before, tried):
                    row |= {"found": finding.signature, "summary": finding.summary, "target": finding.target}
        finally:
            if campaign.poll() is None:
                campaign.send_signal(signal.SIGINT)
            code = campaign.wait()
    row["failed"] = code not in (0, 1, 130) and not row["found"]
    return row


def _slowdown() -> float:
    """Seconds of the clock for a CPU second of this process, at present."""
    clock, spent = time.monotonic(), time.process_time()
    while time.process_time() - spent < _LOOK_S:
        pass
    return max((time.monotonic() - clock) / _LOOK_S, 1.0)


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
        return f"found after {row['cpu_seconds']:.0f} CPU-s: {row['found']}"
    return "the campaign failed" if row["failed"] else f"missed in {row['cpu_seconds']:.0f} CPU-s"
