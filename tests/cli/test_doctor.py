from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from harness.parsers import build
from tests.cli.test_build import harness


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    build.build()
    build.build(flavour="wheel")


def report(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, str]]:
    return {check["name"]: check for check in json.loads(done.stdout)}


def test_all_that_fuzzing_needs_is_here_and_works_together() -> None:
    done = harness("doctor", "--json")
    checks = report(done)
    assert done.returncode == 0, done.stdout
    assert {name for name, check in checks.items() if check["status"] == "fail"} == set()
    for name in ("python", "atheris", "libfuzzer", "parsers", "engine", "native counters", "mutator", "cargo", "rustc"):
        assert checks[name]["status"] == "ok"
    assert all(bool(check["hint"]) == (check["status"] != "ok") for check in checks.values())


def test_the_table_names_every_check() -> None:
    shown = harness("doctor", COLUMNS="200").stdout
    assert "libFuzzer found the custom mutator" in shown
    assert shown.endswith("ready to fuzz\n")


def test_an_empty_project_has_no_parser_and_is_told_how_to_get_one(tmp_path: Path) -> None:
    done = harness("doctor", "--json", HARNESS_HOME=str(tmp_path))
    checks = report(done)
    assert done.returncode == 2
    assert (checks["parsers"]["status"], checks["parsers"]["hint"]) == ("fail", "harness build")
    assert "mutator" not in checks


def test_without_a_compiler_a_build_still_fuzzes_but_an_empty_project_cannot(tmp_path: Path) -> None:
    here = report(harness("doctor", "--json", PATH=str(tmp_path)))
    assert (here["cargo"]["status"], here["rustc"]["status"], here["mutator"]["status"]) == ("warn", "warn", "ok")
    assert here["llvm tools"]["status"] == "warn"
    assert (here["valgrind"]["status"], here["valgrind"]["hint"]) == ("warn", "apt-get install valgrind")
    done = harness("doctor", "--json", PATH=str(tmp_path), HARNESS_HOME=str(tmp_path))
    nowhere = report(done)
    assert done.returncode == 2
    assert (nowhere["cargo"]["status"], nowhere["rustc"]["status"]) == ("fail", "fail")
    assert "rustup" in nowhere["cargo"]["hint"]


def test_an_old_compiler_is_named(tmp_path: Path) -> None:
    rustc = tmp_path / "rustc"
    rustc.write_text("#!/bin/sh\necho 'release: 1.63.0\nhost: x86_64-unknown-linux-gnu\nLLVM version: 14.0.5'\n")
    rustc.chmod(0o755)
    checks = report(harness("doctor", "--json", PATH=f"{tmp_path}:/usr/bin:/bin"))
    assert checks["rustc"]["status"] == "warn"
    assert checks["rustc"]["detail"] == "1.63.0 is too old: 1.83 is the least"


def test_a_damaged_atheris_is_found(tmp_path: Path) -> None:
    (tmp_path / "atheris").mkdir()
    (tmp_path / "atheris/__init__.py").write_text("raise ImportError('no such library')\n")
    done = harness("doctor", "--json", PYTHONPATH=str(tmp_path))
    checks = report(done)
    assert done.returncode == 2
    assert checks["libfuzzer"]["status"] == "fail"
    assert "no such library" in checks["libfuzzer"]["detail"]
    assert checks["engine"]["status"] == "fail"
