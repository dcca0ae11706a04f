"""Runs inputs that may kill their process in a forked child under limits, many inputs to a child.

The child is a copy of the worker with everything loaded, as it was before the first input (:mod:`.zygote`). The worker's slot
holds the input and the number of its call. Both processes share it, and it outlives both. After a run, the parser's native
counters are copied into the worker's own table, where libFuzzer reads them. Findings of the oracles come back as a message. The
death of a child is a finding, with its input, its call and its output; the next input gets a new child. Counters of Python code
stay in the child: the features of :meth:`Target.features` stand for them.

Limits of a child: data size (without a sanitizer), CPU of one run, file size, no core dump. The worker watches the clock.
"""

from __future__ import annotations

import contextlib
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
from collections.abc import Hashable
from pathlib import Path
from typing import NamedTuple, NoReturn

from harness.engine.worker.essential_tokens import DEADLY, essential_tokens
from harness.engine.worker.native import NativeCounters
from harness.engine.worker.slot import Slot
from harness.engine.worker.zygote import Zygote
from harness.findings.finding import Finding
from harness.observation import REJECT, Observation, Run
from harness.oracles import guard
from harness.parsers import runtime
from harness.processes import cpu_seconds_of
from harness.replay.child import limit_memory
from harness.replay.exit_reason import exit_reason
from harness.replay.judge import judge_observation
from harness.targets.base import Target

#: Most inputs and seconds of one child, so that leftovers of runs do not pile up.
BATCH = 2000
AGE = 20.0
_CPU_S = 60
_FILE_BYTES = 64 << 20
_REPLY = 1 << 20
_SAID = 1 << 16
# After so many deaths by one hazard, only a sample of such inputs runs: one in :data:`_SAMPLE`.
_ENOUGH = 8
_SAMPLE = 32
# Deaths of one kind for which guards are made.
_GUARDS = 4
# Of the refusals of one kind, the first so many are judged in full, then one in so many.
_FIRST = 64
_DEADLY = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL)

_HEAD = 4


class Remote(NamedTuple):
    """Result of a run in the child: outcome, the parser's error, findings, and features for libFuzzer."""

    outcome: str
    error: str
    findings: list[Finding]
    features: list[Hashable]


class ForkServer:
    """One target's child. It starts with the first input, and again after a death. Use from one thread.

    ``folder`` holds the output of the children. A child ends after ``batch`` inputs or ``age`` seconds. A run may take
    ``patience`` times the target's timeout.
    """

    def __init__(
        self,
        target: Target,
        counters: NativeCounters | None,
        slot: Slot,
        folder: Path,
        *,
        batch: int = BATCH,
        age: float = AGE,
        patience: float = 1.0,
    ) -> None:
        self._target = target
        self._counters = counters
        self._slot = slot
        # The memory holds the answer's length, the counters, then the answer.
        self._answer = _HEAD + (counters.size if counters else 0)
        self._view = memoryview(mmap.mmap(-1, self._answer + _REPLY))
        self._said = os.open(folder / "fork_server.err", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        self._batch, self._age = batch, age
        # Shorter than libFuzzer's own timeout, which would end the worker.
        self._seconds = 0.8 * target.timeout_s * patience
        self._run: Run | None = None
        self._zygote: Zygote | None = None
        self._pid = 0
        self._line: socket.socket | None = None
        self._left = 0
        self._born = 0.0
        #: Number of started children, and deaths by hazard, or by the aspect of the finding.
        self.children = 0
        self.deaths: Counter[str] = Counter()
        #: An input that holds all tokens of one guard counts as known to kill.
        self.guards: list[list[bytes]] = []
        self._met = 0
        self._guarding = False
        self._most_cpu = resource.getrlimit(resource.RLIMIT_CPU)[1]
        #: The sanitizer's report on the last death.
        self.report = ""
        self._refused: Counter[str] = Counter()

    def open(self, run: Run) -> None:
        """Run inputs with ``run`` from now on."""
        self._run = run

    def prepare(self) -> None:
        """Fork the zygote, if there is none. Call it before the worker's memory depends on the clock."""
        if self._zygote is None:
            self._zygote = Zygote(self._serve)

    def wanted(self, data: bytes, hazard: str) -> bool:
        """Whether to run an input: of inputs known to kill, only a sample."""
        if self.deaths[hazard] < _ENOUGH and not any(all(word in data for word in guard) for guard in self.guards):
            return True
        self._met += 1
        return self._met % _SAMPLE == 0

    def __call__(self, data: bytes, hazard: str = "") -> Remote:
        """Run one input. Raises RuntimeError where an oracle failed on it."""
        if self._left <= 0 or time.monotonic() - self._born > self._age:
            self._end_child()
            self._start()
        self._left -= 1
        view = self._view
        # Stored before the run, so that it outlives both processes.
        self._slot.put_other(data)
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
        """Make a finding of the death of the child, or of its silence."""
        call = self._slot.cell[0]
        status = None if not timely else self._reap()
        if status is None:
            os.kill(self._pid, signal.SIGKILL)
            self._reap()
        said = os.pread(self._said, _SAID, max(0, os.fstat(self._said).st_size - _SAID))
        self._forget()
        end = exit_reason(self._target, data, status, said, call)
        finding = end.finding
        name = hazard or finding.aspect
        self.deaths[name] += 1
        if name != hazard and self.deaths[name] <= _GUARDS and not self._guarding:
            self._guarding = True
            words = essential_tokens(data, self._target.unit, lambda other: self(other).outcome in DEADLY)
            self._guarding = False
            self.guards += [words] if words else []
        self.report = end.report
        return Remote(end.outcome, end.words, [finding], [(finding.kind, finding.aspect)])

    def _reap(self) -> int | None:
        """The exit status of the child as in :mod:`subprocess`; None where it still lives after five seconds."""
        assert self._zygote is not None
        try:
            status = self._zygote.reap()
        except OSError:
            self._lose_zygote()
            raise
        if status is not None:
            self._pid = 0
        return status

    def _forget(self) -> None:
        """Drop the connection to a dead child."""
        if self._line is not None:
            self._line.close()
        self._line = None
        self._left = 0

    def cpu_seconds(self) -> float:
        """CPU seconds of the zygote and its children, to a clock tick."""
        return sum(cpu_seconds_of(pid) for pid in (self._pid, self._zygote.pid)) if self._zygote is not None else 0.0

    def close(self) -> None:
        """End the zygote and its child, if there are any."""
        self._end_child()
        if self._zygote is not None:
            self._zygote.close()
            self._zygote = None

    def _end_child(self) -> None:
        if self._pid:
            # The child holds nothing that needs care. Without its zygote it is gone.
            with contextlib.suppress(OSError):
                os.kill(self._pid, signal.SIGKILL)
                self._reap()
        self._forget()

    def _lose_zygote(self) -> None:
        """Forget a dead zygote and its child. The next input gets new ones."""
        assert self._zygote is not None
        self._zygote.close()
        self._zygote, self._pid = None, 0
        self._forget()

    def _start(self) -> None:
        # The zygote must not have the ends of this line: the worker sees the death of the child by its end.
        self.prepare()
        ours, theirs = socket.socketpair()
        # A timeout of the socket costs one system call less than select().
        whole = int(self._seconds)
        wait = struct.pack("@ll", whole, int(1e6 * (self._seconds - whole)))
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, wait)
        os.ftruncate(self._said, 0)
        assert self._zygote is not None
        self._line = ours
        with theirs:
            try:
                self._pid = self._zygote.fork(theirs)
            except OSError:
                self._lose_zygote()
                raise
        self._left = self._batch
        self._born = time.monotonic()
        self.children += 1

    # The following methods run in the child.

    def _serve(self, line: socket.socket) -> NoReturn:
        status = 1
        try:
            self._limit()
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

    def _limit(self) -> None:
        os.lseek(self._said, 0, os.SEEK_SET)
        os.dup2(self._said, 1)
        os.dup2(self._said, 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_BYTES, _FILE_BYTES))
        if runtime.sanitized():
            # libFuzzer sends the sanitizer's reports to the worker's log; here they go to the child's output.
            getattr(ctypes.CDLL(None), "__sanitizer_set_report_fd")(ctypes.c_void_p(2))
        else:
            # libFuzzer's handlers would write the input again and change the exit status.
            for number in _DEADLY:
                signal.signal(number, signal.SIG_DFL)
            limit_memory(self._target.memory_mb)

    def _one(self) -> tuple[str, str, list[tuple[str, ...]], list[Hashable]]:
        """Run and judge the input in the slot."""
        data = self._slot.get()
        # The limit is for all of the process: earlier inputs of the child must not use it up.
        until = int(time.process_time()) + _CPU_S
        if self._most_cpu != resource.RLIM_INFINITY:
            until = min(until, self._most_cpu)
        resource.setrlimit(resource.RLIMIT_CPU, (until, self._most_cpu))
        if self._counters is not None:
            self._counters.clear()
        try:
            assert self._run is not None
            observation = self._run(data)
            outcome, error, value = observation
            if isinstance(value, MemoryError):
                outcome = "memory"
                call = self._slot.cell[0]
                findings = [exit_reason(self._target, data, -signal.SIGABRT, b"memory allocation of ", call).finding]
            else:
                findings = self._judge(data, observation)
            features = list(self._target.features(observation))
        except Exception as failure:
            return "defect", f"{type(failure).__name__}: {failure}", [], []
        fields: list[tuple[str, ...]]
        fields = [finding.fields() for finding in findings]
        return outcome, error[:2000], fields, features

    def _judge(self, data: bytes, observation: Observation) -> list[Finding]:
        """Judge in full. Of refused files only a sample is judged, as in :class:`Session`."""
        outcome, error, _ = observation
        if outcome == REJECT and self._target.judged:
            key = error[:40]
            self._refused[key] += 1
            if self._refused[key] > _FIRST and self._refused[key] % _FIRST:
                return []
        assert self._run is not None
        memory = guard.chosen(data, self._target.guarded_every)
        return judge_observation(self._target, self._run, data, observation, relations=False, memory=memory)
