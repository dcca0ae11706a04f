from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli.main import group
from harness.errors import HarnessError
from harness.findings import crashes, store
from harness.findings.crashes import Crash
from harness.findings.finding import Finding
from tests.findings.test_defects import RECORD


def test_no_campaign_says_how_to_run_one(project: Path):
    for command in ("findings", "triage"):
        result = CliRunner().invoke(group, [command], standalone_mode=False)
        assert isinstance(result.exception, HarnessError)
        assert "harness fuzz" in result.exception.hint
        assert result.exception.exit_status == 2


def test_a_folder_that_is_no_campaign(project: Path):
    result = CliRunner().invoke(group, ["findings", "--campaign", "crashes"], standalone_mode=False)
    assert isinstance(result.exception, HarnessError)
    assert "is no campaign folder" in str(result.exception)


@pytest.mark.parametrize("command", ["repro", "check", "minimize", "explain", "findings", "triage"])
def test_every_help_has_an_example_that_parses(command: str):
    text = CliRunner().invoke(group, [command, "--help"]).output
    assert "Example: harness" in " ".join(text.split())
    assert f"harness {command}" in " ".join(text.split())


def test_a_known_finding_names_its_defect(project: Path):
    finding = Finding.of_signature("safe_open|differential|layout.hole|accepted/start", "differential", "s")
    crashes.file(Crash(finding, status="open", why="w"), b"x", "")
    (project / "crashes" / "defects").mkdir()
    (project / "crashes" / "defects" / "base-buffer.toml").write_text(RECORD.replace("{finding}", finding.id))
    folder = project / "build" / "campaigns" / "main"
    # Of numpy's loader it is known, too: that is built on safe_open.
    for target in ("safe_open", "numpy", "huge"):
        store.add(folder, finding.on(target), b"x", parser="0.8.0", seed=1)
    (folder / "campaign.json").write_text("{}")
    result = CliRunner().invoke(group, ["findings"], standalone_mode=False)
    assert result.output.count("defect base-buffer (critical): save writes the buffer of the base array\n") == 2
    told = json.loads(CliRunner().invoke(group, ["findings", "--json"], standalone_mode=False).output)
    assert {row["target"]: (row["defect"], row["rank"]) for row in told} == {
        "safe_open": ("base-buffer", "critical"),
        "numpy": ("base-buffer", "critical"),
        "huge": (None, None),
    }


def test_how_often_a_finding_was_seen_is_what_the_ledger_says(project: Path):
    folder = project / "build" / "campaigns" / "main"
    finding = Finding.of_signature("deserialize|differential|layout.hole|accepted/start", "differential", "s")
    store.add(folder, finding, b"x", parser="0.8.0", seed=1, execution=1)
    sessions = [{"findings": {"layout.hole-2cc0ad64": {"count": count}}} for count in (5, 7)]
    (folder / "campaign.json").write_text(json.dumps({"sessions": sessions}))
    result = CliRunner().invoke(group, ["findings"], standalone_mode=False)
    assert "1 bytes, seen 12 times" in result.output
    result = CliRunner().invoke(group, ["findings", "--json"], standalone_mode=False)
    assert json.loads(result.output)[0]["count"] == 12
