"""Resources of this process."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

from harness.processes import started


def resident_mb() -> int:
    """Resident memory in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 2**20


def cpu_seconds(*, children: bool = True) -> float:
    """CPU seconds of this process and, with ``children``, of its children that have ended."""
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN) if children else (resource.RUSAGE_SELF,)
    spent = [resource.getrusage(who) for who in whose]
    return round(sum(one.ru_utime + one.ru_stime for one in spent), 3)


def process_start() -> float:
    """Start of this process in seconds since the epoch, before the interpreter's own start-up."""
    ticks = started(os.getpid())
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return time.time() - uptime + ticks / os.sysconf("SC_CLK_TCK")


def median(sizes: dict[int, int]) -> int:
    """The median of ``sizes``, which maps each value to its count; 0 where it is empty."""
    half, passed = sum(sizes.values()) / 2, 0
    for size in sorted(sizes):
        passed += sizes[size]
        if passed >= half:
            return size
    return 0
