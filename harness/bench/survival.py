"""``harness bench survival``: ``kill -9`` of one process of a real campaign at a random moment, many times.

Everything stored before the kill must be there at the end of the campaign, and again after the same command resumed it.
Corpus, findings and ledger must be readable, and no memory file may stay behind.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import corpus_store
from harness.bench import runner
from harness.bench.runner import Say
from harness.engine.campaign.process import REPLACED
from harness.engine.worker import memory
from harness.errors import EngineError, HarnessError
from harness.findings import store

#: The first runs in process, the second runs its inputs in forked children.
TARGETS = ("deserialize", "lifecycle")
_RESUMED_S = 2.0
_END_S = 120.0
_STORED = 0.8


@dataclass(frozen=True)
class Stored:
    """Content of a campaign's folder: inputs by target and name, ids of findings, executions of the ledger."""

    corpus: frozenset[str]
    findings: frozenset[str]
    executions: int
    sessions: int


def look(folder: Path) -> Stored:
    """Read all that a campaign stored. Raises HarnessError, ValueError or OSError for a file that cannot be read."""
    inputs = {
        f"{path.name}/{name}" for path in folder.glob("corpus/*") for name, _ in corpus_store.list_seeds(path).seeds
    }
    findings = store.findings(folder)
    for finding in findings:
        if not finding.data() and finding.size:
            raise HarnessError(f"{finding.input} is empty", hint="report it: the input of a finding is lost")
    ledger = folder / "campaign.json"
    sessions = json.loads(ledger.read_text())["sessions"] if ledger.exists() else []
    return Stored(
        frozenset(inputs),
        frozenset(finding.id for finding in findings),
        sum(session.get("executions", 0) for session in sessions),
        len(sessions),
    )


def lost(before: Stored, folder: Path) -> list[str]:
    """Things of ``before`` that the folder lost, except inputs that the campaign replaced by smaller ones."""
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

    ``survived`` counts the campaigns that lost nothing and resumed. ``problems`` of a row explain the others.
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
        # Four in five kills come after the first stored input, the others at any moment.
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
        problems += [f"{path} was left in memory" for path, campaign, _ in memory.abandoned() if campaign == folder]
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
    command = runner.command(folder, TARGETS, seconds, seed, "--parser", parser, "--workers", "2")
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _await_inputs(folder: Path) -> None:
    """Wait until the campaign has stored an input, for at most _END_S."""
    deadline = time.monotonic() + _END_S
    while not any(folder.glob("corpus/*/*")) and time.monotonic() < deadline:
        time.sleep(0.1)


def _end(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(_END_S)
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"the campaign does not end within {_END_S:.0f} s", hint="see build/bench") from error


def _kill(process: subprocess.Popen[bytes], folder: Path, chance: random.Random) -> tuple[str, Stored]:
    """Kill one of the campaign's processes; its kind, and the content of the folder at that moment.

    The supervisor, which copies and deletes, is stopped meanwhile.
    """
    os.kill(process.pid, signal.SIGSTOP)
    try:
        before = look(folder)
        kinds = {process.pid: "supervisor"} | _descendants(process.pid)
        # Every kind has the same chance, although there are many children and one supervisor.
        kind = chance.choice(sorted(set(kinds.values())))
        chosen = chance.choice(sorted(pid for pid, what in kinds.items() if what == kind))
        os.kill(chosen, signal.SIGKILL)
    finally:
        os.kill(process.pid, signal.SIGCONT)
    return kind, before


def _descendants(pid: int) -> dict[int, str]:
    """Processes below a supervisor by id: workers, replay processes, and the children of workers."""
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
