from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydantic
import pytest
from pydantic_sarif.model import StaticAnalysisResultsFormatSarifVersion210JsonSchema as Log  # type: ignore[import-untyped]

from harness.findings import crashes
from harness.findings.crashes import Crash
from harness.findings.severity import SEVERITIES
from harness.format.rules import RULES
from harness.parsers.registry import Parser
from harness.report import catalogue, gather, html, issues
from harness.report.gather import Campaign
from harness.report.junit import junit
from harness.report.sarif import sarif
from harness.report.summary import summary
from harness.triage import compare_builds


def validate(log: dict[str, Any]) -> None:
    """Against the schema of SARIF 2.1.0, unknown properties forbidden; then what GitHub's code scanning asks beyond it."""
    Log.model_validate_json(json.dumps(log), strict=True)
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert len(run["results"]) <= 25_000
    assert len(driver["rules"]) <= 25_000
    for rule in driver["rules"]:
        assert len(rule["properties"]["tags"]) <= 20
        assert len(rule["name"]) <= 255
        assert 0 < len(rule["shortDescription"]["text"]) <= 1024
        assert 0 < len(rule["fullDescription"]["text"]) <= 1024
        assert rule["help"]["text"]
        security = "security" in rule["properties"]["tags"]
        assert security == ("security-severity" in rule["properties"])
        assert not security or 0 < float(rule["properties"]["security-severity"]) <= 10
    for result in run["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["partialFingerprints"]["primaryLocationLineHash"]
        (location,) = result["locations"]
        assert location["physicalLocation"]["region"]["startLine"] >= 1
        assert location["physicalLocation"]["artifactLocation"]["uri"].startswith("crashes/")
    assert len(json.dumps(log).encode()) < 10 << 20
    prints = [result["partialFingerprints"]["primaryLocationLineHash"] for result in run["results"]]
    assert len(set(prints)) == len(prints)


def results(log: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {result["properties"]["id"]: result for result in log["runs"][0]["results"]}


def test_what_is_filed_is_valid_sarif_and_a_broken_log_is_not():
    log = sarif(gather.rows([]))
    validate(log)
    for breakage in (
        lambda log: log["runs"][0]["results"][0].pop("message"),
        lambda log: log["runs"][0]["results"][0].update(level="terrible"),
        lambda log: log["runs"][0]["results"][0].update(extra=1),
        lambda log: log["runs"][0]["tool"].pop("driver"),
        lambda log: log.update(version="2.0.0"),
    ):
        broken = copy.deepcopy(log)
        breakage(broken)
        with pytest.raises(pydantic.ValidationError):
            validate(broken)


def test_every_filed_finding_that_is_not_mended_is_a_result():
    filed = {crash.id: crash for crash in crashes.crashes() if crash.status != crashes.FIXED}
    found = results(sarif(gather.rows([])))
    assert found.keys() == filed.keys()
    for name, crash in filed.items():
        result = found[name]
        assert result["baselineState"] == "unchanged"
        assert ("suppressions" in result) == (crash.status in (crashes.BY_DESIGN, crashes.DISPUTED))
        assert _line_of(crash, result).startswith("summary = ")
    (decided,) = [found[name]["suppressions"][0] for name in found if name == "panic-c63c3f68"]
    assert (
        decided["justification"] == crashes.crashes()[[c.id for c in crashes.crashes()].index("panic-c63c3f68")].verdict
    )


def _line_of(crash: Crash, result: dict[str, Any]) -> str:
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == f"crashes/{crash.id}/finding.toml"
    line: int = place["region"]["startLine"]
    return (crash.folder / "finding.toml").read_text().splitlines()[line - 1]


def test_the_rules_quote_the_text_of_the_format():
    rules = {rule["id"]: rule for rule in sarif([])["runs"][0]["tool"]["driver"]["rules"]}
    for name, sentence in RULES.items():
        assert sentence in rules[name]["fullDescription"]["text"]
        assert rules[name]["defaultConfiguration"]["level"] == "warning"
    assert {"panic", "raise", "crash", "hang", "memory", "refused", "misread"} <= rules.keys()
    assert rules["crash"]["defaultConfiguration"]["level"] == "error"


def test_what_a_real_campaign_finds_is_new_and_keeps_its_fingerprint_when_it_is_filed(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch
):
    log = sarif(gather.rows([campaign]), [campaign])
    validate(log)
    before = results(log)
    assert {result["baselineState"] for result in before.values()} == {"new"}
    assert "header.padding-83c1b013" in before
    for name, result in before.items():
        stored = next(one for one in campaign.findings if one.id == name)
        about = result["properties"]
        assert (about["seed"], about["execution"], about["size"]) == (stored.seed, stored.execution, stored.size)
        assert about["repeat"] == f"harness repro {name}"
        assert (
            result["relatedLocations"][0]["physicalLocation"]["artifactLocation"]["uri"]
            == f"real/findings/{name}/input"
        )
    # Where the same findings are filed, they are the same results, and no longer new.
    monkeypatch.delenv("HARNESS_HOME")
    log = sarif(gather.rows([campaign]), [campaign])
    validate(log)
    after = results(log)
    for name, result in before.items():
        assert result["partialFingerprints"].items() <= after[name]["partialFingerprints"].items()
        assert after[name]["baselineState"] == "unchanged"
        assert after[name]["occurrenceCount"] == result["occurrenceCount"]
        assert (
            after[name]["locations"][0]["physicalLocation"]["artifactLocation"]
            == result["locations"][0]["physicalLocation"]["artifactLocation"]
        )


def test_a_verdict_rule_suppresses(campaign: Campaign, hostile: Campaign, project):
    (project / "verdicts.toml").write_text(
        '[[rule]]\nname="holes"\nrule="layout.hole"\nverdict="wont-fix"\nwhy="old files"\nsentence="s"\n'
    )
    log = sarif(gather.rows([hostile]), [hostile])
    validate(log)
    (result,) = log["runs"][0]["results"]
    assert result["suppressions"] == [{"kind": "external", "justification": "wont-fix by the rule holes: old files"}]
    assert result["baselineState"] == "unchanged"


def test_against_another_build_what_shows_there_is_unchanged(campaign: Campaign, sancov_parser: Parser):
    few = replace(campaign, findings=campaign.findings[:3])
    log = sarif(gather.rows([few], sancov_parser), [few])
    validate(log)
    found = results(log)
    assert found.keys() == {one.id for one in few.findings}
    assert {result["baselineState"] for result in found.values()} == {"unchanged"}
    assert found[few.findings[0].id]["properties"]["against"] == {"parser": sancov_parser.name, "shows": "there-too"}


def test_what_shows_on_neither_build_is_absent_and_new_in_no_form(
    hostile: Campaign, sancov_parser: Parser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(compare_builds, "TRIES", 1)  # it never shows, however often it is asked
    rows = gather.rows([hostile], sancov_parser)
    log = sarif(rows, [hostile])
    validate(log)
    (result,) = log["runs"][0]["results"]
    assert result["baselineState"] == "absent"
    assert result["properties"]["against"] == {"parser": sancov_parser.name, "shows": "not-again"}
    assert summary(rows, [hostile]).startswith("# Nothing new; 1 of 3 targets did not run, 1 is not installed\n")
    assert "it shows neither on 0.8.0 nor, again, where it was found" in junit(rows, [hostile])
    assert issues.write(rows, [hostile], tmp_path / "issues") == []
    assert ">elsewhere</span><small><bdi>shows neither on" in html.page([hostile], tmp_path, rows)


def test_hostile_texts_and_targets_that_were_left_out(hostile: Campaign):
    log = sarif(gather.rows([hostile]), [hostile])
    validate(log)
    json.dumps(log, ensure_ascii=False).encode()  # no half of a surrogate pair is left
    (invocation,) = log["runs"][0]["invocations"]
    assert invocation["executionSuccessful"] is False
    told = [(one["level"], one["message"]["text"]) for one in invocation["toolExecutionNotifications"][:2]]
    assert [level for level, _ in told] == ["error", "warning"]
    assert told[0][1].startswith("campaign hostile: target a|b `c`")
    assert ": left out: a|b `c`" in told[0][1]


def test_the_log_says_the_same_each_time(campaign: Campaign):
    first, second = (json.dumps(sarif(gather.rows([campaign]), [campaign])) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("severity", SEVERITIES)
def test_every_severity_has_a_level(severity: str):
    assert catalogue.level(severity) in {"error", "warning", "note"}


def test_a_known_finding_carries_its_defect_and_the_place_of_the_cause(night: Campaign):
    log = sarif(gather.rows([night]), [night])
    validate(log)
    owned = {row.id: row.defect for row in gather.rows([night]) if row.defect}
    assert {defect.name for defect in owned.values()} == {"met-again", "not-met"}
    for name, result in results(log).items():
        properties, prints = result["properties"], result["partialFingerprints"]
        defect = owned.get(name)
        assert (properties.get("defect"), properties.get("rank")) == (
            (defect.name, "critical") if defect else (None, None)
        )
        assert prints.get("harnessDefect/v1") == (defect.name if defect else None)
        if defect:
            *_, place = result["relatedLocations"]
            assert place["message"]["text"].startswith(f"the cause of the defect {defect.name}: ")
            assert place["physicalLocation"]["artifactLocation"]["uri"] == "bindings/python/src/lib.rs"
            assert place["physicalLocation"]["region"] == {"startLine": 100}
