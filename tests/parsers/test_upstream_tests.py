"""Upstream's tests as they are run: on a source with a crate and a test module of our own, by the real cargo and pytest."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.parsers import upstream_tests
from harness.parsers.upstream_tests import CRATE, PYTHON, Results
from tests.waiting import wait_until

CARGO = '[package]\nname = "safetensors"\nversion = "0.0.1"\nedition = "2021"\n'
LIB = """\
/// ```
/// assert_eq!(1, 1);
/// ```
/// ```
/// assert_eq!(1, 2);
/// ```
pub fn documented() {}

#[test]
fn good() {}
#[test]
#[ignore]
fn left_out() {}
#[test]
fn bad() { panic!("no") }
"""
TESTS = """\
import unittest
class Case(unittest.TestCase):
    def test_good(self):
        import beside
    def test_bad(self):
        self.assertEqual(1, 2)
    def test_absent(self):
        import no_such_module
    @unittest.skip("not now")
    def test_left_out(self):
        pass
"""


@pytest.fixture
def source(tmp_path: Path, home: Path) -> Path:
    """It has a module ``beside`` in the folder ``site`` next to it."""
    texts = {
        "safetensors/Cargo.toml": CARGO,
        "safetensors/src/lib.rs": LIB,
        "bindings/python/tests/test_one.py": TESTS,
        "bindings/python/tests/test_two.py": "import another_module",
        "../site/beside.py": "",
    }
    for name, text in texts.items():
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "source"


def run(suite: str, source: Path, live: upstream_tests.Live = contextlib.nullcontext) -> Results:
    return upstream_tests.run(suite, source, source.parent / "site", source.parent / "work", live)


def test_results_of_the_crate_have_no_line_numbers(source: Path) -> None:
    expected = {"good": "passed", "left_out": "skipped", "bad": "failed"}
    documented = {"src/lib.rs - documented 1": "passed", "src/lib.rs - documented 2": "failed"}
    assert run(CRATE, source) == Results(expected | documented)
    # Nothing is compiled in the source itself.
    assert {path.name for path in (source / "safetensors").iterdir()} == {"Cargo.toml", "src"}


def test_results_of_the_bindings_name_what_is_missing(source: Path) -> None:
    found = run(PYTHON, source)
    case = "tests.test_one.Case::test_"
    assert found.tests == {f"{case}good": "passed", f"{case}bad": "failed", f"{case}left_out": "skipped"}
    reasons = ("No module named 'no_such_module'", "No module named 'another_module'")
    assert found.unable == dict(zip((f"{case}absent", "tests.test_two"), reasons, strict=True))


def test_a_crate_that_does_not_compile_gives_the_reason(source: Path) -> None:
    (source / "safetensors/src/lib.rs").write_text("fn broken() -> u8 { nothing }")
    found = run(CRATE, source)
    assert found.tests == {}
    assert "cannot find value `nothing`" in found.unable[""]


def test_a_process_that_ends_itself_gives_the_reason(source: Path) -> None:
    (source / "bindings/python/tests/test_one.py").write_text("import os; os.abort()")
    found = run(PYTHON, source)
    assert found.unable[""].startswith(f"pytest ended with {-signal.SIGABRT}: ")


@pytest.mark.parametrize("suite", [CRATE, PYTHON])
def test_a_source_without_tests_gives_the_reason(suite: str, source: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    found = upstream_tests.run(suite, tmp_path / "empty", tmp_path, tmp_path / "work", contextlib.nullcontext)
    assert "the source holds no folder" in found.unable[""]


def test_a_run_can_be_killed_from_another_thread(source: Path) -> None:
    (source / "bindings/python/tests/test_one.py").write_text("import time; time.sleep(1000)")
    kills: list[Callable[[], None]] = []

    @contextlib.contextmanager
    def live(kill: Callable[[], None]):
        kills.append(kill)
        yield

    thread = threading.Thread(target=run, args=(PYTHON, source, live))
    thread.start()
    wait_until(lambda: kills, what="pytest starts")
    kills[0]()
    thread.join(60)
    assert not thread.is_alive()
