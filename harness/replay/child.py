"""The process that inputs are run again in: ``python -m harness.replay.child PARSER TARGET MEMORY_MB RELATIONS FORKS CELL``.

It loads one parser, opens one target, and then runs the inputs that it gets until its stdin ends. An input may kill it:
that is its purpose. Its stderr belongs to the parent, which reads the place of a panic from it.
"""

from __future__ import annotations

import base64
import json
import mmap
import os
import resource
import signal
import sys
import time
import traceback
from typing import Any

from harness.findings.finding import Finding
from harness.observation import Observation, Run
from harness.oracles import leaks
from harness.parsers import registry, runtime
from harness.programs import progress
from harness.replay import wire
from harness.replay.judge import death, judge_observation, leaks_of_program
from harness.targets.base import PROGRAM, Target
from harness.targets.registry import get_target

# Share of the time of a run in which a program is looked at for leaks: the parent takes a longer wait for a hang.
_LEAKS_SHARE = 0.25


def limit_memory(megabytes: int) -> None:
    """Cap the memory that this process may allocate from now on: private writable pages, not files mapped for reading.

    An allocation past the cap fails at once, the same way on every machine.
    """
    with open("/proc/self/status", encoding="ascii") as status:
        held = next(int(line.split()[1]) for line in status if line.startswith("VmData:"))
    limit = held * 1024 + (megabytes << 20)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def answer(target: Target, run: Run, data: bytes, *, relations: bool) -> dict[str, Any]:
    """Run one input and judge it."""
    began = time.process_time()
    observation = run(data)
    # A first run may be slow by itself.
    quick = time.process_time() - began < 10 * leaks.SLOW_S
    outcome, error, value = observation
    variants: dict[Finding, bytes] = {}
    if isinstance(value, MemoryError):
        outcome, findings = "memory", [death(target, data, "memory", "allocation")]
    else:
        findings = judge_observation(
            target,
            run,
            data,
            observation,
            relations=relations,
            leaking=relations and quick,
            memory=True,
            variants=variants,
        )
    fields: list[tuple[str, ...]] = [finding.fields() for finding in findings]
    # In a fork server each run has a process of its own, which takes all with it.
    if relations and quick and target.input_kind == PROGRAM and not target.runs_in_fork_server:
        fields += _leaks_apart(target, run, data, observation)
    other = [base64.b64encode(variants.get(finding, b"")).decode() for finding in findings]
    other += [""] * (len(fields) - len(other))
    return {"outcome": outcome, "error": error, "findings": fields, "variants": other}


def _leaks_apart(target: Target, run: Run, data: bytes, observation: Observation) -> list[tuple[str, ...]]:
    """The leaks of a program that a fork of this process finds; none where it dies, or takes too long."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            signal.setitimer(signal.ITIMER_REAL, _LEAKS_SHARE * target.timeout_s)
            found = leaks_of_program(target, run, data, observation)
            os.write(writer, json.dumps([finding.fields() for finding in found]).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        raw = pipe.read()
    os.waitpid(child, 0)
    return [tuple(fields) for fields in json.loads(raw or b"[]")]


def main() -> None:
    """Serve until stdin ends."""
    parser_name, target_name, memory_mb, relations, forks, cell = sys.argv[1:7]
    shared = mmap.mmap(int(cell), 1)
    os.close(int(cell))
    progress.use(memoryview(shared))
    # A terminal and timeout(1) send these to the whole group of processes. The parent handles them, and kills its children.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    # Output of the parser or a library must not get between the frames.
    replies = os.dup(1)
    os.dup2(2, 1)
    target = get_target(target_name)
    module = runtime.load(registry.find(parser_name)) if target.uses_parser else None
    run = target.open(module)
    if not runtime.sanitized():
        # The sanitizer reserves terabytes; it has limits of its own.
        limit_memory(int(memory_mb))
    wire.send(replies, {"ready": True})
    while (head := wire.read_exactly(0, wire.REQUEST.size)) is not None:
        size, seconds = wire.REQUEST.unpack(head)
        data = wire.read_exactly(0, size)
        if data is None:
            return
        shared[0] = 0
        runner = os.fork() if forks == "1" else 0
        if runner:
            _, status = os.waitpid(runner, 0)
            if status:
                wire.send(replies, {"died": os.waitstatus_to_exitcode(status)})
            continue
        # The parent ends a run that takes too long; should the parent be gone, the kernel does.
        signal.setitimer(signal.ITIMER_REAL, seconds + 5)
        try:
            message = answer(target, run, data, relations=relations == "1")
        except Exception:
            # Targets catch what the parser throws, so this is a defect of ours: never blamed on the parser.
            message = {"defect": traceback.format_exc()}
        signal.setitimer(signal.ITIMER_REAL, 0)
        wire.send(replies, message)
        if forks == "1":
            os._exit(0)


if __name__ == "__main__":
    main()
