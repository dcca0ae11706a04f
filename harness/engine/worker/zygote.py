"""A process that forks the children of the fork server, so that each child starts from the same memory.

The zygote is forked from the worker once, before the first input. The worker's memory changes as it fuzzes: with its corpus, and
with the clock, as it writes its status. An input that reads freed memory would end another way in a child of the worker.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from typing import NoReturn

from harness.processes import end_with_parent

# Seconds that a child may take to end.
_PATIENCE = 5.0
_NUMBER = 8
# Stands for a child that lives; no exit status.
_ALIVE = 1 << 16


class Zygote:
    """A process that forks children on request. One child runs at a time. Use from one thread.

    ``serve`` is called in each child with the child's end of a socket, and never returns. Methods raise OSError where the zygote is
    dead: its child is dead, too.
    """

    def __init__(self, serve: Callable[[socket.socket], NoReturn]) -> None:
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        worker = os.getpid()
        self.pid = os.fork()
        if not self.pid:
            self._line.close()
            _answer(theirs, worker, serve)
        theirs.close()

    def fork(self, line: socket.socket) -> int:
        """Fork a child that serves ``line``; its process id."""
        socket.send_fds(self._line, [b"fork"], [line.fileno()])
        return self._number()

    def reap(self) -> int | None:
        """The exit status of the child as in :mod:`subprocess`; None where it still lives after five seconds."""
        self._line.send(b"reap")
        number = self._number()
        return None if number == _ALIVE else number

    def _number(self) -> int:
        answer = self._line.recv(_NUMBER)
        if not answer:
            raise ConnectionError("the process that forks the children is dead")
        return int.from_bytes(answer, "little", signed=True)

    def close(self) -> None:
        """End the zygote. A child that runs ends with it."""
        self._line.close()
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def _answer(line: socket.socket, worker: int, serve: Callable[[socket.socket], NoReturn]) -> NoReturn:
    """In the zygote: answer requests until the worker closes its end or dies."""
    try:
        # A signal to the group of processes is for the worker.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if end_with_parent(worker, signal.SIGKILL):
            _requests(line, serve)
    finally:
        os._exit(0)


def _requests(line: socket.socket, serve: Callable[[socket.socket], NoReturn]) -> None:
    zygote, child = os.getpid(), 0
    while True:
        request, descriptors, *_ = socket.recv_fds(line, 16, 1)
        if request == b"fork":
            theirs = socket.socket(fileno=descriptors[0])
            child = os.fork()
            if not child:
                line.close()
                if end_with_parent(zygote, signal.SIGKILL):
                    serve(theirs)
                os._exit(0)
            theirs.close()
            number = child
        elif request == b"reap":
            number = _reap(child)
        else:
            return
        line.send(number.to_bytes(_NUMBER, "little", signed=True))


def _reap(child: int) -> int:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    return _ALIVE
