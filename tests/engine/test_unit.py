"""A unit of work as a value, and the process that runs exactly one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from harness import paths
from harness.engine.campaign.units import Result, Unit
from harness.findings import store
from harness.parsers.registry import Parser

from .conftest import Fuzz


def run(fuzz: Fuzz, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness.engine.unit", str(folder / "unit.json"), str(folder / "out" / "result.json")],
        env=fuzz.environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_one_process_runs_one_unit_and_hands_back_what_it_gave(
    tmp_path: Path, fuzz: Fuzz, sancov_parser: Parser
) -> None:
    seeds = paths.corpus_dir() / "deserialize"
    (tmp_path / "out").mkdir()
    Unit("deserialize", sancov_parser.name, 3, (seeds,), runs=5000).save(tmp_path / "unit.json")
    done = run(fuzz, tmp_path)
    assert done.returncode == 0, done.stderr
    result = Result.load(tmp_path / "out" / "result.json")
    assert result.executions == result.statistics["executions"] == 5000
    assert 0 < result.edges[0] <= result.edges[1]
    assert 0 < result.start_seconds < result.seconds
    # What was there before is none of it, where libFuzzer keeps a seed once more or not.
    before = {path.name for path in seeds.iterdir()}
    assert result.corpus
    assert set(result.corpus) == {
        path.name for path in (tmp_path / "out" / "corpus" / "deserialize").iterdir() if path.name not in before
    }
    assert set(result.findings) == {finding.id for finding in store.findings(tmp_path / "out")}
    assert result.findings
    assert set(result.new) <= set(result.findings)


def test_one_that_cannot_be_driven_says_why(tmp_path: Path, fuzz: Fuzz, sancov_parser: Parser) -> None:
    (tmp_path / "out").mkdir()
    Unit("nonsense", sancov_parser.name, 3, (), runs=100).save(tmp_path / "unit.json")
    done = run(fuzz, tmp_path)
    assert done.returncode == 2
    assert "gives no observation" in done.stderr
    assert "gives no observation" in Result.load(tmp_path / "out" / "result.json").problem
