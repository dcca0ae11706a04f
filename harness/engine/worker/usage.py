"""What this process has used, from /proc; and how it ends with its parent."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def resident_mb() -> int:
    """Resident memory in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 2**20


def started(pid: int) -> int:
    """When a process was started, in clock ticks since the machine was; 0 where there is none (or but its remains)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return 0
    return 0 if fields[0] in "ZX" else int(fields[19])


def cpu_seconds(*, children: bool = True) -> float:
    """CPU time of this process and, unless told not to, of its children that have ended."""
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN) if children else (resource.RUSAGE_SELF,)
    spent = [resource.getrusage(who) for who in whose]
    return round(sum(one.ru_utime + one.ru_stime for one in spent), 3)


def process_start() -> float:
    """When this process was started, in seconds since the epoch: interpreter start and imports count as start-up."""
    ticks = started(os.getpid())
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return time.time() - uptime + ticks / os.sysconf("SC_CLK_TCK")


def end_with_parent(supervisor: int) -> None:
    """Ask the kernel to send SIGTERM when the process ``supervisor`` dies, however it dies (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != supervisor:  # it was dead before we asked
        sys.exit(0)


def median(sizes: dict[int, int]) -> int:
    """The median of ``sizes``, a count by value; 0 of nothing."""
    half, passed = sum(sizes.values()) / 2, 0
    for size in sorted(sizes):
        passed += sizes[size]
        if passed >= half:
            return size
    return 0
