"""``harness triage``, ``repro``, ``minimize`` and ``findings`` one after the other, as a person would use them."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.findings import crashes, store, verdicts
from harness.findings.crashes import Crash
from harness.findings.finding import Finding
from harness.findings.signature import finding_id
from harness.targets import known_findings
from tests.cli.running import run

DUPLICATE = "deserialize|differential|header.duplicate-key|accepted/metadata-key"
TWICE = b"\x3a\0\0\0\0\0\0\0" + b'{"__metadata__":{"format":"pt","key":"one","key":"two"}}  '
GONE = "safe_open|differential|layout.hole|accepted/start"


@pytest.fixture
def campaign(project: Path) -> Path:
    folder = project / "build" / "campaigns" / "main"
    for sig, data in ((DUPLICATE, TWICE), (GONE, b"nothing")):
        finding = Finding.of_signature(sig, "differential", "as found")
        store.add(folder, finding, data, parser="0.8.0", seed=1, execution=1)
    (folder / "campaign.json").write_text(json.dumps({"format": 1, "sessions": [{"targets": ["deserialize"]}]}))
    return folder


def test_from_a_campaign_to_a_verdict(campaign: Path, project: Path):
    status, text = run("findings")
    assert status == 1
    assert "2 findings in" in text
    assert "2 of them new" in text

    status, text = run("triage")
    assert status == 1
    assert "does not show again on any build; left in the campaign" in text
    assert "1 of 2 findings filed" in text
    name = finding_id(DUPLICATE)
    assert [crash.id for crash in crashes.crashes()] == [name]

    # What was filed is known now; what does not show is still new.
    status, text = run("findings", "--json")
    rows = {row["id"]: row for row in json.loads(text)}
    assert status == 1
    assert (rows[name]["known"], rows[finding_id(GONE)]["known"]) == (True, False)

    status, text = run("triage", "verdict", name, "by-design", "--why", "duplicates are kept for old files")
    assert (status, text) == (0, f"{name}: open -> by-design\n")
    crash = crashes.load(project / "crashes" / name)
    assert (crash.status, crash.verdict) == ("by-design", "duplicates are kept for old files")

    status, text = run("triage")
    assert status == 0
    assert f"{name}: known ({name})" in text


def test_the_json_of_findings_has_the_agreed_fields(campaign: Path):
    _, text = run("findings", "--campaign", campaign, "--json")
    for row in json.loads(text):
        assert {"id", "target", "oracle", "kind", "signature", "input", "known", "summary"} <= row.keys()
        assert row["kind"] in {"panic", "contract", "differential", "roundtrip", "memory", "time", "crash", "hang"}
        assert Path(row["input"]).is_file()
        assert row["known"] is False


def test_findings_ends_with_1_only_for_new_ones(campaign: Path, project: Path):
    (project / "verdicts.toml").write_text(
        '[[rule]]\nname="all-of-it"\nkind="differential"\nverdict="by-design"\nwhy="w"\nsentence="s"\n'
    )
    status, text = run("findings")
    assert status == 0
    assert "0 of them new" in text
    assert run("findings", "--strict")[0] == 0
    (project / "verdicts.toml").unlink()
    run("triage")
    store_folder = campaign / "findings" / finding_id(GONE)
    for path in store_folder.iterdir():
        path.unlink()
    assert run("findings")[0] == 0
    assert run("findings", "--strict")[0] == 1


def test_an_empty_campaign_has_no_findings(project: Path):
    folder = project / "build" / "campaigns" / "empty"
    folder.mkdir(parents=True)
    (folder / "campaign.json").write_text("{}")
    assert run("findings", "--json") == (0, "[]\n")
    assert run("triage")[0] == 0


def test_the_printed_command_is_one_that_works(campaign: Path):
    _, text = run("findings")
    command = re.search(r"^Reproduce with: harness (.*)$", text, re.MULTILINE)
    assert command is not None
    run(*shlex.split(command[1]))
    run("triage")
    _, text = run("minimize", finding_id(DUPLICATE))
    command = re.search(r"^Reproduce with: harness (.*)$", text, re.MULTILINE)
    assert command is not None
    assert run(*shlex.split(command[1]))[0] == 1
    for crash in crashes.crashes():
        assert run(*shlex.split(crash.repeat.removeprefix("harness ")))[0] == 1


def test_a_verdict_needs_a_finding_and_a_reason(campaign: Path):
    with pytest.raises(HarnessError, match="no filed finding is called 'x'"):
        run("triage", "verdict", "x", "fixed", "--why", "mended")
    with pytest.raises(HarnessError, match="a verdict needs a reason"):
        run("triage", "verdict", "x", "fixed", "--why", " ")


def test_a_truncated_description_is_named_and_nothing_is_lost(campaign: Path, project: Path):
    run("triage")
    path = project / "crashes" / finding_id(DUPLICATE) / crashes.ABOUT
    whole = path.read_text()
    path.write_text(whole[:100])
    for arguments in (["findings"], ["triage"], ["repro", finding_id(DUPLICATE)]):
        with pytest.raises(HarnessError, match=r"finding\.toml .*line \d") as caught:
            run(*arguments)
        assert caught.value.exit_status == 2
    assert path.read_text() == whole[:100]
    assert {p.name for p in path.parent.iterdir()} == {crashes.ABOUT, crashes.INPUT, crashes.REPRODUCER}


def test_unminimised_on_request_and_told_to_machines(campaign: Path):
    status, text = run("triage", "--no-minimize", "--json")
    (crash,) = crashes.crashes()
    assert crash.data() == TWICE
    assert status == 1
    rows = {row["id"]: row for row in json.loads(text[text.index("[") :])}
    assert rows[finding_id(GONE)] == {"id": finding_id(GONE), "outcome": "left"}
    filed = {"id": crash.id, "outcome": "filed", "folder": str(crash.folder), "size": len(TWICE), "proposals": []}
    assert rows[crash.id] == filed
    told = json.loads(run("triage", "verdict", crash.id, "open", "--why", "w", "--json")[1])
    assert told == {"id": crash.id, "was": "open", "status": "open", "rule": None, "written": False, "defect": None}


def test_a_decision_becomes_a_rule_that_is_listed(campaign: Path, project: Path):
    name = finding_id(GONE)
    status, text = run("triage", "verdict", name, "wont-fix", "--why", "old files", "--dry-run", "--rule")
    assert status == 0
    assert f"in main: {name} (seen once)" in text
    assert "nothing is written" in text
    assert not (project / "verdicts.toml").exists()
    told = json.loads(run("triage", "verdict", name, "wont-fix", "--why", "old files", "--json", "--rule", "holes")[1])
    assert (told["was"], told["status"], told["written"], told["rule"]["name"]) == ("new", "wont-fix", True, "holes")
    assert told["rule"]["campaigns"][0]["findings"] == [name]
    assert json.loads(run("findings", "--json")[1])[1]["covered_by"] == "verdict:holes"

    status, text = run("triage", "rules")
    assert status == 0
    assert f"holes: wont-fix, *|differential|layout.hole|accepted/start  ({project / 'verdicts.toml'})" in text
    assert "not tried: it matches nothing in crashes/, and no campaign drove its target" in text  # the package's own
    assert run("triage", "rules", "--strict")[0] == 0
    rows = {row["name"]: row for row in json.loads(run("triage", "rules", "--json")[1])}
    assert (rows["holes"]["matched"], rows["holes"]["stale"]) == (1, False)

    # With the finding gone, the rule is for nothing.
    for path in (campaign / "findings" / name).iterdir():
        path.unlink()
    status, text = run("triage", "rules", "--campaign", campaign)
    assert status == 0
    assert "STALE: it matches nothing in crashes/ and in 1 campaign" in text
    assert (text.count("STALE"), text.count("not tried")) == (1, len(verdicts.packaged_rules()))
    assert run("triage", "rules", "--strict")[0] == 1


def test_a_rule_that_hides_a_filed_bug_is_refused_and_nothing_is_written(campaign: Path, project: Path):
    name = finding_id(DUPLICATE)
    finding = Finding.of_signature(DUPLICATE, "differential", "s")
    filed = Crash(finding, status="open", why="w", sentence="No twins.")
    crashes.file(filed, TWICE, "")
    with pytest.raises(HarnessError, match=f"would hide {name}, filed as a bug; nothing is written") as caught:
        run("triage", "verdict", finding_id(GONE), "by-design", "--why", "w", "--rule-glob", "*", "--aspect", "*",
            "--rule")  # fmt: skip
    assert caught.value.exit_status == 2
    assert not (project / "verdicts.toml").exists()
    # By design: the folder says so, and the rule too.
    status, text = run("triage", "verdict", name, "by-design", "--why", "kept", "--rule")
    assert status == 0
    assert f"{name}: open -> by-design; the rule is in {project / 'verdicts.toml'}\n" in text
    assert crashes.load(project / "crashes" / name).status == "by-design"
    assert (
        known_findings.known(DUPLICATE.replace("deserialize", "safe_open"))
        == "verdict:header.duplicate-key-accepted-metadata-key"
    )


def test_what_a_rule_cannot_say(campaign: Path):
    name = finding_id(GONE)
    for arguments, words in (
        (("fixed", "--rule"), "fixed is no verdict of a rule"),
        (("wont-fix",), "wont-fix is a verdict of a rule"),
        (("by-design", "--target", "*"), "these options need a rule"),
        (("by-design", "--dry-run"), "these options need a rule"),
    ):
        with pytest.raises(HarnessError, match=words):
            run("triage", "verdict", name, *arguments, "--why", "w")
