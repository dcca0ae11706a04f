"""``harness bench findings``: do findings repeat, on which builds, and are they minimal?"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from harness import paths
from harness.bench import runner
from harness.bench.runner import Say
from harness.errors import EngineError
from harness.findings import crashes, store
from harness.findings.crashes import Crash
from harness.replay import replay
from harness.targets.known_findings import known
from harness.triage import filing

#: How a finding of a campaign shows again.
KINDS = ("wheel", "build-only", "symptom", "lost")


def campaigns(targets: Sequence[str], seeds: Sequence[int], seconds: float, say: Say) -> dict[str, Any]:
    """Run one campaign per random seed, from the committed corpus, and repeat all its findings.

    Each finding runs again in a fresh process on the checked build and on the release wheel. It counts as ``wheel``
    (users have it), ``build-only`` (only the checked build shows it), ``symptom`` (it is known, and its
    input shows another known finding) or ``lost`` (neither shows it: false or flaky).
    ``defects`` counts defects of the harness during the campaign. A campaign with new or lost findings stays in
    build/bench/findings for ``harness triage``; others are deleted.
    """
    rows = []
    for seed in seeds:
        folder = folder_of(seed)
        session = runner.campaign(folder, targets, seconds, seed)
        found = store.findings(folder)
        say(f"  seed {seed}: {len(found)} findings in {session['executions']:,} executions; repeating them")
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            kinds = list(threads.map(_kind, found))
        where = Counter(kinds)
        rows.append(
            {
                "seed": seed,
                "executions": session["executions"],
                "known": len(session["findings"]) - len(session["new"]),
                "new": len(session["new"]),
                "new_ids": session["new"],
                "defects": sum(target["defects"] for target in session["per_target"].values()),
                **{name: where[name] for name in KINDS},
                "lost_signatures": [one.signature for one, kind in zip(found, kinds, strict=True) if kind == "lost"],
            }
        )
        tell(rows[-1], folder, say)
    return {"seconds": seconds, "rows": rows}


def folder_of(seed: int) -> Path:
    """An empty campaign folder for this random seed."""
    folder = paths.build_dir() / "bench" / "findings" / f"seed-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "findings").mkdir(parents=True)
    return folder


def tell(row: dict[str, Any], folder: Path, say: Say) -> None:
    """Say the figures of one campaign; delete its ``folder`` unless a finding there needs triage."""
    say(
        f"  seed {row['seed']}: {row['wheel']} on the wheel, {row['build-only']} on the checked build only, "
        f"{row['symptom']} by another known finding, {row['lost']} that do not repeat; {row['new']} new; {row['defects']} defects of the harness"
    )
    for signature in row["lost_signatures"]:
        say(f"    does not repeat: {signature}")
    if row["new"] or row["lost"]:
        say(f"    triage them: harness triage --campaign {paths.shown(folder)}")
    else:
        shutil.rmtree(folder)


def _kind(stored: store.Stored) -> str:
    others = set[str]()
    for _ in range(filing.TRIES):
        flavours = set()
        for build in filing.newest_builds(stored.target):
            shown = {one.signature for one in replay.once(build, stored.target, stored.data()).findings}
            if stored.signature in shown:
                flavours.add(build.flavour if build else "wheel")
            others |= shown
        if flavours:
            return "wheel" if "wheel" in flavours else "build-only"
    # A defect of memory has several symptoms, by luck.
    return "symptom" if known(stored.signature) and any(map(known, others)) else "lost"


def filed(names: Sequence[str], times: int, say: Say) -> dict[str, Any]:
    """Run every filed finding (or those of these ids) ``times`` times in fresh processes, then minimise it again.

    A finding is *minimal* when another minimisation changes nothing.
    """
    rows = []
    for crash in crashes.crashes():
        if crash.status == crashes.FIXED or (names and crash.id not in names):
            continue
        build = _build(crash)
        held = sum(bool(filing.shows(crash.target, crash.signature, crash.data(), [build])) for _ in range(times))
        smaller = filing.smallest(build, crash.target, crash.signature, crash.data()) if held == times else crash.data()
        row = {"id": crash.id, "held": held, "size": len(crash.data()), "smallest": len(smaller)}
        row["minimal"] = smaller == crash.data()
        rows.append(row)
        if held < times or not row["minimal"]:
            say(f"  {crash.id}: shows {held} of {times} times; {row['size']} bytes, {row['smallest']} would do")
    held, minimal = sum(row["held"] == times for row in rows), sum(bool(row["minimal"]) for row in rows)
    say(f"  {len(rows)} filed findings: {held} show {times} of {times} times in fresh processes, {minimal} are minimal")
    return {"times": times, "rows": rows}


def _build(crash: Crash) -> Any:
    """The checked build where the finding shows there, else the wheel."""
    for build in filing.newest_builds(crash.target):
        if build is None or not crash.builds or build.flavour in crash.builds:
            return build
    raise EngineError(f"{crash.id} shows on {', '.join(crash.builds)}, of which none is built", hint="harness build")
