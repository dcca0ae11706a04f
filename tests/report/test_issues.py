from __future__ import annotations

import base64
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.parsers.registry import Parser
from harness.report import gather, issues
from harness.report.gather import Campaign

NAME = "header.padding-83c1b013"


def test_one_file_per_new_finding(campaign: Campaign, tmp_path: Path):
    written = issues.write(gather.rows([campaign]), [campaign], tmp_path / "texts")
    assert {one.id for one in written} == {stored.id for stored in campaign.findings}
    assert {path.name for path in (tmp_path / "texts").iterdir()} == {f"{one.id}.md" for one in written}
    text = (tmp_path / "texts" / f"{NAME}.md").read_text()
    assert text.startswith("# deserialize&#58; accepted, but the format forbids it")
    assert "> The header data MAY be trailing padded with whitespace &#40;0x20&#41;" in text
    assert "<code>deserialize&#124;differential&#124;header.padding&#124;accepted/newline</code>" in text
    assert text.endswith(f"<!-- safetensors-harness: {NAME} -->\n")


def test_the_input_in_the_text_is_the_one_that_was_found(campaign: Campaign, tmp_path: Path, wheel_parser: Parser):
    issues.write(gather.rows([campaign]), [campaign], tmp_path)
    text = (tmp_path / f"{NAME}.md").read_text()
    found = re.search(r"<<'END'\n(\S+)\nEND", text)
    script = re.search(r"```python\n(.*?)\n```\n", text, re.DOTALL)
    assert found
    assert script
    data = base64.b64decode(found[1])
    assert data == next(stored for stored in campaign.findings if stored.id == NAME).data()
    # The reproducer in it shows the defect on the release that users have.
    (tmp_path / "input.safetensors").write_bytes(data)
    (tmp_path / "reproduce.py").write_text(script[1])
    done = subprocess.run(
        [sys.executable, "reproduce.py"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(wheel_parser.site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "shows: " in done.stdout


def test_nothing_of_an_input_is_markup(hostile: Campaign, tmp_path: Path):
    (one,) = issues.write(gather.rows([hostile]), [hostile], tmp_path)
    text = one.file.read_text()
    prose = re.sub(r"^(`{3,}).*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert "<script" not in prose
    assert "@all" not in prose
    assert "alert(1)" not in prose
    assert prose.count("-->") == 1
    assert one.title.isprintable()
    assert len(one.title) <= 120


def test_known_ones_have_no_issue(campaign: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("HARNESS_HOME")
    assert issues.write(gather.rows([campaign]), [campaign], tmp_path) == []


def test_a_folder_that_cannot_be_made(hostile: Campaign, tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(HarnessError, match="cannot write into"):
        issues.write(gather.rows([hostile]), [hostile], tmp_path / "file")
