"""Inputs that may kill their process, run in a forked child under limits, many to a child, at the worker's own pace.

The child is a copy of the worker with everything loaded. An input and the number of the call that it is at lie in the worker's
slot, which both share and which outlives both; what the run reached (the parser's native counters) is copied back there and put into the worker's own table, where
libFuzzer reads it; what the oracles found comes back as a message. A child that dies leaves its input, the call and what
it printed: that is a finding, and the next input gets a new child. Counters of Python code stay in the child; the features
of :meth:`Target.features` stand for them.

Limits of a child: data (where no sanitizer runs), CPU, file size, no core dump; the clock is the worker's to watch.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import pickle
import resource
import signal
import socket
import struct
import time
import traceback
from collections import Counter
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import NamedTuple, NoReturn

from harness.engine.worker.essential_tokens import DEADLY, needles
from harness.engine.worker.native import NativeCounters
from harness.engine.worker.slot import Slot
from harness.findings.finding import Finding
from harness.observation import REJECT, Observation, Run
from harness.parsers import runtime
from harness.replay.child import limit_memory
from harness.replay.exit_reason import ending
from harness.replay.judge import judge_observation
from harness.targets.base import Target

#: Inputs of one child, and seconds that it may serve: what a run leaves behind must not pile up.
BATCH = 2000
_AGE = 20.0
_CPU_S = 60
_FILE_BYTES = 64 << 20
_REPLY = 1 << 20
_SAID = 1 << 16
#: A hazard that has killed this often is met one time in as many inputs that run it.
_ENOUGH = 8
_SAMPLE = 32
#: Deaths of one kind whose inputs are looked into for what they have in common with the next ones.
_GUARDS = 4
#: Refusals of one kind that are judged in full, then one in as many.
_FIRST = 64
_PR_SET_PDEATHSIG = 1
_DEADLY = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL)

_HEAD = 4


class Remote(NamedTuple):
    """What a run in the child gives: how it ended, what was found, and the features for libFuzzer."""

    outcome: str
    error: str
    findings: list[Finding]
    features: list[Hashable]


class Isolation:
    """One target's child, started when the first input comes and again when it died. Use from one thread.

    ``folder`` takes what children print.
    """

    def __init__(
        self, target: Target, counters: NativeCounters | None, slot: Slot, folder: Path, *, batch: int = BATCH
    ) -> None:
        self._target = target
        self._counters = counters
        self._slot = slot
        # Length of the answer, the counters, the answer.
        self._answer = _HEAD + (counters.size if counters else 0)
        self._view = memoryview(mmap.mmap(-1, self._answer + _REPLY))
        self._said = os.open(folder / "isolated.err", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        self._batch = batch
        # Before libFuzzer takes a run for a hang of the worker's.
        self._seconds = 0.8 * target.timeout_s
        self._run: Run | None = None
        self._pid = 0
        self._line: socket.socket | None = None
        self._left = 0
        self._born = 0.0
        #: Children started, and deaths by hazard, or by how the child ended.
        self.children = 0
        self.deaths: Counter[str] = Counter()
        #: What an input must hold, all of it, to be taken for one that is known to kill.
        self.guards: list[list[bytes]] = []
        self._met = 0
        self._guarding = False
        #: The sanitizer's report on the last death.
        self.report = ""
        self._refused: Counter[str] = Counter()

    def open(self, run: Run) -> None:
        """Run inputs with ``run`` from now on."""
        self._run = run

    def wanted(self, data: bytes, hazard: str) -> bool:
        """Whether an input is worth its child: of those known to kill, one in many is."""
        if self.deaths[hazard] < _ENOUGH and not any(all(word in data for word in guard) for guard in self.guards):
            return True
        self._met += 1
        return self._met % _SAMPLE == 0

    def __call__(self, data: bytes, hazard: str = "") -> Remote:
        """Run one input. Raises RuntimeError where an oracle failed on it."""
        if self._left <= 0 or time.monotonic() - self._born > _AGE:
            self.close()
            self._start()
        self._left -= 1
        view = self._view
        # Stored before it runs: whoever of the two dies.
        self._slot.put(data)
        line = self._line
        assert line is not None
        timely = True
        try:
            line.send(b"\0")
            answered = line.recv(1) == b"\0"
        except BlockingIOError:
            timely = answered = False
        except OSError:
            answered = False
        counters = self._counters
        if counters is not None:
            counters.view[:] = view[_HEAD : self._answer]
        if not answered:
            return self._died(data, hazard, timely=timely)
        length = int.from_bytes(view[:_HEAD], "little")
        outcome, error, findings, features = pickle.loads(view[self._answer : self._answer + length])  # noqa: S301 - our own child
        if outcome == "defect":
            raise RuntimeError(error)
        return Remote(outcome, error, [Finding.of(fields, self._target.name) for fields in findings], features)

    def _died(self, data: bytes, hazard: str, *, timely: bool) -> Remote:
        """The child died of the input, or does not answer."""
        call = self._slot.cell[0]
        status = None if not timely else self._reap()
        if status is None:
            os.kill(self._pid, signal.SIGKILL)
            self._reap()
        said = os.pread(self._said, _SAID, max(0, os.fstat(self._said).st_size - _SAID))
        self._forget()
        end = ending(self._target, data, status, said, call)
        finding = end.finding
        name = hazard or finding.aspect
        self.deaths[name] += 1
        if name != hazard and self.deaths[name] <= _GUARDS and not self._guarding:
            self._guarding = True
            words = needles(data, self._target.unit, lambda other: self(other).outcome in DEADLY)
            self._guarding = False
            self.guards += [words] if words else []
        self.report = end.report
        return Remote(end.outcome, end.words, [finding], [(finding.kind, finding.aspect)])

    def _reap(self) -> int | None:
        """The status of the child as :mod:`subprocess` gives it; None where it lives on for seconds without its pipe."""
        for _ in range(500):
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                self._pid = 0
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.01)
        return None

    def _forget(self) -> None:
        """Let go of a child that is no more."""
        if self._line is not None:
            self._line.close()
        self._line = None
        self._left = 0

    def close(self) -> None:
        """End the child, if there is one."""
        if self._pid:
            # It ends with its pipe; what it holds needs no care.
            os.kill(self._pid, signal.SIGKILL)
            self._reap()
        self._forget()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        # The kernel watches the clock: a call less than asking it whether there is an answer.
        whole = int(self._seconds)
        wait = struct.pack("@ll", whole, int(1e6 * (self._seconds - whole)))
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, wait)
        os.ftruncate(self._said, 0)
        worker = os.getpid()
        self._pid = os.fork()
        if not self._pid:
            ours.close()
            self._serve(theirs, worker)
        theirs.close()
        self._line = ours
        self._left = self._batch
        self._born = time.monotonic()
        self.children += 1

    # What follows runs in the child.

    def _serve(self, line: socket.socket, worker: int) -> NoReturn:
        status = 1
        try:
            self._limit(worker)
            while line.recv(1):
                message = pickle.dumps(self._one(), pickle.HIGHEST_PROTOCOL)
                if self._counters is not None:
                    self._view[_HEAD : self._answer] = self._counters.view
                self._view[:_HEAD] = len(message).to_bytes(4, "little")
                self._view[self._answer : self._answer + len(message)] = message
                line.send(b"\0")
            status = 0
        except Exception:
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(status)

    def _limit(self, worker: int) -> None:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != worker:
            os._exit(0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.lseek(self._said, 0, os.SEEK_SET)
        os.dup2(self._said, 1)
        os.dup2(self._said, 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_BYTES, _FILE_BYTES))
        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = int(used.ru_utime + used.ru_stime) + _CPU_S
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        if runtime.sanitized():
            # libFuzzer has its reports written to the worker's log.
            getattr(ctypes.CDLL(None), "__sanitizer_set_report_fd")(ctypes.c_void_p(2))
        else:
            # libFuzzer's handlers would end the process in its own way, and write the input once more.
            for number in _DEADLY:
                signal.signal(number, signal.SIG_DFL)
            limit_memory(self._target.memory_mb)

    def _one(self) -> tuple[str, str, list[tuple[str, ...]], list[Hashable]]:
        """Run and judge the input in the slot."""
        data = self._slot.get()
        if self._counters is not None:
            self._counters.clear()
        try:
            assert self._run is not None
            observation = self._run(data)
            outcome, error, value = observation
            if isinstance(value, MemoryError):
                outcome = "memory"
                call = self._slot.cell[0]
                findings = [ending(self._target, data, -signal.SIGABRT, b"memory allocation of ", call).finding]
            else:
                findings = self._judge(data, observation)
            features = list(self._target.features(observation))
        except Exception as failure:
            return "defect", f"{type(failure).__name__}: {failure}", [], []
        fields: list[tuple[str, ...]]
        fields = [finding.fields() for finding in findings]
        return outcome, error[:2000], fields, features

    def _judge(self, data: bytes, observation: Observation) -> list[Finding]:
        """Everything in full, but of refusals of files a sample, as the session in process does."""
        outcome, error, _ = observation
        if outcome == REJECT and self._target.judged:
            key = error[:40]
            self._refused[key] += 1
            if self._refused[key] > _FIRST and self._refused[key] % _FIRST:
                return []
        assert self._run is not None
        return judge_observation(self._target, self._run, data, observation, relations=False)


def chooser(target: Target, *, everything: bool | None = None) -> Callable[[bytes], str] | None:
    """What says of an input what it may well die of, "" for nothing known; None where no input runs in a child.

    ``everything`` overrides the target: all inputs, or none.
    """
    if everything is False:
        return None
    if everything or target.runs_in_fork_server:
        return target.foresees() or (lambda _: "")
    return target.foresees()
