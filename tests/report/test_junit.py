from __future__ import annotations

from xml.etree import ElementTree as ET

from harness.findings import crashes
from harness.report import gather
from harness.report.gather import Campaign
from harness.report.junit import junit
from harness.targets import known_findings


def counts(element: ET.Element) -> tuple[int, int, int, int]:
    tests, failures, errors, skipped = (
        int(element.get(name, "")) for name in ("tests", "failures", "errors", "skipped")
    )
    return tests, failures, errors, skipped


def test_a_suite_per_campaign_with_targets_and_findings(campaign: Campaign):
    root = ET.fromstring(junit(gather.rows([campaign]), [campaign]))
    (suite,) = root
    found = {stored.id for stored in campaign.findings}
    assert suite.get("name") == "real"
    assert counts(suite) == counts(root) == (1 + len(found), len(found), 0, 0)
    assert {case.get("name") for case in suite if case.find("failure") is not None} == found
    (target,) = [case for case in suite if case.get("classname") == "target"]
    assert target.get("name") == "deserialize"
    assert f"executions: {campaign.total('executions'):.0f}" in (target.findtext("system-out") or "")


def test_known_open_ones_are_skipped(campaign: Campaign, monkeypatch):
    monkeypatch.delenv("HARNESS_HOME")
    (suite,) = ET.fromstring(junit(gather.rows([campaign]), [campaign]))
    open_ones = sum(known_findings.is_open(stored.signature) for stored in campaign.findings)
    assert counts(suite) == (1 + len(campaign.findings), 0, 0, open_ones)
    assert open_ones > 0


def test_without_a_campaign_it_is_what_is_filed():
    (suite,) = ET.fromstring(junit(gather.rows([])))
    filed = crashes.crashes()
    open_ones = sum(crash.status == crashes.OPEN for crash in filed)
    assert suite.get("name") == "crashes"
    assert counts(suite) == (len(filed), 0, 0, open_ones)


def test_hostile_texts_come_back_and_left_out_targets_are_errors(hostile: Campaign):
    root = ET.fromstring(junit(gather.rows([hostile]), [hostile]).encode())
    (suite,) = root
    assert counts(suite) == (4, 1, 2, 1)
    kinds = [case.find("error").get("type") for case in suite if case.find("error") is not None]  # type: ignore[union-attr]
    assert sorted(map(str, kinds)) == ["defect of the harness", "left out"]
    (failure,) = suite.iter("failure")
    assert "a|b `c` </script><script>alert(1)</script>\\x0a" in failure.get("message", "")
    assert "\\xd800" in failure.get("message", "")
    assert "Repeat with: harness repro layout.hole-" in (failure.text or "")


def test_a_known_finding_names_its_defect(night: Campaign):
    (suite,) = ET.fromstring(junit(gather.rows([night]), [night]))
    named = {
        case.get("name"): {one.get("name"): one.get("value") for one in case.iter("property")}
        for case in suite
        if case.find("properties") is not None
    }
    owned = {row.id for row in gather.rows([night]) if row.defect and row.seen}
    assert owned
    assert named == {name: {"defect": "met-again", "rank": "critical"} for name in owned}
