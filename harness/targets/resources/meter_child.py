"""The measured process: ``python -I meter_child.py instructions|bytes SITE JOBS RESULTS [PARSER]``.

It imports nothing of the harness, so the counts are those of the library. Only for PARSER, the name of an instrumented build, it
imports the code that loads one. JOBS is a JSON list of calls. After each call the
process appends a line of JSON to RESULTS. So a missing line reveals a call that killed the process.

Callgrind counts instructions between two functions of the C library that nothing else here calls: it resets its counts at
``getppid`` and dumps them at ``getpgrp``. ``mtrace`` of glibc records bytes, without Python's allocator
(``PYTHONMALLOC=malloc``). These are exact, and equal in every run.
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

# The versions of the symbols on x86-64 and AArch64.
_VERSIONS = (b"GLIBC_2.2.5", b"GLIBC_2.17")


def prepare(job: dict[str, str]) -> Callable[[], Any]:
    """The call of a job, after its setup."""
    import safetensors.numpy

    scope: dict[str, Any] = {"safetensors": safetensors, "pathlib": pathlib, "path": job["path"], "name": job["name"]}
    exec(f"{job['setup']}\ndef call():\n    return {job['code']}", scope)  # noqa: S102 - our own code, from harness.targets.resources.calls
    made: Callable[[], Any] = scope["call"]
    return made


def make(call: Callable[[], Any]) -> tuple[str, int]:
    """The end of a call (``ok`` or the type of the error), and the bytes of the returned array."""
    try:
        return "ok", int(getattr(call(), "nbytes", 0))
    except BaseException as error:
        return type(error).__name__, 0


class Instructions:
    """The counts of callgrind. Its dumps have the order of the calls."""

    def __init__(self) -> None:
        # The first call of a function in another library takes a million instructions for its lookup.
        os.getppid()
        os.getpgrp()
        # glibc merges free blocks only at the next larger request, of any caller.
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", int)

    def count(self, call: Callable[[], Any]) -> dict[str, Any]:
        """Make the call between the two marks."""
        self._trim(0)
        os.getppid()
        end, result = make(call)
        os.getpgrp()
        return {"end": end, "result": result}


class Bytes:
    """The record of allocations by glibc: the sum of all, and the peak."""

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        look = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p)(("dlvsym", library))
        found = {name: [look(None, name, v) for v in _VERSIONS] for name in (b"mtrace", b"muntrace")}
        start, stop = (next(filter(None, addresses), None) for addresses in found.values())
        if not start or not stop:
            raise SystemExit("this C library has no mtrace")
        self._start, self._stop = ctypes.CFUNCTYPE(None)(start), ctypes.CFUNCTYPE(None)(stop)

    def count(self, call: Callable[[], Any]) -> dict[str, Any]:
        """Make the call between ``mtrace`` and ``muntrace``, and add up the record."""
        self._start()
        end, result = make(call)
        self._stop()
        total = held = peak = 0
        sizes: dict[str, int] = {}
        with open(os.environ["MALLOC_TRACE"], encoding="ascii", errors="replace") as record:
            for line in record:
                # "@ where + address size"; "-" frees a block, "<" and ">" are a block before and after a resize.
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


def run(jobs: str, results: str, measure: Callable[[dict[str, str], Callable[[], Any]], dict[str, Any]]) -> None:
    """Append a line of JSON for each job; ``measure`` gets the job and its call."""
    with open(jobs, encoding="utf-8") as file, open(results, "a", encoding="utf-8") as out:
        for job in json.load(file):
            try:
                call = prepare(job)
            except BaseException as error:
                note: dict[str, Any] = {"end": f"setup: {type(error).__name__}"}
            else:
                note = measure(job, call)
                del call
            out.write(json.dumps(note) + "\n")
            out.flush()


def main() -> None:
    """Count all jobs."""
    mode, site, jobs, results, *instrumented = sys.argv[1:]
    for parser in instrumented:
        sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))
        from harness.parsers import registry, runtime

        runtime.load(registry.find(parser))
    sys.path.insert(0, site)
    import safetensors.numpy  # noqa: F401 - calls must not count the import

    meter = Instructions() if mode == "instructions" else Bytes()
    # The garbage collector works on all objects: calls must not count it.
    gc.collect()
    gc.freeze()
    gc.disable()
    warm: set[str] = set()

    def count(job: dict[str, str], call: Callable[[], Any]) -> dict[str, Any]:
        if job["code"] not in warm:
            make(call)  # the first call imports and interns
            warm.add(job["code"])
        gc.collect()
        return meter.count(call)

    run(jobs, results, count)


if __name__ == "__main__":
    main()
