"""Processes: the tie of a child to its parent, start times, CPU time, names of signals, a closed terminal."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import stat
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def end_with_parent(parent: int, sign: int) -> bool:
    """Ask the kernel to send ``sign`` to this process when ``parent`` dies in any way (prctl(2)). False: it is dead already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, sign)
    return os.getppid() == parent


def started(pid: int) -> int:
    """Start time of a process in clock ticks since boot; 0 where it does not run (a zombie does not)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return 0
    return 0 if fields[0] in "ZX" else int(fields[19])


def family_cpu_seconds(root: int) -> float:
    """CPU seconds of a process and all its descendants, in any session, and of their children that have ended, to a clock tick.

    Those of a process whose parent did not wait for it are lost with it.
    """
    parents: dict[int, list[int]] = {}
    ticks: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except (OSError, IndexError):
            continue
        pid = int(path.parent.name)
        parents.setdefault(int(fields[1]), []).append(pid)
        ticks[pid] = sum(map(int, fields[11:15]))
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
