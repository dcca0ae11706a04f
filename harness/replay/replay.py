"""Runs inputs again, each judged in full, in a child process that may die of them.

``Replayer`` keeps one child for many inputs and starts another when it dies; ``once`` uses a fresh one, for what must
not depend on earlier runs.
"""

from __future__ import annotations

import base64
import contextlib
import mmap
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import harness
from harness.errors import EngineError, HarnessError, StartError
from harness.findings.finding import Finding, Record
from harness.parsers import runtime
from harness.parsers.registry import Parser
from harness.programs import guarded
from harness.replay import wire
from harness.replay.exit_reason import ExitReason, exit_reason, panic_place
from harness.targets import scratch
from harness.targets.base import Target
from harness.targets.registry import get_target


@dataclass(frozen=True, slots=True)
class Judged(Record):
    """A finding of a replay. ``variant`` is the other input that a metamorphic finding is about, else b""."""

    finding: Finding
    variant: bytes = b""


@dataclass(frozen=True, slots=True)
class Replay:
    """The result of one run.

    ``outcome`` is one of accept, reject, raise, panic, crash, hang, memory. ``error`` is the parser's message, or how the
    process ended. ``place`` is ``file:line`` of a panic or of the sanitizer's report, as far as the build knows it.
    ``report`` is the sanitizer's, with symbols where llvm-symbolizer was found.
    """

    outcome: str
    error: str
    findings: tuple[Judged, ...] = ()
    place: str = ""
    report: str = ""

    @property
    def signatures(self) -> tuple[str, ...]:
        """The signatures of all findings, in the oracles' order."""
        return tuple(judged.signature for judged in self.findings)


# A replay's timeout in timeouts of a run in a worker.
_PATIENCE = 4
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_counting = threading.Lock()
_spent: list[float] = []


def cpu_seconds() -> float:
    """CPU time of the replay processes that have ended since this process began, in seconds."""
    with _counting:
        _spent[:] = [sum(_spent)]
        return _spent[0]


def _cpu_seconds(pid: int) -> float:
    """The same of a child that has not been waited for, with that of its own children, to a tick of the clock."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return sum(map(int, fields[11:15])) / _TICKS_PER_S
    except (OSError, IndexError):
        return 0.0


def _python_path() -> str:
    """Where the child finds this very harness, and whatever the parent was given besides."""
    own = str(Path(harness.__file__).parents[1])
    return os.pathsep.join(filter(None, (own, os.environ.get("PYTHONPATH"))))


class Replayer:
    """A child process with one parser (None for a target that needs none) and one target. Use as a context manager.

    ``memory_mb`` (default: the target's own) is what a run may allocate beyond the loaded parser. Without ``relations``
    the metamorphic oracle, which costs about thirty further runs of each accepted input, is not asked, nor is the one for
    leaks, which costs fifty of each. With ``forks`` every input runs in a fork of the child: a death then costs
    milliseconds, where a new child costs a second.
    """

    def __init__(
        self,
        parser: Parser | None,
        target: str,
        *,
        memory_mb: int | None = None,
        relations: bool = True,
        forks: bool = False,
    ) -> None:
        self.parser = parser
        self.target = get_target(target)
        if reason := self.target.missing():
            raise HarnessError(f"target {target} cannot run: {reason}", hint=self.target.install())
        self.relations = relations
        self.forks = forks
        self.memory_mb = memory_mb or self.target.memory_mb
        self._child: subprocess.Popen[bytes] | None = None
        self._stderr: IO[bytes] | None = None
        self._cell: mmap.mmap | None = None
        self._scratch: str | None = None
        self._seen = 0
        self._cpu_seconds = 0.0
        self._killed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is not None:
            self._look(child)
            with _counting:
                _spent.append(self._cpu_seconds)
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
        if self._stderr is not None:
            self._stderr.close()
            self._stderr = None
        if self._scratch is not None:
            scratch.remove(self._scratch)
            self._scratch = None

    def kill(self) -> None:
        """End the child from another thread, for good. A thread that waits for a run gets the result of a dead child at once."""
        self._killed = True
        child = self._child
        if child is not None:
            child.kill()

    def _look(self, child: subprocess.Popen[bytes]) -> None:
        """At what it has spent: that cannot be seen any more once it has been waited for."""
        if child.returncode is None:
            self._cpu_seconds = _cpu_seconds(child.pid)

    def _start(self) -> subprocess.Popen[bytes]:
        self.close()
        self._cpu_seconds = 0.0
        self._stderr = tempfile.TemporaryFile(prefix="harness-replay-")  # noqa: SIM115 - lives as long as the child
        self._seen = 0
        environment = {**os.environ, "RUST_BACKTRACE": "0", "PYTHONPATH": _python_path()}
        # One thread each: idle pools of a numerical library would count against the memory limit.
        environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        # Blocks in a thread's cache of freed ones count as given out: the cache would look like a leak while it fills.
        environment |= guarded.environment()
        if self.parser is not None:
            environment |= runtime.environment(self.parser)
        self._scratch = environment[scratch.VARIABLE] = scratch.make()
        # The child counts the calls of a program here, where it can be read after its death.
        shared = os.memfd_create("replay-cell")
        os.ftruncate(shared, 1)
        self._cell = mmap.mmap(shared, 1)
        name = self.parser.name if self.parser else ""
        arguments = [
            name,
            self.target.name,
            str(self.memory_mb),
            str(int(self.relations)),
            str(int(self.forks)),
            str(shared),
        ]
        command = [sys.executable, "-P", "-m", "harness.replay.child", *arguments]
        self._child = child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=environment,
            bufsize=0,
            pass_fds=(shared,),
        )
        os.close(shared)
        if self._killed:
            child.kill()
        if self._reply(child, self.target.start_s) is None:
            said = self._said().decode(errors="replace").strip()
            self.close()
            raise StartError(f"the replay process for {name or self.target.name} did not start: {said[-2000:]}",
                             hint="harness doctor checks the installation; harness build makes the parser again")  # fmt: skip
        return child

    def _reply(self, child: subprocess.Popen[bytes], seconds: float) -> dict[str, Any] | None:
        """The child's next frame; None when it died or took too long."""
        assert child.stdout is not None
        descriptor = child.stdout.fileno()
        deadline = time.monotonic() + seconds
        # Not select(): it takes no descriptor past 1023, and the caller may hold many.
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            if waiting.poll(left * 1000):
                return wire.receive(descriptor)

    def _said(self) -> bytes:
        """The output of the child since the last call."""
        if self._stderr is None:
            return b""
        end = os.fstat(self._stderr.fileno()).st_size
        text = os.pread(self._stderr.fileno(), min(end - self._seen, 1 << 16), max(self._seen, end - (1 << 16)))
        self._seen = end
        return text

    def run(self, data: bytes, timeout_s: float | None = None) -> Replay:
        """Run ``data`` once, for at most ``timeout_s`` seconds (default: the target's own).

        Raises StartError when the child cannot load the parser, and EngineError when an oracle of ours fails on the input.
        """
        if timeout_s is None:
            timeout_s = self.target.timeout_s
        child = self._child
        if child is None or child.poll() is not None:
            child = self._start()
        assert child.stdin is not None
        try:
            wire.write_all(child.stdin.fileno(), wire.REQUEST.pack(len(data), timeout_s) + data)
            reply = self._reply(child, timeout_s)
        except BrokenPipeError:
            reply = None
        said = self._said()
        if reply is None:
            return self._ended(child, data, said)
        if "died" in reply:
            return self._dead(exit_reason(self.target, data, reply["died"], said, self._call()))
        place = panic_place(said)
        if "defect" in reply:
            raise EngineError(
                f"the harness itself failed on this input, not the parser:\n{reply['defect'].rstrip()}",
                hint="please report it with the input",
            )
        judged = tuple(
            Judged(Finding.of(fields, self.target.name), base64.b64decode(variant))
            for fields, variant in zip(reply["findings"], reply["variants"], strict=True)
        )
        return Replay(reply["outcome"], reply["error"], judged, place)

    def _call(self) -> int:
        """The number of the call that the program was at."""
        return self._cell[0] if self._cell is not None else 0

    def _ended(self, child: subprocess.Popen[bytes], data: bytes, said: bytes) -> Replay:
        """The child died or hangs."""
        call = self._call()
        status: int | None
        self._look(child)
        try:
            # A closed pipe comes a moment before the exit status; a sanitizer's report takes its time before that.
            status = child.wait(0.5)
            said += self._said()
        except subprocess.TimeoutExpired:
            status = None
        self.close()
        return self._dead(exit_reason(self.target, data, status, said, call))

    def _dead(self, end: ExitReason) -> Replay:
        return Replay(end.outcome, end.words, (Judged(end.finding),), end.place, end.report)


def patience(target: Target, kind: str = "") -> float:
    """Seconds for a replay on ``target``: a slow machine must not turn a slow input into a hang.

    A finding whose ``kind`` is about time gets the seconds of a run in a worker.
    """
    return target.timeout_s * (1 if kind in ("hang", "time") else _PATIENCE)


def once(
    parser: Parser | None,
    target: str,
    data: bytes,
    timeout_s: float | None = None,
    *,
    live: Callable[[Replayer], AbstractContextManager[object]] = contextlib.nullcontext,
) -> Replay:
    """One run in a process of its own, and every oracle's word on it.

    The many runs of the costly oracles may end another implementation that the target drives. The result is then that of a
    single run, without these oracles. ``live`` is entered for as long as each process may run. Its argument is the Replayer,
    which another thread can use to kill that process.
    """
    with Replayer(parser, target) as replayer, live(replayer):
        result = replayer.run(data, timeout_s)
        if not any(
            replayer.target.about_another(judged.signature)
            for judged in result.findings
            if judged.finding.oracle == "isolation"
        ):
            return result
    with Replayer(parser, target, relations=False) as replayer, live(replayer):
        return replayer.run(data, timeout_s)
