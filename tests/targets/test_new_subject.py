"""A new subject is one folder of three files: no other file of the harness changes for it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness.findings import crashes
from harness.parsers.registry import Parser

PROGRAM = '''"""The language of target ``toy``: the names under which a file is saved, in the order of the caller."""

from __future__ import annotations

from harness.programs.steps import Kind, Vocabulary

VOCABULARY = Vocabulary([Kind("name", 1, (range(8),))], max_steps=4)


def decode(data: bytes) -> list[str]:
    """The names of a program, each once."""
    return list(dict.fromkeys(f"tensor{step.a % 8}" for step in VOCABULARY.decode(data)))
'''

ORACLE = '''"""A file lists its tensors in the order of the caller."""

from __future__ import annotations

from harness.findings.finding import Finding
from harness.findings.rule import Rule
from harness.findings.severity import SIDE_EFFECT
from harness.oracles.oracle import Execution, oracle

ORDER = Rule(
    "toy.order",
    "toy",
    "differential",
    SIDE_EFFECT,
    title="A file lists its tensors in another order than the caller",
    why="The caller named the tensors in one order, and the file lists them in another one.",
    should="the file lists the tensors in the order of the caller",
)


@oracle(ORDER)
def check(execution: Execution) -> list[Finding]:
    """The names in the file, against the program."""
    trace = execution.trace
    if trace is None:
        return []
    return [
        Finding(ORDER, event.call, f"{trace.program} is written as {event.value}")
        for event in trace.events
        if event.value != trace.program
    ]
'''

TARGET = '''"""``safetensors.numpy.save`` of small arrays, by their names."""

from __future__ import annotations

import importlib
import json
from collections.abc import Hashable, Iterable
from types import ModuleType

import numpy

from harness.observation import Observation, Run, Trace, attempt, observe
from harness.targets.base import ProgramTarget
from harness.targets.toy import oracle
from harness.targets.toy.program import VOCABULARY, decode


class Toy(ProgramTarget):
    """The order of tensors in a file."""

    name = "toy"
    description = "safetensors.numpy.save: the order of names"
    vocabulary = VOCABULARY
    oracles = (oracle.check,)

    def open(self, safetensors: ModuleType | None) -> Run:
        """Prepare to run programs."""
        assert safetensors is not None
        save = importlib.import_module("safetensors.numpy").save
        documented = (safetensors.SafetensorError,)

        def saved(names: list[str]) -> list[str]:
            raw = save({name: numpy.zeros(1, numpy.uint8) for name in names})
            return list(json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")]))

        def run(data: bytes) -> Observation:
            names = decode(data)
            return observe(Trace(names, [attempt("save", lambda: saved(names), documented)]))

        return run

    def features(self, observation: Observation) -> Iterable[Hashable]:
        """How many names a program has."""
        return [len(observation[2].program)]

    def seeds(self) -> dict[str, bytes]:
        """One name, and two."""
        return {"one": bytes(4), "two": bytes(4) + b"\\0\\1\\0\\0"}

    def explain(self, data: bytes) -> str:
        """The call."""
        return f"save({decode(data)})\\n"
'''

FILES = {"__init__.py": "", "program.py": PROGRAM, "oracle.py": ORACLE, "target.py": TARGET}


@pytest.fixture
def copy(tmp_path: Path, sancov_parser: Parser, wheel_parser: Parser) -> Path:
    """A copy of the harness with the new folder, beside a project that has two parsers."""
    package = tmp_path / "harness"
    shutil.copytree(Path(harness.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    folder = package / "targets" / "toy"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    home = tmp_path / "home"
    parsers = home / "build" / "parsers"
    parsers.mkdir(parents=True)
    for parser in (sancov_parser, wheel_parser):
        (parsers / parser.name).symlink_to(parser.root)
    (home / "crashes").mkdir()
    (tmp_path / "crashes").mkdir()
    crashes.put_kit(tmp_path / "crashes")
    return tmp_path


def run(copy: Path, *arguments: str, expected: int = 0) -> str:
    environment = os.environ | {"PYTHONPATH": str(copy), "HARNESS_HOME": str(copy / "home")}
    done = subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        cwd=copy / "home", env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == expected, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_a_new_subject_is_three_files_in_one_folder(copy: Path) -> None:
    assert len([name for name, text in FILES.items() if text]) == 3
    assert "toy" in json.loads(run(copy, "targets", "--json"))["targets"]
    # It is fuzzed, and what it finds is described by its own rule.
    campaign = ("--campaign", str(copy / "campaign"))
    run(copy, "fuzz", "--target", "toy", "--runs", "500", "--seed", "1", "--no-ui", *campaign, expected=1)
    (found,) = json.loads(run(copy, "findings", "--json", *campaign, expected=1))
    assert (found["signature"], found["oracle"], found["known"]) == ("toy|differential|toy.order|save", "toy", False)
    run(copy, "triage", *campaign, expected=1)
    about = (copy / "home" / "crashes" / found["id"] / "finding.toml").read_text()
    assert 'severity = "side effect"' in about
    assert "The caller named the tensors in one order" in about
    sarif = copy / "log.sarif"
    run(copy, "report", *campaign, "--sarif", str(sarif))
    (rule,) = [
        one for one in json.loads(sarif.read_text())["runs"][0]["tool"]["driver"]["rules"] if one["id"] == "toy.order"
    ]
    assert rule["shortDescription"]["text"] == "A file lists its tensors in another order than the caller"


def test_the_reproducer_of_a_rule_without_a_check_of_its_own_tells_shows_from_does_not_and_cannot_tell(
    copy: Path,
) -> None:
    campaign = ("--campaign", str(copy / "campaign"))
    run(copy, "fuzz", "--target", "toy", "--runs", "500", "--seed", "1", "--no-ui", *campaign, expected=1)
    run(copy, "triage", *campaign, expected=1)
    (folder,) = (path for path in (copy / "home" / "crashes").iterdir() if path.is_dir())

    def reproduce(**environment: str) -> int:
        done = subprocess.run(
            [sys.executable, str(folder / "reproduce.py")],
            env=os.environ | {"PYTHONPATH": str(copy), "HARNESS_HOME": str(copy / "home")} | environment,
            cwd=copy, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        return done.returncode

    assert reproduce() == 1
    (folder / "input.safetensors").write_bytes(bytes(4) + b"\0\1\0\0")  # tensor0 before tensor1: in order
    assert reproduce() == 0
    # Without the package that adds the target.
    assert reproduce(PYTHONPATH="") == 2
