"""Waiting for something that another process or thread does."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

#: Seconds that a busy machine may take for anything: a test that waits as long has failed, whatever the load.
LONG = 300.0
_PAUSE_S = 0.02


def wait_until(
    condition: Callable[[], T], *, timeout: float = LONG, what: str, pause: Callable[[float], object] = time.sleep
) -> T:
    """The first true answer of ``condition``, which is asked again and again; its exceptions pass.

    ``timeout`` is in seconds of clock time. ``what`` says in words what is waited for. ``pause`` lets the given seconds pass.
    Raises AssertionError when the time is over.
    """
    deadline = time.monotonic() + timeout
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"waited {timeout:.0f} s in vain: {what}"
        pause(_PAUSE_S)
    return answer


def ended(pid: int | str) -> bool:
    """Whether a process is no more; one that nobody has waited for counts as ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] in ("Z", "X")


def children(pid: int, word: str = "") -> list[int]:
    """The processes that the main thread of a process has started, those with ``word`` in their command line."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found if word in _command(child)]


def _command(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
