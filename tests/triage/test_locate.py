"""Places of filed findings, on the coverage build."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.findings import crashes
from harness.findings.crashes import Crash
from harness.findings.finding import Finding
from harness.parsers.registry import Parser
from harness.targets.registry import get_target
from harness.triage.inputs import of_crash, resolve
from harness.triage.locate import SHOWN, Located, locate
from harness.triage.neighbours import neighbours
from tests.cli import running

ROOT = Path(__file__).parents[2]
KEY_ERROR = "raise-bb43e5ed"  # numpy's load looks an unknown dtype up in a table


def filed(name: str) -> Crash:
    return crashes.load(ROOT / "crashes" / name)


def names(found: Located) -> list[str]:
    return [suspect.place.function for suspect in found.suspects[:SHOWN]]


@pytest.fixture
def here(project: Path, coverage_parser: Parser) -> Path:
    """A project with a coverage build and one filed finding."""
    (project / "build" / "parsers" / coverage_parser.name).symlink_to(coverage_parser.root)
    shutil.copytree(ROOT / "crashes" / KEY_ERROR, project / "crashes" / KEY_ERROR)
    return project


def test_an_exception_of_python_leads_to_the_function_that_raises(coverage_parser: Parser):
    found = locate(of_crash(filed(KEY_ERROR)))
    first = found.suspects[0]
    assert (first.place.function, first.place.file, first.why) == ("_getdtype", "py_src/safetensors/numpy.py", "raised")
    assert "_TYPES" in (coverage_parser.site / "safetensors" / "numpy.py").read_text().splitlines()[first.line - 1]
    assert found.failing > 0 < found.passing
    assert found.differs


def test_a_wrong_check_leads_to_its_function_in_rust(coverage_parser: Parser):
    found = locate(of_crash(filed("raise-e645ca91")))
    assert "parse_indexers" in names(found)
    assert {suspect.place.file for suspect in found.suspects} <= {
        "bindings/python/src/lib.rs",
        "safetensors/src/tensor.rs",
    }


def test_the_frame_of_a_panic_comes_first_and_a_checked_build_tells_which_inputs_show_it(coverage_parser: Parser):
    crash = filed("panic-c63c3f68")
    found = locate(of_crash(crash))
    first = found.suspects[0]
    assert (f"{first.place.file}:{first.line}", first.why) == (crash.place, "frame")
    assert found.shown_by != coverage_parser.name
    assert len(names(found)) == SHOWN


def test_a_process_that_dies_leaves_its_coverage_and_the_report_gives_frames(coverage_parser: Parser):
    found = locate(of_crash(filed("crash-41d0fe20")))
    first, *others = found.suspects
    assert (f"{first.place.file}:{first.line}", first.why) == (filed("crash-41d0fe20").place, "frame")
    assert any(suspect.why != "frame" for suspect in others)
    assert found.failing > 0


def test_coverage_that_does_not_differ_is_told(coverage_parser: Parser):
    found = locate(of_crash(filed("header.padding-362800e8")))
    assert found.same > 0
    assert not found.differs


@pytest.mark.parametrize(
    "name", ["header.padding-362800e8", KEY_ERROR, "panic-c63c3f68", "header.duplicate-key-2b57ee83"]
)
def test_neighbours_are_different_inputs_that_repeat(name: str):
    crash = filed(name)
    made = neighbours(get_target(crash.target), crash.data(), 40)
    assert 10 < len(made) <= 40
    assert len({*made, crash.data()}) == len(made) + 1
    assert made == neighbours(get_target(crash.target), crash.data(), 40)


def test_the_neighbours_of_a_program_are_programs_one_call_away():
    crash = filed("panic-c63c3f68")
    unit = get_target(crash.target).unit
    steps = len(crash.data().ljust(-(-len(crash.data()) // unit) * unit)) // unit
    assert all(len(data) <= (steps + 1) * unit for data in neighbours(get_target(crash.target), crash.data(), 100))


def test_the_command_prints_places_and_json(here: Path):
    status, text = running.run("locate", KEY_ERROR)
    assert status == 0
    assert "  1  " in text
    assert "_getdtype" in text
    assert "py_src/safetensors/numpy.py:" in text
    status, text = running.run("locate", KEY_ERROR, "--parser", "0.8.0-coverage", "--json")
    told = json.loads(text)
    assert (status, told["id"], told["parser"]) == (0, KEY_ERROR, "0.8.0-coverage")
    assert [one["rank"] for one in told["suspects"]] == [1, 2, 3, 4, 5]


def test_without_a_coverage_build_the_error_says_how_to_make_one(project: Path):
    shutil.copytree(ROOT / "crashes" / KEY_ERROR, project / "crashes" / KEY_ERROR)
    with pytest.raises(HarnessError, match=r"no parser 0\.8\.0-coverage has been built") as error:
        locate(resolve(KEY_ERROR))
    assert "--coverage" in str(error.value.hint)


def test_an_input_without_finding_is_refused(here: Path):
    (here / "file").write_bytes(b"\2\0\0\0\0\0\0\0{}")
    with pytest.raises(HarnessError, match="belongs to no finding"):
        locate(resolve("file"))


def test_a_finding_that_no_build_shows_is_refused(here: Path):
    (here / "crashes" / KEY_ERROR / crashes.INPUT).write_bytes(b"\2\0\0\0\0\0\0\0{}")
    with pytest.raises(HarnessError, match="shows neither on 0.8.0-coverage nor on another build") as error:
        locate(resolve(KEY_ERROR))
    assert error.value.exit_status == 2


@pytest.mark.parametrize(
    ("target", "signature", "said"),
    [
        ("resources", "memory|resources.slice-column|rows/multiple", "release wheels alone"),
        ("model", "contract|raise|ValueError", "runs no parser"),
    ],
)
def test_a_target_without_coverage_is_refused(here: Path, target: str, signature: str, said: str):
    oracle = "resources" if target == "resources" else "contract"
    crash = Crash(Finding.of_signature(f"{target}|{signature}", oracle, "s"), status="open", why="w")
    folder = crashes.file(crash, b"bytes slice-column rows", "")
    with pytest.raises(HarnessError, match=said):
        locate(of_crash(crashes.load(folder)))


def test_a_framework_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch):
    crash = filed("agreement.deserialize-mmap.get-tensor-0213633e")
    target = get_target(crash.target)
    monkeypatch.setattr(type(target), "needs", ("no_such_framework",))
    with pytest.raises(HarnessError, match="no_such_framework is not installed"):
        locate(of_crash(crash))
