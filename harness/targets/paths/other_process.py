"""The other process of target ``paths``, as its worker sees it: started when first needed, asked for one job at a time."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.errors import EngineError
from harness.targets.paths import tracer

_PR_SET_PTRACER = 0x59616D61


class OtherProcess:
    """A tracer of this process (:mod:`harness.targets.paths.tracer`). It ends when this object or this process does.

    A forked child needs one of its own (:func:`ours`). Raises OSError where it cannot be started.
    """

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair()
        command = [sys.executable, "-I", "-S", str(Path(tracer.__file__)), str(theirs.fileno())]
        try:
            self._process = subprocess.Popen(
                command, pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env={}
            )
        except OSError:
            self._line.close()
            raise
        finally:
            theirs.close()
        # Where Yama restricts ptrace to descendants, a process names its tracer itself.
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(self._process.pid), 0, 0, 0)
        self._answers = self._line.makefile("r", encoding="ascii")

    def close(self) -> None:
        """End it."""
        self._answers.close()
        self._line.close()
        self._process.wait()

    def forget(self) -> None:
        """Drop the copies of its descriptors in a forked child."""
        self._answers.close()
        self._line.close()
        self._process.returncode = 0  # it is no child of this process, and nothing here waits for it

    def during(self, job: dict[str, Any], call: Callable[[], Any]) -> dict[str, Any]:
        """Make a call while the other process does a job. Returns its report.

        ``job`` has ``root``, the folder whose files count, and ``pipe``, the pipe that the call may wait for, or "". To act, it has
        ``point`` and ``act``. To fail, it has ``point``, the ``fault`` (0: fewer bytes) and ``only``, the names of calls that may fail so.
        With ``trace`` False it does without ptrace and sees waits alone.

        The report has the names of the file system ``calls``, whether it ``acted``, and how often the thread ``waited``; or
        ``refused``, where the call was not made. Raises EngineError where the other process is gone.
        """
        whole = {"tid": threading.get_native_id(), "point": -1, "act": [], "trace": True, **job}
        self._line.sendall(json.dumps(whole).encode() + b"\n")
        ready = self._answer()
        if "refused" in ready:
            if not whole["pipe"] or whole["point"] >= 0:
                return ready
            # It watches the pipe all the same.
            call()
            self._line.sendall(b"\n")
            return self._answer()
        _mark(tracer.BEGIN)
        try:
            call()
        finally:
            _mark(tracer.END)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        text = self._answers.readline()
        if not text:
            raise EngineError("the tracer of target paths ended", hint="harness doctor says what can be traced here")
        found: dict[str, Any] = json.loads(text)
        return found


def _mark(number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.getpgid(number)


_ours: tuple[int, OtherProcess] | None = None


def ours() -> OtherProcess:
    """The tracer of this very process; started when there is none. Raises OSError where it cannot be started."""
    global _ours
    if _ours is None or _ours[0] != os.getpid():
        if _ours is not None:
            _ours[1].forget()
        else:
            atexit.register(_close)
        _ours = os.getpid(), OtherProcess()
    return _ours[1]


def _close() -> None:
    """End the tracer of this process, when the interpreter ends."""
    if _ours is not None and _ours[0] == os.getpid():
        _ours[1].close()


def refusal() -> str:
    """Why calls cannot be stopped here, or ""."""
    try:
        other = OtherProcess()
    except OSError as error:
        return str(error)
    try:
        answer = other.during({"root": "/", "pipe": ""}, lambda: None)
    except (EngineError, OSError) as error:
        return str(error)
    finally:
        other.close()
    return str(answer.get("refused", ""))
