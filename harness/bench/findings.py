"""``harness bench findings``: are findings what they say? They must repeat, on what users have or labelled, and be minimal."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness.bench import runner
from harness.errors import EngineError
from harness.findings import crashes, store
from harness.findings.crashes import Crash
from harness.triage import filing

Say = Callable[[str], None]


def campaigns(targets: Sequence[str], seeds: int, seconds: float, say: Say) -> dict[str, Any]:
    """Run one campaign per random seed, from the committed corpus, and repeat everything that it found.

    Each finding runs again in a fresh process on the checked build and on the release wheel, and is counted as ``wheel``
    (users have it), ``build-only`` (only the checked build shows it) or ``lost`` (neither does: a false positive or a
    flaky one). ``defects`` counts what the harness itself did wrong while it ran.
    """
    rows = []
    for seed in range(1, seeds + 1):
        with runner.scratch() as folder:
            session = _fuzz(folder, targets, seed, seconds)
            where: Counter[str] = Counter()
            lost = []
            for stored in store.findings(folder):
                flavours = {one.parser.flavour if one.parser else "wheel" for one in _shown(stored)}
                kind = "wheel" if "wheel" in flavours else "build-only" if flavours else "lost"
                where[kind] += 1
                if kind == "lost":
                    lost.append(stored.signature)
        rows.append(
            {
                "seed": seed,
                "executions": session["executions"],
                "known": len(session["findings"]) - len(session["new"]),
                "new": len(session["new"]),
                "defects": sum(target["defects"] for target in session["per_target"].values()),
                **{name: where[name] for name in ("wheel", "build-only", "lost")},
                "lost_signatures": lost,
            }
        )
        say(
            f"  seed {seed}: {sum(where.values())} findings ({rows[-1]['new']} new): {where['wheel']} on the wheel, "
            f"{where['build-only']} on the checked build only, {where['lost']} that do not repeat; "
            f"{rows[-1]['defects']} defects of the harness"
        )
        for signature in lost:
            say(f"    does not repeat: {signature}")
    return {"seconds": seconds, "rows": rows}


def _fuzz(folder: Path, targets: Sequence[str], seed: int, seconds: float) -> dict[str, Any]:
    """One campaign in a process of its own; its session of the ledger."""
    chosen = [word for name in targets for word in ("--target", name)]
    command = [sys.executable, "-m", "harness", "fuzz", *chosen, "--time", f"{seconds:g}s", "--seed", str(seed)]
    done = subprocess.run(
        [*command, "--campaign", str(folder), "--no-ui", "--json"], capture_output=True, text=True, check=False
    )
    if done.returncode > 1:
        raise EngineError(f"the campaign ended with {done.returncode}: {done.stderr[-2000:]}")
    session: dict[str, Any] = json.loads(done.stdout)
    return session


def _shown(stored: store.Stored) -> list[filing.Shown]:
    newest = filing.newest_builds(stored.target)
    return next(
        (found for _ in range(filing.TRIES) if (found := filing.shows(stored.target, stored.signature, stored.data(), newest))),
        [],
    )  # fmt: skip


def filed(names: Sequence[str], times: int, say: Say) -> dict[str, Any]:
    """Run every filed finding (or those of these ids) ``times`` times in fresh processes, then minimise it again.

    A finding is *minimal* when another minimisation changes nothing: no single node, byte or call can go.
    """
    rows = []
    for crash in crashes.crashes():
        if crash.status != crashes.OPEN or (names and crash.id not in names):
            continue
        build = _build(crash)
        held = sum(bool(filing.shows(crash.target, crash.signature, crash.data(), [build])) for _ in range(times))
        smaller = filing.smallest(build, crash.target, crash.signature, crash.data()) if held == times else crash.data()
        row = {
            "id": crash.id,
            "held": held,
            "size": len(crash.data()),
            "smallest": len(smaller),
            "minimal": smaller == crash.data(),
        }
        rows.append(row)
        if held < times or not row["minimal"]:
            say(f"  {crash.id}: shows {held} of {times} times; {row['size']} bytes, {row['smallest']} would do")
    held, minimal = sum(row["held"] == times for row in rows), sum(bool(row["minimal"]) for row in rows)
    say(f"  {len(rows)} filed findings: {held} show {times} of {times} times in fresh processes, {minimal} are minimal")
    return {"times": times, "rows": rows}


def _build(crash: Crash) -> Any:
    """The build that the finding is kept for: the checked one where it shows there, else the wheel."""
    for build in filing.newest_builds(crash.target):
        if build is None or not crash.builds or build.flavour in crash.builds:
            return build
    raise EngineError(f"{crash.id} shows on {', '.join(crash.builds)}, of which none is built", hint="harness build")
