"""``harness report`` on a real campaign, and its forms together."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from harness.errors import HarnessError
from harness.findings import crashes, store
from harness.findings.finding import Finding
from tests.cli.running import run

SIGNATURE = "deserialize|differential|layout.hole|accepted/start"
NAME = "layout.hole-2cc0ad64"


@pytest.fixture
def campaign(project: Path) -> Path:
    folder = project / "build" / "campaigns" / "one"
    finding = Finding.of_signature(SIGNATURE, "differential", "a hole")
    store.add(folder, finding, b"nothing", parser="0.8.0", seed=1, execution=1)
    (folder / "campaign.json").write_text(json.dumps({"format": 1, "sessions": [{"targets": ["deserialize"]}]}))
    return folder


def test_any_combination_of_forms_at_once(campaign: Path, tmp_path: Path):
    places = {form: tmp_path / form for form in ("sarif", "junit", "summary", "issues", "defects")}
    arguments = [word for form, place in places.items() for word in (f"--{form}", place)]
    status, text = run("report", "--campaign", campaign, *arguments)
    assert status == 0
    assert json.loads(places["sarif"].read_text())["runs"][0]["results"][0]["properties"]["id"] == NAME
    assert ET.parse(places["junit"]).getroot().get("failures") == "1"
    assert places["summary"].read_text().startswith("# 1 new finding\n")
    assert [path.name for path in places["issues"].iterdir()] == [f"{NAME}.md"]
    assert places["defects"].read_text().startswith("# Open defects of safetensors")
    assert f"{places['sarif']}: 1 results\n" in text
    status, again = run("report", "--campaign", "one", *arguments, "--json")
    told = json.loads(again)
    assert status == 0
    assert told["written"] == {form: str(place) for form, place in places.items()}
    assert told["issues"] == [
        {"id": NAME, "title": "deserialize: a hole", "file": str(places["issues"] / f"{NAME}.md")}
    ]
    assert [(row["id"], row["state"], row["campaigns"]) for row in told["findings"]] == [(NAME, "new", ["one"])]


def test_what_is_filed_alone(tmp_path: Path):
    place = tmp_path / "report.sarif"
    assert run("report", "--sarif", place)[0] == 0
    found = json.loads(place.read_text())["runs"][0]["results"]
    assert len(found) == sum(crash.status != crashes.FIXED for crash in crashes.crashes())


def test_two_campaigns_of_one_name_are_told_apart(campaign: Path, tmp_path: Path):
    second = tmp_path / "shard-3" / "one"
    second.mkdir(parents=True)
    (second / "campaign.json").write_text((campaign / "campaign.json").read_text())
    told = json.loads(run("report", "--campaign", campaign, "--campaign", second, "--json")[1])
    assert [one["name"] for one in told["campaigns"]] == ["campaigns/one", "shard-3/one"]


@pytest.mark.parametrize("text", ["nothing", "[]", '{"sessions": 1}', '{"sessions": [1]}'])
def test_a_damaged_ledger_is_named(campaign: Path, text: str):
    (campaign / "campaign.json").write_text(text)
    with pytest.raises(HarnessError, match=r"campaign\.json is no ledger"):
        run("report", "--campaign", campaign, "--json")


def test_a_campaign_wants_a_form(campaign: Path, tmp_path: Path):
    with pytest.raises(HarnessError, match="no form was asked for"):
        run("report", "--campaign", campaign)
    with pytest.raises(HarnessError, match="is no campaign folder"):
        run("report", "--campaign", tmp_path, "--json")
    with pytest.raises(HarnessError, match="--against needs findings of a campaign"):
        run("report", "--json", "--against", "0.8.0")
    with pytest.raises(HarnessError, match="no parser"):
        run("report", "--campaign", campaign, "--json", "--against", "nothing")
    with pytest.raises(HarnessError, match="cannot write"):
        run("report", "--sarif", tmp_path / "missing" / "file")
