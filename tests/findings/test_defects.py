"""The records of defects: what is read, and what is refused by name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.findings import crashes, defects

RECORD = """\
title = "save writes the buffer of the base array"
cause = "The address is taken before the copy."
places = ["bindings/python/src/lib.rs:100"]
impact = "A saved file holds other values."
harm = "wrong data"
controller = "caller"
use = "ordinary"
first = "0.8.0"
regression = true
threads = ["issue 825"]
findings = ["{finding}"]

[[edits]]
file = "py_src/safetensors/numpy.py"
anchor = "a"
replacement = "b"
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "defects").mkdir()
    for name in ("one-1", "two-2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / crashes.ABOUT).write_text("")
    return tmp_path


def put(root: Path, name: str, text: str) -> Path:
    path = root / "defects" / f"{name}.toml"
    path.write_text(text)
    return path


def test_a_record_is_read_and_ranked(root: Path) -> None:
    put(root, "base-buffer", RECORD.format(finding="one-1"))
    put(root, "in-checks", RECORD.format(finding="two-2").replace("regression = true", "wheel = false"))
    first, second = defects.defects(root)
    assert (first.name, first.severity, first.edits[0].replacement) == ("base-buffer", "critical", "b")
    assert (second.severity, second.counts) == ("low", False)
    assert defects.owner("two-2", (first, second)) == second
    assert defects.owner("none", (first, second)) is None


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('harm = "wrong data"', 'harm = "bad"', "harm 'bad' is none of"),
        ('title = "save writes the buffer of the base array"', "", "text field 'title' is missing"),
        ('use = "ordinary"', 'use = "never"', "use 'never' is none of"),
        ("lib.rs:100", "lib.rs", "is not file:line"),
        ('first = "0.8.0"', 'first = "now"', "is no release"),
        ("regression = true", 'regression = "yes"', "regression is not true or false"),
        ("regression = true", "disputed = true", "quotes both sides"),
        ('anchor = "a"\n', "", "one of edits has other fields"),
        ("regression = true", "surprise = 1", "unknown field surprise"),
        ('findings = ["{finding}"]', "findings = []", "findings is empty"),
        ("regression = true", "regression = tru", "is damaged"),
    ],
)
def test_a_bad_record_is_refused_with_its_fault(root: Path, old: str, new: str, fault: str) -> None:
    put(root, "bad", RECORD.replace(old, new).replace("{finding}", "one-1"))
    with pytest.raises(HarnessError, match=fault) as caught:
        defects.defects(root)
    assert "bad.toml" in str(caught.value)


def test_a_finding_belongs_to_one_record_and_must_be_filed(root: Path) -> None:
    put(root, "one", RECORD.format(finding="one-1"))
    twice = put(root, "other", RECORD.format(finding="one-1"))
    with pytest.raises(HarnessError, match="both name the finding one-1"):
        defects.defects(root)
    twice.write_text(RECORD.format(finding="gone-3"))
    with pytest.raises(HarnessError, match="gone-3, which is not filed"):
        defects.defects(root)
    put(root, "Odd_name", RECORD.format(finding="two-2"))
    with pytest.raises(HarnessError, match="lower-case words"):
        defects.defects(root)


def test_every_record_of_the_project_is_sound() -> None:
    assert all(defect.path.is_file() for defect in defects.defects())


def test_the_documentation_lists_the_fields_and_its_example_is_a_record(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs/triage.md").read_text()
    section = text.partition("## Defects")[2].partition("\n## ")[0]
    fields = re.findall(r"^\| `(?:\[\[)?(\w+)", section, re.MULTILINE)
    assert set(fields) == defects._KEYS - {"quotes"}
    path = tmp_path / "example.toml"
    path.write_text(re.findall(r"```toml\n(.*?)```", section, re.DOTALL)[0])
    example = defects.load(path)
    assert (example.severity, len(example.edits)) == ("critical", 1)
    said = " ".join(section.partition("from points. ")[2].partition(". A stranger")[0].split())
    for harm, points in defects._POINTS.items():
        assert re.search(rf"\b{harm}\b[^,.]* {points}\b", said, re.IGNORECASE), harm
