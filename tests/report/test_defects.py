"""The pages of defects agree with the records in crashes/, and show each finding once."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness import paths
from harness.cli.report import command
from harness.findings import crashes
from harness.findings.defects import Defect, Edit, Quote
from harness.report import defects

ROOT = Path(__file__).parents[2]
FILED = crashes.crashes()
OPEN = [crash for crash in FILED if crash.status == crashes.OPEN]
DEFECT = Defect(
    name="base-buffer",
    title="`save` writes other values than a view has",
    cause="`_tobytes` ignores | strides.",
    places=("py_src/safetensors/numpy.py:100",),
    impact="A file holds <other> values.",
    harm="wrong data",
    controller="caller",
    use="ordinary",
    first="0.8.0",
    findings=(OPEN[0].id,),
    regression=True,
    threads=("issue 825", "PR 826", "elsewhere"),
    edits=(Edit("py_src/safetensors/numpy.py", "def _is_little_endian(", "def _is_little_endian("),),
)
QUOTES = (Quote("README.md", "MUST begin with"), Quote("tensor.rs, test_space", "assert!(ok)\n```"))
SECTION = re.compile(r"(?<=^## Findings in safetensors 0\.8\.0\n\n).*?(?=^## )", re.MULTILINE | re.DOTALL)


def recorded(path: Path, text: str) -> str:
    """The text of a committed page; with HARNESS_RECORD it becomes ``text``."""
    if os.environ.get("HARNESS_RECORD"):
        path.write_text(text, encoding="utf-8")
    return path.read_text(encoding="utf-8")


def test_the_committed_page_is_that_of_the_records():
    text = defects.page()
    assert recorded(ROOT / "docs/defects.md", text) == text, "run: harness report --defects docs/defects.md"


def test_the_readme_sums_up_the_records():
    readme = ROOT / "README.md"
    text = SECTION.sub(lambda _: f"{defects.summary()}\n", readme.read_text(encoding="utf-8"))
    assert recorded(readme, text) == text, "run: HARNESS_RECORD=1 python -m pytest tests/report/test_defects.py"


def test_every_finding_stands_in_the_long_form_once():
    text = defects.details()
    for crash in FILED:
        assert len(re.findall(rf"^\| \[{re.escape(crash.id)}\]", text, re.MULTILINE)) == 1, crash.id


def sections(text: str) -> dict[str, str]:
    """The text below each heading."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_the_worst_ten_stand_first_and_each_kind_in_its_place():
    counted = [replace(DEFECT, name=f"d-{n}", findings=(OPEN[n].id,)) for n in range(11)]
    records = [
        *counted,
        replace(DEFECT, name="worst", harm="memory safety", findings=(OPEN[11].id, OPEN[12].id)),
        replace(DEFECT, name="checked", wheel=False, findings=(OPEN[13].id,)),
        replace(DEFECT, name="argued", disputed=True, quotes=QUOTES, findings=(OPEN[14].id,)),
        replace(DEFECT, name="mended", findings=(OPEN[15].id,)),
    ]
    filed = [*OPEN[:15], replace(OPEN[15], status=crashes.FIXED, verdict="mended by them"), *OPEN[16:]]
    seen = defects.overview(filed, records)
    for page in (defects.page(seen), defects.details(seen)):
        assert (
            "12 defects in 13 findings: 12 critical; 12 with a fix; 1 more on checked builds alone; 1 disputed" in page
        )
        assert "mended.toml" not in page
        assert "mended by them" in sections(page)["Closed findings"]
    parts = sections(defects.page(seen))
    first = parts["Fix these first"].strip().splitlines()[2:]
    assert first[0].startswith(
        "| 1 | critical: memory safety | `save` writes other values than a view has | [numpy.py:100]("
    )
    assert first[0].endswith("| 0.8.0 (regression) | 2 | [worst](../crashes/defects/worst.toml) |")
    assert (len(first), parts["Other defects"].count("\n| 1")) == (10, 2)
    assert "[checked]" in parts["Only on checked builds"]
    assert "README.md; tensor.rs, test\\_space" in parts["Disputed"]
    found = parts["Not yet assigned"]
    assert [one.id for one in OPEN[:16] if one.id in found] == []


def test_a_defect_has_its_links():
    row = next(line for line in defects.page(defects.overview(OPEN, [DEFECT])).splitlines() if line.startswith("| 1 |"))
    upstream = "https://github.com/huggingface/safetensors"
    assert f"[numpy.py:100]({upstream}/blob/v0.8.0/bindings/python/py_src/safetensors/numpy.py#L100) | yes |" in row
    assert f"[issue 825]({upstream}/issues/825), [PR 826]({upstream}/pull/826), elsewhere" in row


def test_the_long_form_tells_cause_impact_and_fix():
    edit = Edit("py_src/safetensors/numpy.py", "def _is_little_endian(", "def _of_little_end(")
    text = defects.details(defects.overview(OPEN, [replace(DEFECT, edits=(edit,))]))
    assert (
        "### `save` writes other values than a view has\n\nA file holds \\<other> values.\n\n`_tobytes` ignores \\| "
        in text
    )
    assert (
        "-def _is_little_endian(tensor: np.ndarray) -> bool:\n+def _of_little_end(tensor: np.ndarray) -> bool:\n"
        in text
    )
    assert (
        "- rank: critical: wrong data, by ordinary use\n- input: controlled by the calling program, by the values"
        in text
    )
    disputed = defects.details(defects.overview(OPEN, [replace(DEFECT, disputed=True, quotes=QUOTES)]))
    assert "tensor.rs, test\\_space:\n\n````\nassert!(ok)\n```\n````\n" in disputed


def test_an_anchor_that_is_not_there_shows_the_texts():
    edit = Edit("py_src/safetensors/numpy.py", "nowhere\nat all", "there")
    text = defects.details(defects.overview(OPEN, [replace(DEFECT, edits=(edit,))]))
    assert "```diff\n--- bindings/python/py_src/safetensors/numpy.py\n@@\n-nowhere\n-at all\n+there\n```" in text


def test_the_readme_names_the_worst_few():
    records = [replace(DEFECT, name=f"d-{n}", title=f"defect {n}", findings=(OPEN[n].id,)) for n in range(7)]
    text = defects.summary(defects.overview(OPEN, records))
    assert text.startswith(
        "[7 defects](docs/defects.md) in 7 findings, 7 with a fix. Fix these first:\n\n- defect 0 (wrong"
    )
    assert text.count("\n- ") == defects.README_FIRST


def test_findings_without_a_record_are_grouped_the_worst_first():
    twin = replace(OPEN[0], finding=replace(OPEN[0].finding, target="safe_open"))
    filed = [
        replace(OPEN[1], severity="leniency"),
        *(replace(one, severity="memory safety") for one in (OPEN[0], twin)),
    ]
    rows = sections(defects.page(defects.overview(filed, [])))["Not yet assigned"].strip().splitlines()[-2:]
    assert [row.split(" | ")[0] for row in rows] == ["| memory safety", "| leniency"]
    assert defects.summary(defects.overview(filed, [])).startswith(
        "[3 open findings](docs/defects.md), not yet assigned"
    )


def test_what_only_checked_builds_show_says_what_the_wheel_does():
    crash = replace(OPEN[0], builds=("sancov",), instead="0.8.0-wheel: raise: SystemError: no")
    assert "sancov (on the wheel: raise: SystemError: no)" in defects.details(defects.overview([crash], [DEFECT]))


def test_text_of_an_input_is_no_markup():
    words = replace(OPEN[0].finding, summary="a\n# title <b>|*x*\x00")
    hostile = defects.overview([replace(OPEN[0], finding=words)], [])
    for page in (defects.page(hostile), defects.details(hostile)):
        assert "a\\\\x0a# title \\<b>\\|\\*x\\*\\\\x00" in page


def test_the_command_writes_both_pages_and_prints_the_short_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # The source of the release, from which the long form takes its patches, is here in both cases.
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "parsers").symlink_to(paths.parsers_dir())
    monkeypatch.setattr(paths, "build_dir", lambda: tmp_path / "build")
    place = tmp_path / "page.md"
    written = CliRunner().invoke(command, ["--defects", str(place)], standalone_mode=False)
    printed = CliRunner().invoke(command, [], standalone_mode=False)
    assert written.return_value == printed.return_value == 0
    assert place.read_text() == printed.output == defects.page()
    assert (tmp_path / "build/defects.md").read_text() == defects.details()
