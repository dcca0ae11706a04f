"""The bench's own runs, as short as they can be, on the real parser."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.bench import runner, speed
from harness.engine.worker import recording
from harness.errors import EngineError
from harness.parsers.registry import Parser

REPOSITORY = Path(__file__).parents[2]


def test_a_run_leaves_its_status_its_corpus_in_order_and_its_inputs(sancov_parser: Parser) -> None:
    with runner.scratch() as folder:
        record = folder / "inputs"
        done = runner.fuzz("deserialize", sancov_parser.name, folder, runs=3000, record=record)
        assert len(recording.read(record)) == 3000
    assert not folder.exists()
    assert done.status.executions == 3000
    assert done.rate > 0
    assert done.edges > 0
    assert 0 < done.share("accepted") < done.share("deep") < 1
    times = [at for at, _ in done.corpus]
    assert times == sorted(times)
    assert done.status.semantic_keys


def test_a_worker_that_fails_is_an_error_with_its_log(sancov_parser: Parser) -> None:
    with runner.scratch() as folder, pytest.raises(EngineError, match="ended with 71"):
        runner.fuzz("deserialize", sancov_parser.name, folder, seconds=20, options=("-rss_limit_mb=1",))


def test_speed_counts_both_ways_of_running_the_same_inputs(sancov_parser: Parser) -> None:
    said: list[str] = []
    result = speed.depth_and_speed(sancov_parser.name, 1, 4000, said.append)
    row = result["rows"][0]
    assert row["ratio"] == pytest.approx(row["rate"] / row["bare_rate"])
    assert sum(result["stages"].values()) == pytest.approx(1)
    assert "of bare" in said[0]


def test_guards_skip_what_they_name_and_nothing_else(sancov_parser: Parser) -> None:
    result = speed.guarded(sancov_parser.name, 1, 4000, print)
    assert 0 < result["skipped"][0] < 0.2


def test_bench_speed_prints_and_keeps_json() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "harness", "bench", "speed", "--part", "startup", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["startup"]["cpu_seconds"] > 0


def bench_operators(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", "bench", "operators", *options],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.long
def test_bench_operators_compares_runs_without_some_with_runs_that_have_all(project: Path) -> None:
    named = ("--operator", "dtype.form", "--operator", "field.array-form", "--together")
    done = bench_operators("--seeds", "2", "--runs", "3000", "--json", *named)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout).values()
    assert "all operators:" in done.stderr
    # Nothing else makes an array of a tensor or an object of a dtype, and lenient readers go a way of their own there.
    assert row["edges"][1] < row["edges"][0]
    assert row["edges_a12"] == 1.0
    assert 0 < row["deep"][1] < 1
    assert row["pays"] == (row["q"] < 0.05)
    stored = json.loads((project / "build" / "bench" / "operators.json").read_text())
    assert stored == {"dtype.form+field.array-form": row}


def test_bench_operators_wants_to_know_which_to_switch_off_together(project: Path) -> None:
    done = bench_operators("--together")
    assert done.returncode == 2
    assert "--operator" in done.stderr


def test_a_worker_runs_on_bytes_alone_and_with_parts_off(sancov_parser: Parser) -> None:
    off = {"judge": False, "semantics": False, "schedule": False, "crossover": False}
    with runner.scratch() as folder:
        done = runner.fuzz("deserialize", sancov_parser.name, folder, runs=3000, seed_dirs=(), mutator="bytes", **off)
        assert done.status.executions == 3000
        assert (done.status.judged, done.status.operators) == (0, {})
        # Bytes alone hardly ever make a header.
        assert done.share("deep") < 0.2
        programs = runner.fuzz("writers", sancov_parser.name, folder, runs=300, seed_dirs=(), **off)
        assert programs.status.executions == 300
