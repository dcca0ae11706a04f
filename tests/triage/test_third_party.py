"""Targets of other packages, from the entry point to the regression test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.format.encode import pack
from harness.parsers.registry import Parser

REPOSITORY = Path(__file__).parents[2]

#: A target that works, and others that do not.
PLUGIN = """
from harness.findings.finding import Finding
from harness.findings.rule import Rule
from harness.findings.severity import WRONG_DATA
from harness.oracles.oracle import oracle
from harness.targets.files.deserialize import Deserialize
from harness.targets.base import Target

TORN = Rule("threads.torn", "threads", "differential", WRONG_DATA, title="Two threads see two files",
            why="Two threads that read one file at once see other tensors.", should="both threads read the same")


@oracle(TORN)
def torn(execution):
    outcome, _, value = execution.observation
    return [Finding(TORN, "names", f"{len(value)} tensors")] if outcome == "accept" and len(value) > 1 else []


@oracle(TORN)
def unwell(execution):
    return execution.observation[2].events


class Threads(Deserialize):
    name, description, oracles = "threads", "deserialize in two threads", (torn,)


class Unwell(Threads):
    name, oracles = "unwell", (unwell,)


class Commaless(Threads):
    name, oracles = "commaless", (torn)


@oracle(TORN)
def leaves(execution):
    raise SystemExit("no licence")


class Leaves(Threads):
    name, oracles = "leaves", (leaves,)


class Twin(Threads):
    name = "safe_open"


class Closed(Target):
    name, description = "closed", "cannot be opened"


def unknown():
    @oracle("threads.unheard")
    def check(execution):
        return []


def __getattr__(name):
    if name == "Unknown":
        unknown()
    if name == "Wordless":
        Rule("threads.wordless", "threads", "differential", WRONG_DATA, title="It is wrong", why=" ")
    raise AttributeError(name)
"""
BROKEN = {
    "unknown": "names the rule 'threads.unheard', which is not defined",
    "wordless": "rule 'threads.wordless' has no why",
    "unwell": "its oracle threads_plugin.unwell raises AttributeError",
    "closed": "it lacks the method open",
    "commaless": "its oracles are no tuple",
    "leaves": "cannot be imported: SystemExit: no licence",
}


class Installed:
    """A package beside the harness, and a project that has some parsers."""

    def __init__(self, root: Path, *parsers: Parser) -> None:
        self.root = root
        about = root / "site" / "threads_plugin-1.dist-info"
        about.mkdir(parents=True)
        (root / "site" / "threads_plugin.py").write_text(PLUGIN)
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: threads-plugin\nVersion: 1\n")
        names = ["threads", "twin", *BROKEN]
        points = "".join(f"{name} = threads_plugin:{name.title()}\n" for name in names)
        (about / "entry_points.txt").write_text(f"[safetensors_harness.targets]\n{points}")
        (root / "home" / "build" / "parsers").mkdir(parents=True)
        for parser in parsers:
            (root / "home" / "build" / "parsers" / parser.name).symlink_to(parser.root)
        (root / "home" / "crashes").mkdir()

    def environment(self) -> dict[str, str]:
        site = os.pathsep.join((str(self.root / "site"), str(REPOSITORY)))
        return os.environ | {"PYTHONPATH": site, "HARNESS_HOME": str(self.root / "home")}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root, env=self.environment(), capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip

    def harness(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "harness", *arguments)


@pytest.fixture
def installed(tmp_path: Path, sancov_parser: Parser, wheel_parser: Parser) -> Installed:
    return Installed(tmp_path, sancov_parser, wheel_parser)


def test_targets_that_do_not_load_are_named_by_every_command_and_stop_none(installed: Installed) -> None:
    listed = json.loads(installed.harness("targets", "--json").stdout)
    assert "threads" in listed["targets"]
    doctor = json.loads(installed.harness("doctor", "--json").stdout)
    told = {check["name"]: check for check in doctor}
    for name, reason in BROKEN.items():
        assert name not in listed["targets"]
        assert reason in listed["left_out"][name]
        assert told[f"target {name}"]["status"] == "warn"
        assert reason in told[f"target {name}"]["detail"]
        asked = installed.harness("fuzz", "--target", name, "--runs", "10", "--no-ui")
        assert asked.returncode == 2
        assert reason in asked.stderr
    assert told["targets"]["status"] == "ok"
    # A name that is taken: ours stays, and the other one is told.
    assert "safe_open" in listed["targets"]
    assert "its name 'safe_open' is taken" in listed["left_out"]["twin of threads_plugin:Twin"]


def test_a_finding_is_filed_by_its_own_rule_and_its_reproducer_tells_healthy_input_apart(installed: Installed) -> None:
    healthy = pack([("a", "U8", (1,), b"1")])
    seed = installed.root / "two.safetensors"
    seed.write_bytes(pack([("a", "U8", (1,), b"1"), ("b", "U8", (1,), b"2")]))
    done = installed.harness("corpus", "import", "--target", "threads", str(seed))
    assert done.returncode == 0, done.stderr
    campaign = ("--campaign", str(installed.root / "campaign"))
    done = installed.harness("fuzz", "--target", "threads", "--runs", "200", "--seed", "1", "--no-ui", *campaign)
    assert done.returncode == 1, done.stderr
    done = installed.harness("triage", "--no-minimize", *campaign)
    (folder,) = (installed.root / "home" / "crashes").glob("threads.torn-*")
    about = (folder / "finding.toml").read_text()
    assert 'why = "Two threads that read one file at once see other tensors."' in about
    assert "sentence" not in about  # no text of the format is quoted for a rule of another package
    reproducer = str(folder / "reproduce.py")
    assert installed.run(reproducer).returncode == 1
    (folder / "input.safetensors").write_bytes(healthy)
    done = installed.run(reproducer)
    assert done.returncode == 0, done.stdout
    assert "what should:  both threads read the same" in done.stdout
    assert done.stdout.endswith("does not show\n")
