from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness import paths
from harness.cli.report import command
from harness.findings import crashes
from harness.findings.severity import SEVERITIES
from harness.report import defects

ROOT = Path(__file__).parents[2]
FILED = crashes.crashes()


def test_the_committed_page_is_that_of_the_filed_findings():
    assert (ROOT / "docs/defects.md").read_text() == defects.page(), "run: harness report --defects docs/defects.md"


def test_the_readme_counts_as_the_page_does():
    said = re.search(r"^(\d+) defects in (\d+) findings", defects.page(), re.MULTILINE)
    assert said
    assert f"[{said[1]} open defects](docs/defects.md) in {said[2]} findings" in (ROOT / "README.md").read_text()


def test_every_open_finding_stands_on_the_page_once():
    text = defects.details()
    for crash in FILED:
        assert len(re.findall(rf"^\| \[{re.escape(crash.id)}\]", text, re.MULTILINE)) == 1, crash.id


def test_the_short_page_has_one_line_per_defect_and_counts_every_finding():
    short, long = defects.page(), defects.details()
    rows = re.findall(
        rf"^\| (?:{'|'.join(SEVERITIES)}) \| .* \| (\d+) \| \[\S+\]\(\.\./(\S+)\) \|$", short, re.MULTILINE
    )
    assert len(rows) == len(re.findall("^### ", long, re.MULTILINE)) > 0
    assert sum(int(count) for count, _ in rows) == sum(crash.status == crashes.OPEN for crash in FILED)
    assert [folder for _, folder in rows if not (ROOT / folder).is_dir()] == []


def test_the_worst_comes_first_and_decided_ones_last():
    first, second, third = FILED[:3]
    filed = [
        replace(first, severity="leniency"),
        replace(second, severity="memory safety"),
        replace(third, status=crashes.BY_DESIGN, verdict="as the text | says"),
    ]
    for page in (defects.page(filed), defects.details(filed)):
        places = [page.index(f"[{crash.id}]") for crash in (second, first, third)]
        assert places == sorted(places)
        assert "2 defects in 2 findings" in page
    assert (
        f"| [{third.id}](../crashes/{third.id}/finding.toml) | by-design | as the text \\| says |"
        in defects.details(filed)
    )


def test_what_a_person_found_out_of_a_defect_stands_there_once():
    twins = [replace(FILED[0], verdict="read | twice"), replace(FILED[0], verdict="read | twice")]
    other = replace(FILED[0], verdict="and once")
    page = defects.details([*twins, other])
    assert (page.count("read \\| twice"), page.count("and once")) == (1, 1)


def test_what_only_checked_builds_show_says_what_the_wheel_does():
    page = defects.details([replace(FILED[0], builds=("sancov",), instead="0.8.0-wheel: raise: SystemError: no")])
    assert "sancov (on the wheel: raise: SystemError: no)" in page


def test_text_of_an_input_is_no_markup():
    hostile = [replace(FILED[0], finding=replace(FILED[0].finding, summary="a\n# title <b>|*x*\x00"))]
    for page in (defects.page(hostile), defects.details(hostile)):
        assert "a\\\\x0a# title \\<b>\\|\\*x\\*\\\\x00" in page


def test_every_filed_finding_has_one():
    assert {crash.severity for crash in FILED} <= set(SEVERITIES)


def test_the_command_writes_both_pages_and_prints_the_short_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(paths, "build_dir", lambda: tmp_path / "build")
    place = tmp_path / "page.md"
    written = CliRunner().invoke(command, ["--defects", str(place)], standalone_mode=False)
    printed = CliRunner().invoke(command, [], standalone_mode=False)
    assert written.return_value == printed.return_value == 0
    assert place.read_text() == printed.output == defects.page()
    assert (tmp_path / "build/defects.md").read_text() == defects.details()
