"""Children that start from the same memory, and what is told of their ends."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from typing import NoReturn

import pytest

from harness.engine.worker import zygote as module
from harness.engine.worker.zygote import Zygote
from tests.waiting import ended, wait_until

WORDS = ["before"]
Start = Callable[[], Zygote]


def serve(line: socket.socket) -> NoReturn:
    """Answer with the words of this process; end as the request says."""
    line.send(" ".join(WORDS).encode())
    request = line.recv(16)
    if request == b"usr1":
        os.kill(os.getpid(), signal.SIGUSR1)
    time.sleep(60 if request == b"stay" else 0)
    os._exit(7)


@pytest.fixture
def zygote() -> Iterator[Zygote]:
    made = Zygote(serve)
    yield made
    made.close()


def child(zygote: Zygote) -> tuple[int, socket.socket]:
    ours, theirs = socket.socketpair()
    try:
        return zygote.fork(theirs), ours
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()


def test_each_child_has_the_memory_of_the_start(zygote: Zygote, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "WORDS", ["after"])
    for _ in range(2):
        _, line = child(zygote)
        with line:
            assert line.recv(16) == b"before"
            line.send(b"end")
            assert zygote.reap() == 7


def test_the_exit_status_names_the_signal(zygote: Zygote) -> None:
    _, line = child(zygote)
    with line:
        line.send(b"usr1")
        assert zygote.reap() == -signal.SIGUSR1


def test_a_child_that_lives_has_no_exit_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.1)
    zygote = Zygote(serve)
    pid, line = child(zygote)
    with line:
        line.send(b"stay")
        assert zygote.reap() is None
        os.kill(pid, signal.SIGKILL)
        assert zygote.reap() == -signal.SIGKILL
    zygote.close()


def test_a_dead_zygote_is_an_error_and_takes_its_child_with_it(zygote: Zygote) -> None:
    pid, line = child(zygote)
    with line:
        assert line.recv(16) == b"before"
        os.kill(zygote.pid, signal.SIGKILL)
        with pytest.raises(OSError):
            zygote.reap()
        wait_until(lambda: ended(pid), what="the child ends with the zygote")
        with pytest.raises(OSError):
            child(zygote)
