"""Memory that is not the program's: read by a call, or part of an answer.

An input runs twice in a forked child, in the two guarded memories of :mod:`harness.programs.guarded`. Where the child dies,
a call read or wrote beyond a buffer. Where an answer or a file follows the fill, it holds bytes of other memory. Both are
confirmed before they are reported:

- after a death, a fresh child survives the input in plain memory, and dies again in the guarded one;
- of an answer, runs with one fill are equal, and runs with different fills differ, in ten runs of irregular order. Hash maps
  change their order with each map, and could seem to follow two fills in turn.

Campaigns ask about a share of the inputs (:attr:`harness.targets.base.Target.guarded_every`), chosen by the input alone.
Replays ask about each.
"""

from __future__ import annotations

import gc
import mmap
import os
import pickle
import re
import resource
import signal
import socket
import struct
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy

from harness.findings.finding import Finding
from harness.findings.rule import Case, Rule
from harness.findings.severity import DENIAL, MEMORY_SAFETY
from harness.observation import Event, Observation, Reading, Readings, Run, Trace, Written
from harness.oracles.oracle import Execution, Reader, oracle
from harness.processes import end_with_parent, signal_name
from harness.programs import guarded, progress

_SENTENCE = "the caller is required to ensure any pointer passed via `TensorSpec.data_ptr` is valid"
_SHOULD = "a call reads the bytes that it was given, and no others"
OUTSIDE = Rule(
    "guard.outside",
    "guard",
    "crash",
    MEMORY_SAFETY,
    title="A call reads beyond the memory that it was given",
    why="The process dies at a page beside the caller's buffer. Elsewhere that page holds other data, which the call then reads or changes.",
    sentence=_SENTENCE,
    should=_SHOULD,
    cases=(Case("SIGABRT*", DENIAL), Case("SIGFPE*", DENIAL)),
)
FOREIGN = Rule(
    "guard.foreign",
    "guard",
    "differential",
    MEMORY_SAFETY,
    title="An answer or a file holds bytes of other memory",
    why="The bytes change with what lies in free memory and around the buffers. They may be secrets of the process, and they reach a file or a caller.",
    sentence=_SENTENCE,
    should="an answer or a file depends on what the call was given, and on nothing else",
)

#: Inputs of one child.
BATCH = 500
# The memories of the runs that confirm a difference of the first two: the sequence of Thue and Morse has no period.
_AGAIN = (2, 1, 1, 2, 1, 2, 2, 1)
_DEADLY = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL)
_LENGTH = struct.Struct("<IB")
_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}")
_WORDS = 200


class Difference(NamedTuple):
    """The first answer that follows the fill: its call, both answers in words, and both files where it is one."""

    call: str
    words: str
    files: tuple[bytes, bytes] | None


class Death(NamedTuple):
    """How a child ended: the signal, the number of its run, and the number of its call (0: none is known)."""

    signal: str
    run: int
    call: int


@oracle(OUTSIDE, FOREIGN)
def check(execution: Execution) -> list[Finding]:
    """The runs of an input in guarded memory. Nothing where this machine has none, and for a run that cannot be repeated."""
    run, target = execution.run, execution.target
    if run is None or target is None or guarded.why_not():
        return []
    return _judge(run, execution.data, target)


def chosen(data: bytes, every: int) -> bool:
    """Whether a campaign asks this oracle about the input: about one in ``every``, by its checksum. 0: about none."""
    return every > 0 and zlib.crc32(data) % every == 0


def _judge(run: Run, data: bytes, target: Reader) -> list[Finding]:
    global _child
    if _child is None or not _child.serves(run):
        _child = _Child(run, 2 * target.timeout_s)
    answer = _child.ask(data, control=False)
    if isinstance(answer, Death):
        answer = _child.ask(data, control=True)
    if isinstance(answer, Death):
        # The first run of the control is in plain memory.
        return [_outside(answer, data, target)] if answer.run else []
    return [] if answer is None else [_foreign(answer, data, target)]


def _outside(death: Death, data: bytes, target: Reader) -> Finding:
    names = target.call_names(data)
    call = names[death.call - 1] if 0 < death.call <= len(names) else ""
    edge = guarded.RUNS[death.run - 1].edge
    state = target.memory_state(data, call, None)
    where = edge if death.signal in ("SIGSEGV", "SIGBUS") else f"{death.signal} {edge}"
    return Finding(
        OUTSIDE,
        f"{where}/{state}" if state else where,
        f"{call or 'the call'} dies of {death.signal} {edge} of a buffer",
    )


def _foreign(difference: Difference, data: bytes, target: Reader) -> Finding:
    state = target.memory_state(data, difference.call, difference.files)
    return Finding(
        FOREIGN, state or "answer", f"{difference.call} depends on the content of free memory: {difference.words}"
    )


# The child.


class _Child:
    """A forked process that runs inputs in guarded memory. It starts with the first, and again after a death."""

    def __init__(self, run: Run, seconds: float) -> None:
        self._run = run
        self._seconds = seconds
        self._owner = os.getpid()
        self._pid = 0
        self._line: socket.socket | None = None
        self._left = 0
        # The number of the run that the child is at.
        self._stage = mmap.mmap(-1, 1)

    def serves(self, run: Run) -> bool:
        """Whether it belongs to this process and runs this function."""
        return self._run == run and self._owner == os.getpid()

    def ask(self, data: bytes, *, control: bool) -> Difference | Death | None:
        """Run one input; with ``control`` in plain memory first. None: no difference, or no answer in time."""
        for _ in range(2):
            if self._left <= 0:
                self.close()
                self._start()
            self._left -= 1
            self._stage[0] = 0
            progress.cell()[0] = 0
            answer = self._exchange(data, control)
            if answer is not None:
                return None if answer == b"" else _unpacked(answer)
            ended = self._end()
            if ended is None:
                return None
            if ended in _DEADLY:
                return Death(signal_name(ended), self._stage[0], progress.cell()[0])
        return None

    def _exchange(self, data: bytes, control: bool) -> bytes | None:
        """The answer of the child; None where it died or is late."""
        line = self._line
        assert line is not None
        try:
            line.sendall(_LENGTH.pack(len(data), control) + data)
            head = _exactly(line, 4)
            return None if head is None else _exactly(line, int.from_bytes(head, "little"))
        except OSError:
            return None

    def _end(self) -> int | None:
        """The signal that ended the child, 0 where it was none; None after it was ended for its silence."""
        pid, self._pid, self._left = self._pid, 0, 0
        if self._line is not None:
            self._line.close()
        done, status = os.waitpid(pid, os.WNOHANG)
        for _ in range(50):
            if done:
                break
            time.sleep(0.01)
            done, status = os.waitpid(pid, os.WNOHANG)
        if not done:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return None
        return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0

    def close(self) -> None:
        """End the child, if there is one."""
        if self._pid and self._owner == os.getpid():
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        if self._line is not None:
            self._line.close()
        self._pid, self._line, self._left = 0, None, 0

    def __del__(self) -> None:
        if mmap is not None and os is not None:
            self.close()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(self._seconds)
        parent = os.getpid()
        self._pid = os.fork()
        if not self._pid:
            ours.close()
            self._serve(theirs, parent)
        theirs.close()
        self._line, self._left = ours, BATCH

    # The following methods run in the child.

    def _serve(self, line: socket.socket, parent: int) -> NoReturn:
        try:
            _settle(parent)
            while (head := _exactly(line, _LENGTH.size)) is not None:
                length, control = _LENGTH.unpack(head)
                data = _exactly(line, length)
                if data is None:
                    break
                answer = self._answer(data, control=bool(control))
                line.sendall(len(answer).to_bytes(4, "little") + answer)
        finally:
            os._exit(0)

    def _answer(self, data: bytes, *, control: bool) -> bytes:
        try:
            found = self._compare(data, control=control)
        except Exception:
            return pickle.dumps(traceback.format_exc())
        return b"" if found is None else pickle.dumps(tuple(found))

    def _compare(self, data: bytes, *, control: bool) -> Difference | None:
        if control:
            self._run(data)
        one, other = (self._answers(data, number) for number in (1, 2))
        if (found := _first(one, other)) is None:
            return None
        for number in _AGAIN:
            same, different = (one, other) if number == 1 else (other, one)
            again = self._answers(data, number)
            if _first(same, again) is not None or _first(different, again) is None:
                return None
        return found

    def _answers(self, data: bytes, number: int) -> list[tuple[str, Any]]:
        self._stage[0] = number
        guarded.use(guarded.RUNS[number - 1])
        try:
            return answers(self._run(data))
        finally:
            guarded.use(None)
            self._stage[0] = 0


_child: _Child | None = None


def _settle(parent: int) -> None:
    """Let a death be one: without handlers, core dumps, reports, or a life after the parent."""
    if not end_with_parent(parent, signal.SIGKILL):
        os._exit(0)
    for number in _DEADLY:
        signal.signal(number, signal.SIG_DFL)
    # A signal to the group of processes is for the parent.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    gc.freeze()


def _exactly(line: socket.socket, size: int) -> bytes | None:
    """So many bytes; None where the line ends before."""
    data = b""
    while len(data) < size:
        more = line.recv(size - len(data))
        if not more:
            return None
        data += more
    return data


def _unpacked(answer: bytes) -> Difference:
    found = pickle.loads(answer)  # noqa: S301 - our own child
    if isinstance(found, tuple):
        return Difference(*found)
    raise RuntimeError(f"the run in guarded memory failed:\n{found}")


# Answers.


def answers(observation: Observation) -> list[tuple[str, Any]]:
    """The answer of each call: its name, and plain values that can be compared."""
    outcome, _, value = observation
    if isinstance(value, Trace):
        return [_of_event(event) for event in value.events]
    if isinstance(value, Readings):
        return [_of_event(event) for event in value.events]
    return [("", (outcome, plain(value)))]


def _of_event(event: Event) -> tuple[str, Any]:
    return event.call, (event.outcome, plain(event.value))


def plain(value: Any) -> Any:
    """A value with its bytes copied: containers of bytes, text and numbers. Of other objects the type alone is left."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return _ADDRESS.sub("0x", value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, (numpy.ndarray, numpy.generic)):
        return str(value.dtype), value.shape, b"" if value.dtype.hasobject else value.tobytes()
    if isinstance(value, BaseException):
        return type(value).__name__
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Reading):
        return plain(value.tensors), plain(value.offset_keys), plain(value.partial)
    if isinstance(value, Written):
        return value.data, plain(value.again)
    if isinstance(value, Mapping):
        return tuple(sorted(((repr(key), plain(one)) for key, one in value.items()), key=lambda pair: pair[0]))
    if isinstance(value, (set, frozenset)):
        return tuple(sorted(map(repr, value)))
    if isinstance(value, Sequence):
        row = map(plain, value)
        return tuple(sorted(row, key=_name) if value and all(map(_name, value)) else row)
    return type(value).__name__


def _name(value: Any) -> str:
    """The name where a value is one, or a pair of a name and more; else "". Empty tensors may stand in any order."""
    first = value[0] if isinstance(value, tuple) and value else value
    return f"name {first}" if isinstance(first, str) else ""


def _first(one: Iterable[tuple[str, Any]], other: Iterable[tuple[str, Any]]) -> Difference | None:
    """The first call with two answers. Answers count as equal that have the same bytes in another order."""
    one, other = list(one), list(other)
    for (call, first), (another, second) in zip(one, other, strict=False):
        if (call, first) == (another, second):
            continue
        files = None
        if first[0] == second[0] and isinstance(first[1], bytes) and isinstance(second[1], bytes):
            files = first[1], second[1]
        if _alike(first, second):
            continue
        return Difference(call, f"{first!r:.{_WORDS}} and {second!r:.{_WORDS}}", files)
    if len(one) != len(other):
        return Difference("", f"{len(one)} calls and {len(other)} calls", None)
    return None


def _alike(first: Any, second: Any) -> bool:
    """Whether two values are equal, but for the order of bytes. The library writes metadata in an order of chance.

    A byte that follows the fill is in one answer and not in the other, wherever it stands.
    """
    if isinstance(first, bytes) and isinstance(second, bytes):
        return len(first) == len(second) and (first == second or Counter(first) == Counter(second))
    if isinstance(first, tuple) and isinstance(second, tuple):
        return len(first) == len(second) and all(map(_alike, first, second))
    return bool(first == second)
