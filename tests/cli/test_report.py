"""``harness report`` on a real campaign, and its forms together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from harness.errors import HarnessError
from harness.findings import crashes, defects, store
from harness.findings.finding import Finding
from harness.report import upstream
from tests.cli.running import run
from tests.findings.test_defects import RECORD

FILED = crashes.crashes()
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
    assert places["summary"].read_text().startswith("# 1 new finding; no target ran\n")
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


@pytest.fixture
def recorded(project: Path) -> str:
    """A filed finding with a record, by its id."""
    crash = next(one for one in FILED if one.status == crashes.OPEN)
    shutil.copytree(crash.folder, project / "crashes" / crash.id)
    (project / "crashes" / "defects").mkdir()
    (project / "crashes" / "defects" / "base-buffer.toml").write_text(RECORD.replace("{finding}", crash.id))
    return crash.id


def test_the_text_for_upstream_is_printed(recorded: str, project: Path):
    status, text = run("report", "--upstream", "base-buffer")
    assert status == 0
    assert text == upstream.text(defects.find("base-buffer"))
    status, again = run("report", "--upstream", "base-buffer", "--json")
    told = json.loads(again)
    assert (status, told["defect"], told["private"], told["text"]) == (0, "base-buffer", False, text)
    assert told["title"] == "save writes the buffer of the base array"
    assert run("report", "--upstream", "base-buffer", "--patch") == (0, told["patch"] + "\n")
    with pytest.raises(HarnessError, match="--patch is the fix of one record"):
        run("report", "--patch")
    with pytest.raises(HarnessError, match="there is no defect 'other'; the records are: base-buffer") as caught:
        run("report", "--upstream", "other")
    assert caught.value.exit_status == 2
    with pytest.raises(HarnessError, match="--upstream is a text of its own"):
        run("report", "--upstream", "base-buffer", "--sarif", project / "x")


def test_json_names_the_defects(recorded: str):
    told = json.loads(run("report", "--json")[1])
    assert [(row["id"], row["defect"], row["rank"]) for row in told["findings"]] == [
        (recorded, "base-buffer", "critical")
    ]
    (record,) = told["defects"]
    assert (record["name"], record["places"], record["fix"]) == (
        "base-buffer",
        ["bindings/python/src/lib.rs:100"],
        True,
    )


def test_a_record_of_a_missing_finding_is_an_error(recorded: str, project: Path, tmp_path: Path):
    shutil.rmtree(project / "crashes" / recorded)
    place = tmp_path / "page.md"
    for arguments in (
        ("--defects", place),
        ("--json",),
        ("--html", tmp_path / "page.html"),
        ("--upstream", "base-buffer"),
    ):
        with pytest.raises(HarnessError, match=f"base-buffer.toml names the finding {recorded}, which is not filed"):
            run("report", *arguments)
    assert list(tmp_path.glob("page*")) == []


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
