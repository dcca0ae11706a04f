"""``harness bench cluster``: the cost of hosts, measured on real pairs, and of a driver with many simulated hosts.

A pair is one process with two workers, and two hosts with one worker each, in the same time with the same seed. The hosts are
processes of this machine that share nothing but the store.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.bench.runner import Say
from harness.errors import EngineError
from harness.processes import family_cpu_seconds

#: Part of the executions and edges per CPU-second of one machine that hosts must reach.
LEAST = 0.95
_WAYS = {"one": ("--workers", "2"), "two": ("--cluster", "local:2")}
_END_S = 300.0
# Seconds in which a campaign that was asked to end stores what it has.
_STORE_S = 60.0


def pairs(target: str, parser: str, count: int, seconds: float, say: Say) -> dict[str, Any]:
    """Run ``count`` pairs of campaigns of ``seconds``. Returns figures of each, and the median ratios of two hosts to one machine."""
    rows = []
    for number in range(count):
        row: dict[str, Any] = {"seed": number + 1}
        # Each way is first in every second pair.
        for way in sorted(_WAYS, reverse=bool(number % 2)):
            row[way] = _campaign(target, parser, way, number + 1, seconds)
        row["ratios"] = {name: _ratio(row, name) for name in ("executions", "edges", "whole")}
        rows.append(row)
        told = ", ".join(f"{name} {value:.3f}" for name, value in row["ratios"].items())
        say(f"  pair {number + 1}: two hosts to one machine, per CPU-second: {told}")
    medians = {name: statistics.median(row["ratios"][name] for row in rows) for name in rows[0]["ratios"]}
    return {"target": target, "seconds": seconds, "pairs": rows, "medians": medians}


def _ratio(row: dict[str, Any], name: str) -> float:
    return float(row["two"][name] / row["one"][name]) if row["one"][name] else 0.0


def _campaign(target: str, parser: str, way: str, seed: int, seconds: float) -> dict[str, float]:
    """One campaign. Executions and edges are per CPU-second of workers and replays, ``whole`` per that of all processes.

    Edges, with semantic features, are all that were reached, those of seeds included.
    """
    with tempfile.TemporaryDirectory(prefix="harness-bench-") as folder:
        words = [*_WAYS[way], *(("--store", f"{folder}/store") if way == "two" else ())]
        places = ["--campaign", f"{folder}/campaign", "--ledger", f"{folder}/ledger", "--no-ui", "--json"]
        plan = ["--target", target, "--parser", parser, "--time", str(seconds), "--seed", str(seed)]
        whole = _run([sys.executable, "-m", "harness", "fuzz", *words, *places, *plan], seconds + _END_S)
        session = json.loads(Path(folder, "campaign", "campaign.json").read_text())["sessions"][-1]
    figures = session["per_target"][target]
    spent = session["cpu_seconds"] + session["replay_cpu_seconds"]
    reached = figures["edges"] + figures["semantic_features"]
    return {
        "executions": session["executions"] / spent,
        "edges": reached / spent,
        "whole": session["executions"] / whole,
        "cpu_seconds": spent,
        "all_cpu_seconds": whole,
    }


def _run(command: Sequence[str], limit: float) -> float:
    """Run a campaign. Returns the CPU seconds of all its processes. Raises EngineError where it fails."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        deadline, spent = time.monotonic() + limit, 0.0
        try:
            while process.poll() is None and time.monotonic() < deadline:
                spent = max(spent, family_cpu_seconds(process.pid))
                time.sleep(0.5)
        finally:
            _end(process)
        if process.returncode not in (0, 1):
            errors.seek(0)
            raise EngineError(
                f"a campaign ended with {process.returncode}: {errors.read().decode(errors='replace')[-500:]}"
            )
    return spent


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a campaign that still runs, with its hosts: its time is over, or Ctrl-C ends the bench."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STORE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
