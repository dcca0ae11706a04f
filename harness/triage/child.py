"""The process that inputs are run again in: ``python -m harness.triage.child PARSER TARGET MEMORY_MB``.

It loads one parser, opens one target, and then runs what it is sent until its input ends. It may die of what it
runs: that is what it is for. Its stderr belongs to the parent, which reads the place of a panic from it.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from typing import Any

from harness.observation import Run
from harness.parsers import registry, runtime
from harness.targets import base
from harness.targets.base import Target
from harness.triage import wire
from harness.triage.judging import isolated, judge_observation


def limit_memory(megabytes: int) -> None:
    """Cap what this process may allocate on top of what it holds now (private writable pages; files that are
    mapped to be read do not count). An allocation past it fails at once, the same way on every machine.
    """
    with open("/proc/self/status", encoding="ascii") as status:
        held = next(int(line.split()[1]) for line in status if line.startswith("VmData:"))
    limit = held * 1024 + (megabytes << 20)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def answer(target: Target, run: Run, data: bytes) -> dict[str, Any]:
    """Run one input and judge it."""
    observation = run(data)
    outcome, error, value = observation
    if isinstance(value, MemoryError):
        outcome, findings = "memory", [isolated(target, data, "memory", "allocation")]
    else:
        findings = judge_observation(target, run, data, observation)
    fields = [[f.oracle, f.kind, f.rule, f.aspect, f.summary] for f in findings]
    return {"outcome": outcome, "error": error, "findings": fields}


def main() -> None:
    """Serve until stdin ends."""
    parser_name, target_name, memory_mb = sys.argv[1:4]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    # Whatever the parser or a library prints must not get between the frames.
    replies = os.dup(1)
    os.dup2(2, 1)
    target = base.get(target_name)
    module = runtime.load(registry.find(parser_name)) if target.uses_parser else None
    run = target.open(module)
    limit_memory(int(memory_mb))
    wire.send(replies, {"ready": True})
    while (head := wire.read_exactly(0, wire.REQUEST.size)) is not None:
        size, seconds = wire.REQUEST.unpack(head)
        data = wire.read_exactly(0, size)
        if data is None:
            return
        # The parent ends a run that takes too long; should the parent be gone, the kernel does.
        signal.setitimer(signal.ITIMER_REAL, seconds + 5)
        message = answer(target, run, data)
        signal.setitimer(signal.ITIMER_REAL, 0)
        wire.send(replies, message)


if __name__ == "__main__":
    main()
