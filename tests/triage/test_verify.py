"""Verdicts on the defects of a change, on real builds: the newest release, and copies of it with another Python layer."""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.findings import crashes
from harness.findings.defects import Defect
from harness.parsers import registry
from harness.parsers.registry import Parser
from harness.parsers.upstream_tests import CRATE, PYTHON, Results, compare
from harness.targets.registry import all_targets
from harness.triage import verify
from harness.triage.verify import CANNOT, DIFFERENT, MENDED, STILL, Judged, Pair, Told, Verification

FILED = Path(__file__).parents[2] / "crashes"
CHANGES = sorted(Path(__file__).with_name("changes").glob("*.toml"))
BROADCAST = "roundtrip.written-1b74f750"
BACKWARDS = "roundtrip.written-1bf6058f"
TWICE = "header.duplicate-key-828a18b8"
#: It needs a framework that the tests' environment lacks.
FLAX = "misread-8032b8ac"

RECORD = """\
title = "a title"
cause = "a cause"
places = ["py_src/safetensors/numpy.py:19"]
impact = "an impact"
harm = "wrong data"
controller = "caller"
use = "ordinary"
first = "0.8.0"
findings = [{}]
"""
#: A fix that mends nothing.
USELESS = """
[[edits]]
file = "py_src/safetensors/numpy.py"
anchor = "import os\\n"
replacement = "import os  # used\\n"
"""
COPIED = "tensor = v if v.flags.c_contiguous else v.copy()\n        keep_alive_buffer.append(tensor)\n"

Change = Callable[[str, str], Pair]


@pytest.fixture
def change(project: Path, sancov_parser: Parser, wheel_parser: Parser) -> Change:
    """Makes the release before, and after it a copy with another text in its module for numpy."""

    def made(old: str, new: str) -> Pair:
        for parser, name in ((sancov_parser, "after"), (wheel_parser, "after-wheel")):
            shutil.copytree(parser.root, project / "build/parsers" / name)
            module = project / "build/parsers" / name / "site/safetensors/numpy.py"
            assert module.read_text().count(old) == 1
            module.write_text(module.read_text().replace(old, new))
        return Pair(sancov_parser, wheel_parser, registry.find("after"), registry.find("after-wheel"))

    return made


def put(project: Path, name: str, *findings: str) -> None:
    (project / "crashes/defects").mkdir(exist_ok=True)
    for finding in findings:
        shutil.copytree(FILED / finding, project / "crashes" / finding)
    text = RECORD.format(", ".join(f'"{finding}"' for finding in findings))
    (project / "crashes/defects" / f"{name}.toml").write_text(text)


def told(pair: Pair) -> dict[str, Judged]:
    all_targets()
    said: list[str] = []
    done = verify.verify(pair, (), said.append, tests=False)
    assert said
    return {one.defect.name: one for one in done.defects}


def test_each_defect_is_mended_or_still_there_or_cannot_be_told(change: Change, project: Path) -> None:
    put(project, "layouts", BACKWARDS, BROADCAST)
    put(project, "keys", TWICE)
    put(project, "flax", FLAX)
    found = told(change("tensor = v\n", COPIED))
    assert {name: one.verdict for name, one in found.items()} == {"layouts": MENDED, "keys": STILL, "flax": CANNOT}
    assert found["layouts"].count(MENDED) == 2
    assert "not installed" in found["flax"].told[0].why


def test_a_defect_of_which_a_part_is_left_is_still_there(change: Change, project: Path) -> None:
    put(project, "layouts", BACKWARDS, BROADCAST)
    found = told(change("tensor = v\n", COPIED.replace("v.flags.c_contiguous", "0 in v.strides")))["layouts"]
    assert found.verdict == STILL
    assert {one.finding.id: one.verdict for one in found.told} == {BACKWARDS: MENDED, BROADCAST: STILL}


def test_a_change_that_raises_something_else_shows_differently(change: Change, project: Path) -> None:
    put(project, "layouts", BACKWARDS)
    (found,) = told(change("tensor = v\n", "tensor = v if v.flags.c_contiguous else {}['no']\n")).values()
    assert found.verdict == DIFFERENT
    assert re.fullmatch("now writers.*KeyError.*", found.told[0].why)


@pytest.mark.parametrize("path", CHANGES, ids=lambda path: path.stem)
def test_upstreams_changes_of_issue_825_mend_it(change: Change, project: Path, path: Path) -> None:
    put(project, "layouts", BACKWARDS, BROADCAST)
    (edit,) = tomllib.loads(path.read_text())["edits"]
    assert told(change(edit["anchor"], edit["replacement"]))["layouts"].count(MENDED) == 2


def test_a_finding_that_does_not_show_before_the_change_tells_nothing(change: Change, project: Path) -> None:
    put(project, "layouts", BACKWARDS)
    pair = change("tensor = v\n", COPIED)
    (found,) = told(Pair(pair.after, pair.after_plain, pair.before, pair.before_plain)).values()
    assert (found.verdict, found.told[0].why) == (CANNOT, "it does not show on after")


def test_a_mended_finding_that_the_campaign_meets_is_still_there(project: Path) -> None:
    put(project, "layouts", BACKWARDS, BROADCAST)
    all_targets()
    one, two = (crashes.load(project / "crashes" / name) for name in (BACKWARDS, BROADCAST))
    judged = Judged(_defect(), (Told(one, MENDED), Told(two, MENDED)))
    (seen,) = verify.seen_again([judged], [one.signature], project)
    assert [told.verdict for told in seen.told] == [STILL, MENDED]
    assert "another input shows it" in seen.told[0].why


def _defect() -> Defect:
    return Defect("layouts", "a", "b", ("a:1",), "c", "wrong data", "caller", "ordinary", "0.8.0", (BACKWARDS,))


def test_the_faults_of_a_change(project: Path, sancov_parser: Parser, wheel_parser: Parser) -> None:
    put(project, "layouts", BACKWARDS)
    all_targets()
    crash = crashes.load(project / "crashes" / BACKWARDS)
    pair = Pair(sancov_parser, wheel_parser, sancov_parser, wheel_parser)

    def faults(verdict: str, *, named: bool, **more: object) -> list[str]:
        judged = Judged(_defect(), (Told(crash, verdict),), named)
        return Verification(pair, (judged,), **more).faults  # type: ignore[arg-type]

    assert [faults(word, named=True) for word in (MENDED, STILL, CANNOT, DIFFERENT)] == [
        [],
        ["layouts: still there"],
        ["layouts: cannot tell"],
        ["layouts: shows differently"],
    ]
    assert [faults(word, named=False) for word in (MENDED, STILL, CANNOT)] == [[], [], []]
    assert faults(DIFFERENT, named=False) == ["layouts shows differently"]
    broken = compare(PYTHON, Results({"a": "passed"}), Results({"a": "failed"}))
    assert faults(MENDED, named=True, tests=(broken,), new=(("id", "signature", "words"),)) == [
        "a: fails",
        "new finding id",
    ]


def test_a_test_that_fails_on_both_sides_or_cannot_run_is_not_broken() -> None:
    before = Results({"old": "failed", "kept": "passed", "bad": "failed"}, {"no": "no torch"})
    after = Results({"old": "failed", "kept": "failed", "bad": "passed", "fresh": "failed"}, {"no": "no torch"})
    found = compare(CRATE, before, after)
    assert found.broken == {"kept": "fails", "fresh": "fails"}
    assert (found.before, found.mended, found.unable) == (["old"], ["bad"], {"no": "no torch"})
    gone = compare(CRATE, before, Results({}, {"": "it does not compile"}))
    assert gone.broken == {"": "it does not compile"}
    assert compare(CRATE, Results({}, {"": "no tests"}), after).broken == {}


def test_changed_files_are_named_as_in_the_sdist(project: Path, sancov_parser: Parser) -> None:
    root = project / "build/parsers/checkout"
    shutil.copytree(sancov_parser.root, root)
    assert verify.changed_files(sancov_parser, registry.find("checkout")) == []
    (root / "src/bindings/python/py_src").mkdir()
    (root / "src/py_src/safetensors").rename(root / "src/bindings/python/py_src/safetensors")
    assert verify.changed_files(sancov_parser, registry.find("checkout")) == []
    for name in (
        "bindings/python/py_src/safetensors/torch.py",
        "safetensors/src/tensor.rs",
        "bindings/python/tests/test_simple.py",
    ):
        with (root / "src" / name).open("a") as file:
            file.write("# more\n")
    (root / "src/safetensors/src/new.rs").touch()
    changed = ["py_src/safetensors/torch.py", "safetensors/src/new.rs", "safetensors/src/tensor.rs"]
    assert verify.changed_files(sancov_parser, registry.find("checkout")) == changed
