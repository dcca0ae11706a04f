"""Proposals of a record for a filed finding, and the decision of a person."""

from __future__ import annotations

import json
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.findings import crashes, defects
from harness.findings.crashes import Crash
from harness.findings.defects import Defect
from harness.findings.finding import Finding
from harness.parsers.registry import Parser
from harness.triage import defect_proposals, filing
from tests.cli.running import run
from tests.findings.test_defects import RECORD

TWICE = b"\x3a\0\0\0\0\0\0\0" + b'{"__metadata__":{"format":"pt","key":"one","key":"two"}}  '
KEYS = "deserialize|differential|header.duplicate-key|accepted/metadata-key"
EDITS = '\n[[edits]]\nfile = "a.py"\nanchor = "findings = [1]"\nreplacement = "b"\n'


def filed(signature: str, data: bytes = TWICE, place: str = "") -> Crash:
    finding = Finding.of_signature(signature, "differential", "s")
    return crashes.load(crashes.file(Crash(finding, status="open", why="w", place=place), data, ""))


def put(project: Path, name: str, *findings: str, form: str = '["{}"]', more: str = "") -> Path:
    folder = project / "crashes" / "defects"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.toml"
    listed = form.replace("{}", '", "'.join(findings))
    path.write_text(RECORD.partition("findings =")[0] + f"# a remark\nfindings = {listed}\n{more}")
    return path


def proposed(crash: Crash) -> list[tuple[str, tuple[str, ...]]]:
    found = defect_proposals.propose(crash, defects.defects(), crashes.crashes())
    return [(one.defect.name, one.reasons) for one in found]


def test_the_place_goes_before_rule_and_aspect(project: Path):
    here, there = filed(KEYS), filed("deserialize|differential|layout.hole|accepted/start")
    put(project, "by-rule", here.id)
    put(project, "by-place", there.id)
    crash = filed(KEYS.replace("deserialize", "safe_open"), place="bindings/python/src/lib.rs:100")
    # Both records have this place; only one has a finding of that rule.
    assert proposed(crash) == [
        ("by-place", ("same place: bindings/python/src/lib.rs:100",)),
        ("by-rule", ("same place: bindings/python/src/lib.rs:100", f"same rule and aspect: {here.id}")),
    ]
    assert proposed(replace(crash, place="")) == [("by-rule", (f"same rule and aspect: {here.id}",))]
    near = "near its place: bindings/python/src/lib.rs:100"
    assert proposed(replace(crash, place="bindings/python/src/lib.rs:130")) == [
        ("by-rule", (near, f"same rule and aspect: {here.id}")),
        ("by-place", (near,)),
    ]
    assert len(proposed(replace(crash, place="bindings/python/src/lib.rs:131"))) == 1
    assert proposed(replace(crash, place="elsewhere.rs:100")) == [("by-rule", (f"same rule and aspect: {here.id}",))]
    put(project, "owner", crash.id)
    assert proposed(crash) == []


#: Overflow checks show it, and the wheel does not.
CHECKED = next(one for one in crashes.crashes() if one.id == "panic-a4b0586e")


def test_a_fix_that_mends_it_names_the_records_of_its_target(project: Path, wheel_parser: Parser):
    hole = f"{CHECKED.target}|differential|layout.hole|accepted/start"
    put(project, "with-fix", filed(hole).id, more=EDITS)
    put(project, "without-fix", filed(hole.replace("start", "end")).id)
    put(project, "elsewhere", filed(KEYS).id, more=EDITS)
    shutil.copytree(CHECKED.folder, project / "crashes" / CHECKED.id)
    (crash,) = (one for one in crashes.crashes() if one.id == CHECKED.id)
    assert proposed(crash) == []
    (project / "build/parsers/0.8.0-mended").symlink_to(wheel_parser.root)
    why = f"mended by the fixes: 0.8.0-mended does not show it, and a finding on {crash.target} has this record"
    assert proposed(crash) == [("with-fix", (why,))]
    # The wheel shows this one as the other build does.
    put(project, "of-files", filed("safe_open|differential|layout.hole|accepted/start").id, more=EDITS)
    both = filed(KEYS.replace("deserialize", "safe_open"))
    assert len(filing.shows(both.target, both.signature, both.data())) == 3
    assert [name for name, _ in proposed(both)] == ["elsewhere"]


@pytest.mark.parametrize(
    ("form", "longer"),
    [
        ('["{}"]', 'findings = ["{}", "{new}"]'),
        ('[ "{}", ]', 'findings = [ "{}", "{new}", ]'),
        ('[\n    "{}",\n]', 'findings = [\n    "{}",\n    "{new}",\n]'),
        ('[\n\t"{}"\n]', 'findings = [\n\t"{}",\n\t"{new}"\n]'),
    ],
)
def test_a_decision_adds_the_finding_and_keeps_the_rest(project: Path, form: str, longer: str):
    old, new = filed(KEYS), filed("deserialize|differential|layout.hole|accepted/start")
    path = put(project, "names", old.id, form=form, more=EDITS)
    before = path.read_text()
    status, text = run("triage", "defect", new.id, "names")
    assert (status, text) == (0, f"{new.id}: now in {path}\n")
    listed = form.replace("{}", old.id)
    assert path.read_text() == before.replace(
        f"findings = {listed}", longer.format(old.id, new=new.id).replace("{}", old.id)
    )
    assert defects.find("names").findings == (old.id, new.id)
    assert tomllib.loads(path.read_text())["edits"] == tomllib.loads(before)["edits"]


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ("there is no defect 'nothing'; the records are: names, others", ("{new}", "nothing")),
        ("no filed finding is called 'gone-1'", ("gone-1", "names")),
        ("the defect names names {old} already", ("{old}", "others")),
        ("the defect names names {old} already", ("{old}", "names")),
        ("cannot be extended", ("{new}", "others")),
    ],
)
def test_a_decision_that_cannot_be_is_refused_and_nothing_is_written(
    project: Path, words: str, arguments: tuple[str, str]
):
    old, other = filed(KEYS), filed("safe_open|differential|layout.hole|accepted/start")
    new = filed("deserialize|differential|layout.hole|accepted/start")
    paths = [put(project, "names", old.id), put(project, "others", other.id, form='["{}" # one ]\n]')]
    before = [path.read_text() for path in paths]
    with pytest.raises(HarnessError, match=words.format(old=old.id)) as caught:
        run("triage", "defect", *(word.format(old=old.id, new=new.id) for word in arguments))
    assert caught.value.exit_status == 2
    assert caught.value.hint
    assert [path.read_text() for path in paths] == before


def test_a_record_of_the_package_is_copied(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    old, new = filed(KEYS), filed("deserialize|differential|layout.hole|accepted/start")
    packaged = put(project, "names", old.id).rename(tmp_path / "names.toml")
    package = tmp_path / "package" / "defects"
    package.mkdir(parents=True)
    packaged = packaged.rename(package / "names.toml")
    monkeypatch.setattr(crashes, "roots", lambda: [project / "crashes", package.parent])
    before = packaged.read_text()
    run("triage", "defect", new.id, "names")
    assert packaged.read_text() == before
    assert defects.find("names").path == project / "crashes/defects/names.toml"
    assert defects.find("names").findings == (old.id, new.id)


def test_records_are_listed_the_worst_first(project: Path):
    one, other = filed(KEYS), filed("deserialize|differential|layout.hole|accepted/start")
    put(project, "names", one.id, more=EDITS)
    status, text = run("triage", "defects")
    assert status == 0
    assert "critical  wrong data        names (fix)\n          save writes the buffer" in text
    assert f"bindings/python/src/lib.rs:100; since 0.8.0 (regression); {one.id}\n" in text
    assert f"1 open findings have no record: {other.id}\n" in text
    (told,) = json.loads(run("triage", "defects", "--json")[1])
    assert (told["name"], told["rank"], told["findings"], told["fix"]) == ("names", "critical", [one.id], True)
    assert isinstance(defects.find("names"), Defect)


def test_disputed_needs_a_record_with_both_sides(project: Path):
    crash = filed(KEYS)
    with pytest.raises(HarnessError, match=f"no disputed record names {crash.id}"):
        run("triage", "verdict", crash.id, "disputed", "--why", "both say so")
    path = put(project, "names", crash.id)
    with pytest.raises(HarnessError, match=f"no disputed record names {crash.id}"):
        run("triage", "verdict", crash.id, "disputed", "--why", "both say so")
    quotes = "".join(f'\n[[quotes]]\nsource = "{name}"\ntext = "t"\n' for name in ("README.md", "test"))
    path.write_text(path.read_text().replace("regression = true", "disputed = true") + quotes)
    assert run("triage", "verdict", crash.id, "disputed", "--why", "both say so")[0] == 0
    assert crashes.load(crash.folder).status == "disputed"
    status, text = run("triage", "verdict", crash.id, "by-design", "--why", "kept")
    assert status == 0
    assert f"the defect names still names it: take it out of {path}\n" in text
