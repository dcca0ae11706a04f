"""A unit of work as a value, and the process that runs exactly one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness import paths
from harness.engine.unit import RELOAD, Result, Unit
from harness.engine.worker import memory
from harness.errors import HarnessError
from harness.findings import store
from harness.parsers.registry import Parser

from .conftest import Fuzz

UNIT = Unit(
    "deserialize",
    "0.8.0",
    7,
    (Path("seeds"), Path("more")),
    seconds=1.5,
    disabled=("shape.zero",),
    guards=('["a"]',),
    options={"options": ("-use_cmp=0",), "oracles": False},
)


def test_a_unit_and_a_result_come_back_as_they_were_saved(tmp_path: Path) -> None:
    UNIT.save(tmp_path / "unit.json")
    assert Unit.load(tmp_path / "unit.json") == UNIT
    result = Result("deserialize", 1.5, executions=3, edges=(4, 5), corpus=("a",), statistics={"stages": {"b": 1}})
    result.save(tmp_path / "result.json")
    assert Result.load(tmp_path / "result.json") == result


@pytest.mark.parametrize("shared", [False, True])
def test_a_worker_is_told_what_its_unit_says(tmp_path: Path, shared: bool) -> None:
    unit = Unit(**{**vars(UNIT), "shared": shared})
    settings = unit.settings(tmp_path, runs=9)
    memory.remove(settings.memory)
    assert (settings.target, settings.seed, settings.seconds, settings.runs) == ("deserialize", 7, 1.5, 9)
    assert settings.oracles is False
    assert settings.options == (("-use_cmp=0", RELOAD) if shared else ("-use_cmp=0",))


@pytest.mark.parametrize(
    ("text", "words"),
    [("[]", "cannot be read"), ("{", "cannot be read"), ('{"target": "a"}', "lacks 'parser'"), ("", "cannot be read")],
)
def test_what_is_no_unit_is_said_so(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "unit.json").write_text(text)
    with pytest.raises(HarnessError, match=words):
        Unit.load(tmp_path / "unit.json")
    UNIT.save(tmp_path / "unit.json")
    known = json.loads((tmp_path / "unit.json").read_text())
    (tmp_path / "unit.json").write_text(json.dumps(known | {"colour": "red"}))
    with pytest.raises(HarnessError, match="unknown field 'colour'"):
        Unit.load(tmp_path / "unit.json")


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
