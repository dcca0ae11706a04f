"""``harness bench survival``: ``kill -9`` of one process of a real campaign at a random moment, many times.

Each time: what had been stored when the process died is there when the campaign is over, or killed itself, and once more
after the same command has resumed it; corpus, findings and ledger can be read; nothing is left running.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import corpus_store
from harness.bench import runner
from harness.engine.campaign.process import REPLACED
from harness.engine.worker import memory
from harness.errors import EngineError, HarnessError
from harness.findings import store

Say = Callable[[str], None]

#: One that runs in process, and one whose inputs run in forked children.
TARGETS = ("deserialize", "lifecycle")
_RESUMED_S = 2.0
_END_S = 120.0
_STORED = 0.8


@dataclass(frozen=True)
class Stored:
    """What a campaign's folder held at a moment: inputs by target and name, ids of findings, executions of the ledger."""

    corpus: frozenset[str]
    findings: frozenset[str]
    executions: int
    sessions: int


def look(folder: Path) -> Stored:
    """Read everything that a campaign stored. Raises HarnessError, ValueError or OSError where something cannot be read."""
    inputs = {
        f"{path.name}/{name}" for path in folder.glob("corpus/*") for name, _ in corpus_store.list_seeds(path).seeds
    }
    findings = store.findings(folder)
    for finding in findings:
        if not finding.data() and finding.size:
            raise HarnessError(f"{finding.input} is empty", hint="it holds the input of a finding")
    ledger = folder / "campaign.json"
    sessions = json.loads(ledger.read_text())["sessions"] if ledger.exists() else []
    return Stored(
        frozenset(inputs),
        frozenset(finding.id for finding in findings),
        sum(session.get("executions", 0) for session in sessions),
        len(sessions),
    )


def lost(before: Stored, folder: Path) -> list[str]:
    """What of ``before`` is no longer in the folder, but for inputs that a smaller one replaced, as the campaign noted."""
    now = look(folder)
    try:
        replaced = set((folder / "log" / REPLACED).read_text().split())
    except FileNotFoundError:
        replaced = set()
    gone = [f"input {name}" for name in sorted(before.corpus - now.corpus - replaced)]
    gone += [f"finding {name}" for name in sorted(before.findings - now.findings)]
    if now.executions < before.executions or now.sessions < before.sessions:
        gone.append(
            f"{before.executions} executions in {before.sessions} sessions, {now.executions} in {now.sessions} now"
        )
    return gone


def survival(parser: str, times: int, seconds: float, seed: int, say: Say) -> dict[str, Any]:
    """Run ``times`` campaigns of that many seconds, with one kill each.

    ``survived`` counts those where nothing was lost and the campaign resumed; every other one says what was wrong.
    """
    chance = random.Random(seed)
    rows: list[dict[str, Any]] = []
    for number in range(1, times + 1):
        with runner.scratch() as folder:
            row = _one(folder, parser, seconds, seed + number, chance)
        rows.append(row)
        say(
            f"  {number}: {row['killed']} after {row['after']:.2f} s, {row['inputs']} inputs and {row['findings']} findings stored: "
            + ("; ".join(row["problems"]) or "nothing lost, resumed")
        )
    survived = sum(not row["problems"] for row in rows)
    killed = Counter(row["killed"] for row in rows)
    say(f"  {survived} of {times} survived; killed: {', '.join(f'{name} {count}' for name, count in killed.items())}")
    return {"times": times, "survived": survived, "killed": killed, "rows": rows}


def _one(folder: Path, parser: str, seconds: float, seed: int, chance: random.Random) -> dict[str, Any]:
    process = _start(folder, parser, seconds, seed)
    problems: list[str] = []
    try:
        began = time.monotonic()
        # Four in five once something is stored, the others at any moment, that of starting included.
        if chance.random() < _STORED:
            _await_inputs(folder)
        time.sleep(chance.uniform(0.1, 0.8 * seconds))
        killed, before = _kill(process, folder, chance)
        after = time.monotonic() - began
        code = _end(process)
        if killed != "supervisor" and code not in (0, 1):
            problems.append(f"the campaign ended with {code}")
        problems += _check(before, folder, "at its end")
        resumed = _start(folder, parser, _RESUMED_S, seed)
        code = _end(resumed)
        if code not in (0, 1):
            problems.append(f"the resumed campaign ended with {code}")
        problems += _check(before, folder, "resumed")
        if not problems and look(folder).executions <= before.executions:
            problems.append("the resumed campaign executed nothing")
        left = [str(path) for path, _ in memory.abandoned(folder)]
        problems += [f"{path} was left in memory" for path in left]
    finally:
        process.kill()
        process.wait()
    return {
        "killed": killed,
        "after": round(after, 3),
        "inputs": len(before.corpus),
        "findings": len(before.findings),
        "problems": problems,
    }


def _start(folder: Path, parser: str, seconds: float, seed: int) -> subprocess.Popen[bytes]:
    chosen = [word for name in TARGETS for word in ("--target", name)]
    command = [sys.executable, "-m", "harness", "fuzz", *chosen, "--parser", parser, "--time", f"{seconds:g}s"]
    command += ["--seed", str(seed), "--workers", "2", "--campaign", str(folder), "--no-ui"]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _await_inputs(folder: Path) -> None:
    """Until the campaign has stored an input; returns also where that takes too long."""
    deadline = time.monotonic() + _END_S
    while not any(folder.glob("corpus/*/*")) and time.monotonic() < deadline:
        time.sleep(0.1)


def _end(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(_END_S)
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"the campaign does not end within {_END_S:.0f} s", hint="see build/bench") from error


def _kill(process: subprocess.Popen[bytes], folder: Path, chance: random.Random) -> tuple[str, Stored]:
    """Kill one of the campaign's processes; which kind it was, and what was stored then.

    The supervisor, which copies and deletes, stands still while we look.
    """
    os.kill(process.pid, signal.SIGSTOP)
    try:
        before = look(folder)
        kinds = {process.pid: "supervisor"} | _descendants(process.pid)
        # Each kind as often: there are many children and one supervisor.
        kind = chance.choice(sorted(set(kinds.values())))
        chosen = chance.choice(sorted(pid for pid, what in kinds.items() if what == kind))
        os.kill(chosen, signal.SIGKILL)
    finally:
        os.kill(process.pid, signal.SIGCONT)
    return kind, before


def _descendants(pid: int) -> dict[int, str]:
    """Of a supervisor: workers, what runs inputs again, and the children of workers."""
    found: dict[int, str] = {}
    for child in _children(pid):
        try:
            command = Path(f"/proc/{child}/cmdline").read_text().split("\0")
        except OSError:
            continue
        found[child] = "worker" if "harness.engine.worker.main" in command else "replay"
        found |= dict.fromkeys(_children(child), "forked child")
    return found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, path.read_text().split())
        except OSError:
            continue
    return found


def _check(before: Stored, folder: Path, when: str) -> list[str]:
    try:
        return [f"{when}: lost {thing}" for thing in lost(before, folder)]
    except (HarnessError, ValueError, KeyError, OSError) as error:
        return [f"{when}: cannot be read: {error}"]
