"""Every report says which targets did not run, and none of them is green."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from harness.cli import fuzz
from harness.report import gather, html, junit, sarif, summary
from harness.report.gather import Campaign
from harness.targets import registry
from tests.cli.running import run

#: How a night ends for a target, and the result of its case in JUnit.
CASES = {"ran": "", "short": "error", "late": "error", "broken": "error", "jax": "skipped"}


def session(*left: str) -> dict[str, Any]:
    """A session in which the targets ``left`` of CASES and no others met their end."""
    spent = {"ran": {"executions": 90, "seeds": 9}, "short": {"executions": 3, "seeds": 9}, "late": {"executions": 0}}
    return {
        "started": "2026-01-01T00:00:00+00:00", "parser": "0.8.0", "ended": "time", "executions": 93, "seconds": 5.0,
        "cpu_seconds": 5.0, "targets": [name for name in left if name != "jax"], "findings": {}, "replaced": {},
        "per_target": {name: spent[name] for name in left if name in spent}, "not_fuzzed": ["short", "late"],
        "left_out": {name: "broken: no library" for name in left if name == "broken"}, "passed_over": {}, "skipped": [],
        "not_installed": {name: "jax is not installed" for name in left if name == "jax"}, "too_wide": [],
    }  # fmt: skip


def campaign(folder: Path, *left: str) -> Campaign:
    folder.mkdir()
    (folder / "campaign.json").write_text(json.dumps({"format": 1, "sessions": [session(*left)]}))
    return gather.campaign(folder)


def results(text: str) -> dict[str, str]:
    """By target, the result of its case: "" where it passed."""
    cases = ET.fromstring(text).iter("testcase")
    return {str(one.get("name")): next((sub.tag for sub in one if sub.tag != "system-out"), "") for one in cases}


def invocation(*campaigns: Campaign) -> tuple[bool, dict[str, str]]:
    """Whether the log says success, and the notifications with their levels."""
    (found,) = sarif.sarif([], campaigns)["runs"][0]["invocations"]
    told = {one["message"]["text"]: one["level"] for one in found["toolExecutionNotifications"]}
    return found["executionSuccessful"], told


def test_every_form_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = campaign(tmp_path / "night", *CASES)
    assert results(junit.junit([], [one])) == CASES
    success, told = invocation(one)
    assert not success
    assert told == {
        "campaign night: target short: not past its seeds: it ran 3 of its 9 seeds and nothing else": "error",
        "campaign night: target late: no execution: the time ended before it ran an input": "error",
        "campaign night: target broken: left out: broken: no library": "error",
        "campaign night: target jax: jax is not installed": "warning",
    }
    text = summary.summary([], [one])
    assert text.startswith("# Nothing new; 3 of 5 targets did not run, 1 is not installed\n")
    assert "| late | no execution | <code>the time ended before it ran an input</code> |" in text
    (figures,) = summary.figures([one])
    assert {name: state["state"] for name, state in figures["not_run"].items()} == {
        "short": "not past its seeds", "late": "no execution", "broken": "left out", "jax": "not installed",
    }  # fmt: skip
    page = html.page([one], tmp_path)
    assert "; 3 of 5 targets did not run, 1 is not installed</h1>" in page
    assert "<dt>Targets not run</dt><dd>4</dd>" in page
    rows = page.split('id="not-run"')[1].split("</section>")[0].split("<tbody>")[1]
    assert [row.split("<bdi>")[1].split("</bdi>")[0] for row in rows.split("<tr>")[1:]] == [
        name for name in CASES if name != "ran"
    ]
    fuzz.report(one.sessions, one.folder)
    assert "3 of 5 targets did not run, 1 is not installed:\n  short: not past" in capsys.readouterr().err


def test_a_campaign_in_which_all_ran_is_a_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = campaign(tmp_path / "night", "ran")
    assert results(junit.junit([], [one])) == {"ran": ""}
    assert invocation(one) == (True, {})
    assert summary.summary([], [one]).startswith("# Nothing new\n")
    page = html.page([one], tmp_path)
    assert "not-run" not in page
    assert "Targets not run" not in page
    fuzz.report(one.sessions, one.folder)
    assert capsys.readouterr().err == ""


def test_a_target_counts_that_ran_in_another_campaign_only(tmp_path: Path) -> None:
    both = [campaign(tmp_path / "one", "ran"), campaign(tmp_path / "two", "late")]
    assert summary.summary([], both).startswith("# Nothing new; 1 of 2 targets did not run\n")
    assert not invocation(*both)[0]


def test_a_target_that_nobody_asked_for_did_not_run_where_that_is_asked(tmp_path: Path) -> None:
    one = campaign(tmp_path / "night", "ran")
    files = {name: tmp_path / name for name in ("junit", "sarif", "summary", "html")}
    words = [word for name, place in files.items() for word in (f"--{name}", place)]
    assert run("report", "--campaign", one.folder, *words, "--every-target")[0] == 0
    absent = registry.not_installed()
    found = results(files["junit"].read_text())
    assert found.pop("ran") == ""
    assert found == {name: "skipped" if name in absent else "error" for name in registry.all_targets()}
    log = json.loads(files["sarif"].read_text())["runs"][0]["invocations"][0]
    assert not log["executionSuccessful"]
    assert "no campaign: target slices: no execution: no campaign asked for it" in {
        note["message"]["text"] for note in log["toolExecutionNotifications"]
    }
    able = len(found) - len(absent)
    assert f"; {able} of {len(found) + 1} targets did not run" in files["summary"].read_text().splitlines()[0]
    assert "no campaign" not in (files["html"] / "index.html").read_text().split('id="environment"')[1]
    # Where no campaign is left at all, nothing is green either.
    assert run("report", "--summary", files["summary"], "--every-target")[0] == 0
    assert files["summary"].read_text().startswith("# Nothing new; no target ran\n")
