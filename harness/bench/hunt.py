"""Hunts one bug of the parser by a campaign of its own: is there a finding that only the build with the bug shows?"""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import paths
from harness.bench import runner
from harness.errors import EngineError
from harness.findings import store
from harness.parsers import build
from harness.parsers.fixes import Change
from harness.parsers.registry import Parser
from harness.processes import family_cpu_seconds
from harness.targets.known_findings import known
from harness.triage import compare_builds

#: The name of the build with the bug.
BUILD = "planted"

_POLL = 2.0
# CPU seconds that the speed of the machine is measured for.
_LOOK_S = 0.5
_GRACE = 120.0
# Most findings that are tried at one look.
_MOST = 6


def hunt(bug: Change, targets: Sequence[str], before: Parser, seconds: float, seed: int, place: str) -> dict[str, Any]:
    """A campaign with one worker on the newest release with ``bug``, until it finds the bug, for at most ``seconds``.

    Where other processes use the machine as well, it gets longer, so that its worker gets ``seconds`` of CPU time. The bug is
    found when a finding that is not filed shows on the build with it, and not on ``before``. The campaign's folder is
    build/bench/``place``. The result has ``found`` (a signature, or ""), ``summary``, ``target``, ``input`` (a path),
    ``seconds`` of the clock, ``cpu_seconds`` of all processes, and ``failed`` (the campaign itself).
    """
    parser = build.build(mend=[bug], name=BUILD)
    folder = paths.build_dir() / "bench" / place
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    most = seconds * slowdown()
    line = runner.command(folder, targets, most, seed, "--parser", parser.name, "--workers", "1")
    row: dict[str, Any] = {"targets": len(targets), "found": "", "summary": ""}
    began = time.monotonic()
    with folder.with_suffix(".log").open("wb") as log:
        # A session of its own: Ctrl-C reaches it once, from here.
        campaign = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        tried: set[str] = set()
        try:
            running, spent = True, 0.0
            while running and not row["found"] and time.monotonic() - began < most + _GRACE:
                time.sleep(_POLL)
                spent = max(spent, family_cpu_seconds(campaign.pid))
                running = campaign.poll() is None
                row |= {"seconds": round(time.monotonic() - began, 1), "cpu_seconds": round(spent, 1)}
                _look(folder, before, tried, row)
        finally:
            if campaign.poll() is None:
                campaign.send_signal(signal.SIGINT)
            code = campaign.wait()
    # Findings of its last moments, and those that waited behind others.
    ended = time.monotonic()
    while not row["found"] and time.monotonic() - ended < _GRACE and _look(folder, before, tried, row):
        pass
    row["failed"] = code not in (0, 1, 130) and not row["found"]
    return row


def slowdown() -> float:
    """Seconds of the clock for a CPU second of this process, at present."""
    clock, spent = time.monotonic(), time.process_time()
    while time.process_time() - spent < _LOOK_S:
        pass
    return max((time.monotonic() - clock) / _LOOK_S, 1.0)


def _look(folder: Path, before: Parser, tried: set[str], row: dict[str, Any]) -> bool:
    """Try some findings, and add to the ``row`` one that only the build with the bug shows. False: none was left to try.

    Each target has its turn: many findings that do not repeat must not hold up the others.
    """
    turns: Counter[str] = Counter()
    waiting = []
    for one in store.findings(folder):
        if one.id not in tried and known(one.signature) is None:
            waiting.append((turns[one.target], one))
            turns[one.target] += 1
    chosen = [one for _, one in sorted(waiting, key=lambda pair: pair[0])][:_MOST]
    try:
        for finding, state in compare_builds.compare(chosen, before):
            tried.add(finding.id)
            if state == compare_builds.ONLY_HERE:
                row |= {"found": finding.signature, "summary": finding.summary, "target": finding.target}
                row["input"] = str(finding.input)
                break
    except EngineError:
        # On a loaded machine a process may not start in time. The rest is tried at the next look.
        pass
    return bool(chosen)
