"""One trial of a peer: one random seed, one core, and a budget of CPU time for all its processes, from an empty corpus.

The file of counts tells when a bug was first reached and triggered. A peer that ends at a finding begins again with its corpus
and without the bug that the finding shows, as if it had been mended. Replays of ours run between its sessions and do not count.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.bench.hunt import slowdown
from harness.bench.peers import detect
from harness.bench.peers.builds import CALLS, DEEP, Builds
from harness.bench.peers.ours import Ours
from harness.bench.peers.peer import Peer, Session, folder
from harness.bench.range.bugs import Bug
from harness.bench.range.counts import Counts, environment
from harness.bench.runner import Say
from harness.errors import EngineError, HarnessError
from harness.processes import end_with_parent, family_cpu_seconds, started

#: Seconds between two looks at the counts.
LOOK_S = 0.25
# A session that ends with so little of the budget left is the last one.
_LEAST_S = 0.5
# A session without a finding that takes less CPU time never began to fuzz.
_STILLBORN_S = 0.3
# Seconds of the clock that a budget may take, per second; and those to end in good order.
_PATIENCE = 60.0
_FINISH_S, _END_S = 6.0, 20.0
_GRACE_S = 120.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One trial: the peer's name, its random seed, and its CPU seconds."""

    peer: str
    seed: int
    budget: float

    @property
    def id(self) -> str:
        """Names it among all trials on one build."""
        return f"{self.peer}-seed-{self.seed}-budget-{self.budget:g}"


def run(plan: Plan, peer: Peer, builds: Builds, bugs: Sequence[Bug], core: int, say: Say) -> dict[str, Any]:
    """Run a trial to the end of its budget. Raises EngineError for a peer that dies, HarnessError for a full disk."""
    try:
        return _Trial(plan, peer, builds, bugs, core).run(say)
    except OSError as error:
        raise HarnessError(
            f"the trial {plan.id} cannot go on: {error}",
            hint="make room, and run the same command again: it begins this trial anew",
        ) from error


class _Trial:
    def __init__(self, plan: Plan, peer: Peer, builds: Builds, bugs: Sequence[Bug], core: int) -> None:
        self._plan, self._peer, self._builds, self._core = plan, peer, builds, core
        self._bugs = {bug.number: bug for bug in bugs}
        self._place = folder() / "trials" / plan.id
        shutil.rmtree(self._place, ignore_errors=True)
        (self._place / "kept").mkdir(parents=True)
        self._log = self._place / "log"
        self._counts = Counts(self._place / "counts")
        self._spent = 0.0
        self._sessions = 0
        self._mended: set[int] = set()
        # The first CPU second of each state, by the bug's number; and the findings, with theirs.
        self._first: dict[str, dict[int, float]] = {"reached": {}, "triggered": {}, "detected": {}}
        self._moments: dict[Path, int] = {}
        self._kept: list[tuple[Path, float]] = []
        self._judged = 0
        # Findings of no bug, or of one that is detected already.
        self._unexplained = 0

    def run(self, say: Say) -> dict[str, Any]:
        plan, began = self._plan, time.monotonic()
        own = Counts(self._place / "counts-of-replays")
        with detect.judge_of(self._peer, self._builds.sancov, list(self._bugs.values()), own) as judge:
            while plan.budget - self._spent >= _LEAST_S:
                before = self._spent, len(self._kept)
                code, ran_out = self._session()
                self._judge(judge, say)
                if ran_out:
                    break
                if len(self._kept) == before[1]:
                    self._check(code, self._spent - before[0])
        counts = self._counts.read()
        return {
            "id": plan.id, "peer": plan.peer, "seed": plan.seed, "budget": plan.budget, "bugs": sorted(self._bugs),
            "cpu_seconds": round(self._spent, 2), "seconds": round(time.monotonic() - began, 1),
            "sessions": self._sessions, "findings": len(self._kept), "unexplained": self._unexplained,
            "calls": counts[CALLS][0], "deep": counts[DEEP][0],
            **{word: {str(number): at for number, at in sorted(first.items())} for word, first in self._first.items()},
        }  # fmt: skip

    def _check(self, code: int, spent: float) -> None:
        """A session that brought no finding must have fuzzed."""
        if code not in self._peer.fine or spent < _STILLBORN_S:
            try:
                tail = self._log.read_text(errors="replace")[-1500:].strip()
            except OSError:
                tail = ""
            raise EngineError(
                f"the peer {self._peer.name} ended with {code} after {spent:.1f} CPU seconds:\n{tail}",
                hint=f"its log is {self._log}",
            )

    def _switch(self) -> str:
        """The bugs that are on: all, but for those that are mended."""
        return ",".join(str(number) for number in self._bugs if number not in self._mended)

    def _session(self) -> tuple[int, bool]:
        """Start the program once. Its exit status, and whether the budget or its time on the clock is used up."""
        plan, peer = self._plan, self._peer
        # A campaign of ours is given a time on the clock.
        slow = slowdown() if isinstance(peer, Ours) else 1.0
        left, self._sessions = plan.budget - self._spent, self._sessions + 1
        seed = (plan.seed + 1_000_003 * (self._sessions - 1)) % (2**31 - 1) or 1
        command = peer.command(Session(self._place / "work", seed, left, slow))
        variables = {
            **os.environ, "RUST_BACKTRACE": "0", "PYTHONHASHSEED": "0", **peer.environment(),
            **environment(self._switch(), self._counts),
        }  # fmt: skip
        parent, core = os.getpid(), self._core

        def prepare() -> None:
            end_with_parent(parent, peer.end)
            os.sched_setaffinity(0, {core})

        with self._log.open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=variables, start_new_session=True,
                preexec_fn=prepare,  # noqa: PLW1509 - no thread of ours runs
            )  # fmt: skip
        family: dict[int, int] = {}
        try:
            return self._follow(process, time.monotonic() + _PATIENCE * left + _GRACE_S, family)
        finally:
            _end(process, peer.end, family)

    def _follow(self, process: subprocess.Popen[bytes], limit: float, family: dict[int, int]) -> tuple[int, bool]:
        """Note the state until the program ends, or its budget is used up."""
        before = self._spent
        while True:
            # It is not reaped yet, so that its CPU time can be read to the last.
            over = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
            self._spent = max(self._spent, before + family_cpu_seconds(process.pid))
            self._look()
            if over:
                return process.wait(), False
            if self._spent >= self._plan.budget or time.monotonic() > limit:
                return 0, True
            family |= {pid: started(pid) for pid in _descendants(process.pid) if pid not in family}
            time.sleep(LOOK_S)

    def _look(self) -> None:
        """Note what is reached and triggered for the first time, and new findings."""
        at = round(min(self._spent, self._plan.budget), 2)
        for number, (reached, triggered) in self._counts.read().items():
            if number in self._bugs and reached:
                self._first["reached"].setdefault(number, at)
                if triggered:
                    self._first["triggered"].setdefault(number, at)
        for path in self._peer.findings(self._place / "work"):
            with contextlib.suppress(OSError):
                moment = path.stat().st_mtime_ns
                if self._moments.get(path) != moment:
                    self._keep(path, at)
                    self._moments[path] = moment

    def _keep(self, path: Path, at: float) -> None:
        """Copy a finding: in a campaign of ours a smaller input replaces it, which may be of another bug."""
        copy = self._place / "kept" / str(len(self._kept))
        if isinstance(self._peer, Ours):
            shutil.copytree(path.parent, copy)
            copy /= path.name
        else:
            shutil.copyfile(path, copy)
        self._kept.append((copy, at))

    def _judge(self, judge: detect.Endings | detect.Signatures, say: Say) -> None:
        """Judge the new findings, and mend the bugs that they show where the peer stops at them."""
        fresh, self._judged = self._kept[self._judged :], len(self._kept)
        for path, at in fresh:
            shown = judge.judge(path, at, self._first["triggered"])
            self._unexplained += not shown
            for number in shown:
                self._first["detected"].setdefault(number, at)
                if self._peer.stops:
                    self._mended.add(number)
                say(f"    {at:.0f} CPU-s: {self._bugs[number].name}")


def _descendants(root: int) -> list[int]:
    """The children of a process, and theirs."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            parents.setdefault(int(path.read_text().rsplit(")", 1)[1].split()[1]), []).append(int(path.parent.name))
    family = [root]
    for pid in family:
        family += parents.get(pid, ())
    return family[1:]


def _end(process: subprocess.Popen[bytes], sign: int, family: dict[int, int]) -> None:
    """End the program in good order, else at once, and all that it started."""
    if process.poll() is None:
        # The second signal ends the replays of a campaign, which go on after its time.
        for seconds in (_FINISH_S, _END_S):
            process.send_signal(sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
                break
        else:
            family |= {pid: started(pid) for pid in _descendants(process.pid)}
            process.kill()
            process.wait()
    for pid, moment in family.items():
        if moment and started(pid) == moment:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
