"""The process whose calls are counted: ``python -I meter_child.py instructions|bytes SITE JOBS RESULTS``.

It holds nothing of the harness, so that what is counted is the library. JOBS is a JSON list of calls; for each one line of
JSON goes to RESULTS as soon as it is done, so that a call that kills the process is known by the line that is missing.

Instructions are counted by callgrind around two functions of the C library that nothing else here calls: it sets its
counts to zero at ``getppid`` and writes them down at ``getpgrp``. Bytes are those that glibc's own ``mtrace`` records, with
Python's allocator out of the way (``PYTHONMALLOC=malloc``): exact, and the same in every run.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import pathlib
import sys
from collections.abc import Callable
from typing import Any

# What the symbols are filed under depends on the machine: x86-64, AArch64.
_VERSIONS = (b"GLIBC_2.2.5", b"GLIBC_2.17")


def prepare(job: dict[str, str]) -> Callable[[], Any]:
    """The call of a job, ready to be made."""
    import safetensors.numpy

    scope: dict[str, Any] = {"safetensors": safetensors, "pathlib": pathlib, "path": job["path"], "name": job["name"]}
    exec(f"{job['setup']}\ndef call():\n    return {job['code']}", scope)  # noqa: S102 - our own code, from harness.targets.resources.calls
    made: Callable[[], Any] = scope["call"]
    return made


def make(call: Callable[[], Any]) -> tuple[str, int]:
    """How a call ends (``ok`` or the error's type), and the bytes of the array that it gives."""
    try:
        return "ok", int(getattr(call(), "nbytes", 0))
    except BaseException as error:
        return type(error).__name__, 0


class Instructions:
    """Callgrind's own counts; they come from its dumps, in the order of the calls."""

    def __init__(self) -> None:
        # The first call of a function in another library is looked up, which takes a million instructions.
        os.getppid()
        os.getpgrp()
        # glibc puts off joining what was freed until the next larger request, whoever makes it.
        self._settle = getattr(ctypes.CDLL(None), "malloc_trim", int)

    def count(self, call: Callable[[], Any]) -> dict[str, Any]:
        """Make the call between the two marks."""
        self._settle(0)
        os.getppid()
        end, result = make(call)
        os.getpgrp()
        return {"end": end, "result": result}


class Bytes:
    """glibc's record of every allocation: all that were made, and the most that were held at once."""

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        look = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p)(("dlvsym", library))
        found = {name: [look(None, name, v) for v in _VERSIONS] for name in (b"mtrace", b"muntrace")}
        start, stop = (next(filter(None, addresses), None) for addresses in found.values())
        if not start or not stop:
            raise SystemExit("this C library has no mtrace")
        self._start, self._stop = ctypes.CFUNCTYPE(None)(start), ctypes.CFUNCTYPE(None)(stop)

    def count(self, call: Callable[[], Any]) -> dict[str, Any]:
        """Make the call between ``mtrace`` and ``muntrace``, and add up what they recorded."""
        self._start()
        end, result = make(call)
        self._stop()
        total = held = peak = 0
        sizes: dict[str, int] = {}
        with open(os.environ["MALLOC_TRACE"], encoding="ascii", errors="replace") as record:
            for line in record:
                # "@ where + address size"; "-" gives back, "<" and ">" are a block before and after it was resized.
                words = line.split()
                if words[0] != "@":
                    continue
                if words[2] in "+>":
                    sizes[words[3]] = size = int(words[4], 16)
                    total, held = total + size, held + size
                    peak = max(peak, held)
                else:
                    held -= sizes.pop(words[3], 0)
        return {"end": end, "result": result, "cost": total, "peak": peak}


def main() -> None:
    """Count every job, and note it."""
    mode, site, jobs, results = sys.argv[1:]
    sys.path.insert(0, site)
    import safetensors.numpy  # noqa: F401 - what importing takes is no cost of a call

    meter = Instructions() if mode == "instructions" else Bytes()
    # Python's collector looks at whatever there is, whoever made it: its work is no cost of a call.
    gc.collect()
    gc.freeze()
    gc.disable()
    warm: set[str] = set()
    with open(jobs, encoding="utf-8") as file, open(results, "a", encoding="utf-8") as out:
        for job in json.load(file):
            try:
                call = prepare(job)
            except BaseException as error:
                note: dict[str, Any] = {"end": f"setup: {type(error).__name__}"}
            else:
                if job["code"] not in warm:
                    make(call)  # the first call imports and interns, once and for all
                    warm.add(job["code"])
                gc.collect()
                note = meter.count(call)
                del call
            out.write(json.dumps(note) + "\n")
            out.flush()


if __name__ == "__main__":
    main()
