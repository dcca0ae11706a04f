from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic_sarif.model import StaticAnalysisResultsFormatSarifVersion210JsonSchema as Log  # type: ignore[import-untyped]

from harness.checkpoint import sarif
from harness.checkpoint.problems import KINDS, Problem
from tests.checkpoint.folders import INDEX, TWO, file, sharded, verdicts


def test_problems_are_results_at_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    file(sharded(Path("m del")) / TWO, "b", "a")
    log = sarif.log([problem for verdict in verdicts("m del") for problem in verdict.problems])
    Log.model_validate_json(json.dumps(log))
    (run,) = log["runs"]
    (result,) = run["results"]
    assert ". To do: save the checkpoint" in result["message"]["text"]
    assert run["invocations"][0]["executionSuccessful"] is True
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "name-doubled"
    location = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert location == {"uri": f"m%20del/{INDEX}", "uriBaseId": "%SRCROOT%"}


def test_what_could_not_be_read_is_no_success(tmp_path: Path):
    log = sarif.log([Problem(KINDS["cannot-read"], str(tmp_path / "x\n\udcff"), "Permission denied")])
    Log.model_validate_json(json.dumps(log))
    (run,) = log["runs"]
    assert run["invocations"][0]["executionSuccessful"] is False
    assert run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].endswith("x%0A%FF")


def test_a_fingerprint_is_that_of_the_problem():
    def mark(what: str) -> str:
        (run,) = sarif.log([Problem(KINDS["name-doubled"], "a", what)])["runs"]
        return str(run["results"][0]["partialFingerprints"]["primaryLocationLineHash"])

    assert mark("one") == mark("one") != mark("two")
