from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness import paths


def harness(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    command = [sys.executable, "-m", "harness", *arguments]
    return subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=False)


def test_what_is_there_is_up_to_date() -> None:
    first = harness("build")
    assert first.returncode == 0, first.stderr
    again = harness("build")
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout == "0.8.0: safetensors 0.8.0, sancov, in build/parsers/0.8.0: up to date\n"


def test_json_names_the_folder_and_how_it_was_made() -> None:
    answer = json.loads(harness("build", "--wheel", "--json").stdout)
    assert answer["name"] == "0.8.0-wheel"
    assert (Path(answer["folder"]) / "site/safetensors/__init__.py").is_file()
    assert answer["manifest"]["version"] == "0.8.0"
    assert Path(answer["folder"]).is_relative_to(paths.parsers_dir())


def test_progress_is_told_on_stderr(tmp_path: Path) -> None:
    done = harness("build", "--wheel", "--name", "w", HARNESS_HOME=str(tmp_path))
    assert done.stderr.startswith("build: fetching the wheel of release 0.8.0\n")
    assert done.stdout.startswith(f"w: safetensors 0.8.0, wheel, in {tmp_path}/build/parsers/w: built in ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--release", "0.8.99"), "harness: there is no release 0.8.99 of safetensors; near it: "),
        (("--source", "nowhere"), "harness: nowhere does not exist"),
        (("--source", "Makefile"), "harness: Makefile is not a folder"),
        (("--source", "tests"), "harness: tests holds no Python project called safetensors"),
        (("--source", ".", "--release", "0.8.0"), "harness: a release and a source were given"),
        (("--wheel", "--coverage"), "harness: --sanitizer, --coverage and --wheel exclude each other"),
        (("--sanitizer", "memory"), "Error: Invalid value for '--sanitizer'"),
        (("--name", "a/b"), "harness: 'a/b' is no name for a parser"),
        (("--fixes", "nothing"), "harness: there is no defect 'nothing'"),
        (("nothing",), "harness: nothing is given without --fixes"),
    ],
)
def test_what_cannot_be_built_ends_with_2_and_advice(arguments: tuple[str, ...], message: str) -> None:
    done = harness("build", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) > 1
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_without_cargo_the_advice_is_how_to_get_it(tmp_path: Path) -> None:
    done = harness("build", PATH=str(tmp_path), HARNESS_HOME=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith(
        "harness: there is no cargo on this machine, and the parser is written in Rust\n  install Rust: "
    )


def test_the_example_of_the_help_is_one_that_parses() -> None:
    text = harness("build", "--help").stdout
    assert "Example: harness build --source" in text
