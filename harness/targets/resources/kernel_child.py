"""The measured process of the kernel's counts: ``python -P kernel_child.py copies|space|standstill SITE PARSER JOBS RESULTS``.

PARSER is the name of an instrumented build, or "" for the plain library in SITE. JOBS is a JSON list of calls. After each call
the process appends a line of JSON to RESULTS. So a missing line reveals a call that killed the process.

- ``copies`` and ``space``: bytes of resident memory and of address space at the peak of the call, over those before it.
- ``standstill``: shares of the call in which another Python thread stood still. The clock is the CPU time of the calling
  thread. It stops when the machine runs other processes, so their load is no standstill.
"""

from __future__ import annotations

import ctypes
import gc
import itertools
import mmap
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_STATUS = Path("/proc/self/status")
#: The most repetitions of a call, the share that ends them, and the CPU seconds of a call that has shares at all.
TRIES = 9
ENOUGH = 0.5
SHORTEST_S = 0.004
#: Seconds between two ticks of the other thread.
_TICK_S = 0.0002


def _bytes(field: str, status: str) -> int:
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith(f"{field}:"))


def peaks(call: Callable[[], Any]) -> dict[str, Any]:
    """Bytes of resident memory and of address space that a call takes at its peak."""
    # Blocks that an earlier call freed must not hide those of this one.
    getattr(ctypes.CDLL(None), "malloc_trim", int)(0)
    status = _STATUS.read_text()
    # The kernel resets the peak of resident memory alone. A mapping without pages lifts the size to its old peak.
    spare = _bytes("VmPeak", status) - _bytes("VmSize", status)
    filler = mmap.mmap(-1, spare, prot=0, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) if spare else None
    Path("/proc/self/clear_refs").write_text("5")
    before = _STATUS.read_text()
    end, result = _made(call)
    after = _STATUS.read_text()
    del result
    if filler is not None:
        filler.close()
    touched = max(_bytes("VmHWM", after) - _bytes("VmRSS", before), 0)
    mapped = max(_bytes("VmPeak", after) - max(_bytes("VmSize", before), _bytes("VmPeak", before)), 0)
    return {"end": end, "touched": touched, "mapped": mapped}


def shares(call: Callable[[], Any]) -> dict[str, Any]:
    """The longest standstills of another thread, as shares of the calls, until one is small."""
    clock = time.pthread_getcpuclockid(threading.get_ident())
    found: list[float] = []
    for _ in range(TRIES):
        ticks: list[float] = []
        over = threading.Event()

        def tick(ticks: list[float] = ticks, over: threading.Event = over) -> None:
            while not over.is_set():
                ticks.append(time.clock_gettime(clock))
                time.sleep(_TICK_S)

        other = threading.Thread(target=tick)
        other.start()
        while len(ticks) < 3:
            time.sleep(_TICK_S)
        start = time.thread_time()
        end, result = _made(call)
        stop = time.thread_time()
        over.set()
        other.join()
        del result
        if stop - start < SHORTEST_S:
            break
        inside = [start, *(at for at in ticks if start < at < stop), stop]
        found.append(max(b - a for a, b in itertools.pairwise(inside)) / (stop - start))
        if found[-1] <= ENOUGH:
            break
    return {"end": end, "shares": found}


def _made(call: Callable[[], Any]) -> tuple[str, Any]:
    """The end of a call (``ok`` or the type of the error), and its value."""
    try:
        return "ok", call()
    except BaseException as error:
        return type(error).__name__, None


def main() -> None:
    """Measure all jobs."""
    cost, site, parser, jobs, results = sys.argv[1:]
    if parser:
        from harness.parsers import registry, runtime

        runtime.load(registry.find(parser))
    else:
        sys.path.insert(0, site)
    import safetensors.numpy  # noqa: F401 - calls must not count the import

    from harness.targets.resources import meter_child

    measure = shares if cost == "standstill" else peaks
    gc.disable()

    def count(_: dict[str, str], call: Callable[[], Any]) -> dict[str, Any]:
        meter_child.make(call)  # the first call imports, interns and maps
        gc.collect()
        return measure(call)

    meter_child.run(jobs, results, count)


if __name__ == "__main__":
    main()
