"""Programs per second on the fast path, without atheris, libFuzzer and instrumentation; all else is as in a worker.

``python -m harness.bench.programs TARGET PARSER RUNS SEED`` is the process that measures. It prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Hashable
from typing import Any

from harness.bench import runner
from harness.bench.runner import Say
from harness.corpus_store import list_seeds
from harness.engine.worker.opening import collect_seldom
from harness.errors import EngineError
from harness.observation import ACCEPT, REJECT
from harness.oracles import contract
from harness.oracles.oracle import Execution
from harness.parsers import registry, runtime
from harness.replay.judge import own_check
from harness.targets.registry import get_target

#: Other targets of programs run risky calls in a child, which is another measure.
TARGETS = ("writers",)
STEPS = ("mutate", "run", "judge", "features")
# One program in so many is timed in parts: a clock read costs nearly a microsecond.
_TIMED_EVERY = 16


def rates(parser: str, seeds: int, runs: int, say: Say) -> dict[str, Any]:
    """By target, a row for each of ``seeds`` random seeds (see :func:`measure`), and the medians. Raises EngineError."""
    found: dict[str, Any] = {}
    for target in TARGETS:
        rows = [_in_own_process(target, parser, runs, seed) for seed in range(1, seeds + 1)]
        median = runner.medians(rows, rows[0])
        found[target] = {"rows": rows, "median": median}
        parts = ", ".join(f"{name} {median[name]:.0f}" for name in STEPS)
        say(
            f"  {target}: {median['rate']:.0f} programs per CPU-second, {100 * median['valid']:.0f} % valid to the last call; "
            f"microseconds of a program: {parts}"
        )
    return found


def _in_own_process(target: str, parser: str, runs: int, seed: int) -> dict[str, float]:
    """Measure in a process of its own: a process holds one parser."""
    command = [sys.executable, "-m", __name__, target, parser, str(runs), str(seed)]
    environment = os.environ | {"PYTHONPATH": runtime.python_path(), "RUST_BACKTRACE": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EngineError(f"programs of {target} cannot be measured: {done.stderr.strip()[-500:]}")
    row: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return row


def measure(target_name: str, parser: str, runs: int, seed: int) -> dict[str, float]:
    """Mutate, run and judge ``runs`` programs in this process. A program with a new feature joins the committed seeds.

    ``rate`` is in programs per CPU-second. ``valid`` is the share (0 to 1) that is valid to the last call. Steps are in
    microseconds of CPU, of a sample.
    """
    target = get_target(target_name)
    run = target.open(runtime.load(registry.find(parser)))
    own, features_of = own_check(target), target.features
    mutate = target.mutator()
    assert own is not None
    assert mutate is not None
    known: set[Hashable] = set()
    pool = [data for folder in runner.seed_dirs(target_name) for _, data in list_seeds(folder).seeds]
    for data in pool:
        known.update(features_of(run(data)))
    draw = random.Random(seed)
    spent = dict.fromkeys(STEPS, 0)
    valid = 0
    clock = time.thread_time_ns
    began = clock()
    for _ in range(1000):
        clock()
    reading = (clock() - began) / 1000
    collect_seldom()
    started = clock()
    for number in range(runs):
        parent, its_seed = pool[draw.randrange(len(pool))], draw.randrange(1 << 31)
        timed = number % _TIMED_EVERY == 0
        marks = [clock()] if timed else []
        data = mutate(parent, target.max_len, its_seed)
        if timed:
            marks.append(clock())
        observation = run(data)
        if timed:
            marks.append(clock())
        if observation[0] not in (ACCEPT, REJECT):
            contract.check(Execution(data, observation))
        own(data, observation)
        if timed:
            marks.append(clock())
        new = [feature for feature in features_of(observation) if feature not in known]
        if timed:
            marks.append(clock())
            for step, begin, end in zip(STEPS, marks, marks[1:], strict=False):
                spent[step] += end - begin
        valid += observation[0] == ACCEPT
        if new:
            known.update(new)
            pool.append(data)
    seconds = (clock() - started) / 1e9
    sampled = -(-runs // _TIMED_EVERY)
    return {
        "rate": runs / seconds,
        "valid": valid / runs,
        **{step: max(ns / sampled - reading, 0) / 1000 for step, ns in spent.items()},
    }


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
