"""Processes: the tie of a child to its parent, start times, CPU time, names of signals, a closed terminal."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

_PR_SET_PDEATHSIG = 1
# personality(2): addresses are not random; and the question for the present value.
_FIXED, _ASK = 0x0040000, 0xFFFFFFFF


def end_with_parent(parent: int, sign: int) -> bool:
    """Ask the kernel to send ``sign`` to this process when ``parent`` dies in any way (prctl(2)). False: it is dead already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, sign)
    return os.getppid() == parent


@contextlib.contextmanager
def fixed_addresses() -> Iterator[None]:
    """Processes that this thread starts meanwhile get the same addresses each time, where the kernel allows it (personality(2))."""
    personality = ctypes.CDLL(None).personality
    before = personality(ctypes.c_ulong(_ASK))
    if before != -1:
        personality(ctypes.c_ulong(before | _FIXED))
    try:
        yield
    finally:
        if before != -1:
            personality(ctypes.c_ulong(before))


def _stat(pid: int) -> list[str]:
    """The fields of proc_pid_stat(5) from the third on; empty where the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return []


def started(pid: int) -> int:
    """Start time of a process in clock ticks since boot; 0 where it does not run (a zombie does not)."""
    fields = _stat(pid)
    return 0 if not fields or fields[0] in "ZX" else int(fields[19])


def _ticks(fields: list[str]) -> int:
    """CPU time of a process and of its children that have ended."""
    return sum(map(int, fields[11:15]))


def cpu_seconds_of(pid: int) -> float:
    """CPU seconds of a process and of its children that have ended, to a clock tick; 0 where it is gone."""
    return _ticks(_stat(pid)) / os.sysconf("SC_CLK_TCK")


def family_cpu_seconds(root: int) -> float:
    """CPU seconds of a process and all its descendants, in any session, and of their children that have ended, to a clock tick.

    Those of a process whose parent did not wait for it are lost with it.
    """
    parents: dict[int, list[int]] = {}
    ticks: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*"):
        pid = int(path.name)
        if fields := _stat(pid):
            parents.setdefault(int(fields[1]), []).append(pid)
            ticks[pid] = _ticks(fields)
    family = [root]
    for pid in family:
        family += parents.get(pid, ())
    return sum(ticks.get(pid, 0) for pid in family) / os.sysconf("SC_CLK_TCK")


def signal_name(number: int) -> str:
    """The name of a signal, such as ``SIGSEGV``; ``signal 39`` for one without a name, as real-time signals are."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def leave_terminal() -> None:
    """Print no more on a terminal that was closed: each write to it would fail."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        with contextlib.suppress(OSError):
            if stat.S_ISCHR(os.fstat(number).st_mode):
                os.dup2(nowhere, number)
    os.close(nowhere)
