"""``harness verify`` as a user runs it, on a release and on checkouts of it."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness import paths
from harness.cli.verify import targets_for
from harness.errors import HarnessError
from harness.parsers.registry import Parser
from tests.cli.running import run
from tests.triage import test_verify
from tests.waiting import LONG, children, ended, wait_until

EDIT = """
[[edits]]
file = "py_src/safetensors/numpy.py"
anchor = "        tensor = v\\n"
replacement = '''{}'''
"""
COPIED = "        tensor = v\n        if not v.flags.c_contiguous:\n            tensor = v.copy()\n            keep_alive_buffer.append(tensor)\n"


@pytest.fixture
def home(project: Path) -> Path:
    """A project with two records: one with a fix, which is right, and one without. Cargo has compiled the dependencies."""
    root = Path(__file__).parents[2]
    (project / "corpus").rmdir()
    (project / "corpus").symlink_to(root / "corpus")
    (project / "build/cache").mkdir()
    for name in ("target", "lock", "sdists"):
        (project / "build/cache" / name).symlink_to(root / "build/cache" / name)
    (project / "build/parsers/.builds").mkdir()
    for name in ("0.8.0", "0.8.0-wheel"):
        made = (project / "build/parsers" / name).resolve()
        (project / "build/parsers/.builds" / made.name).symlink_to(made)
    test_verify.put(project, "layouts", test_verify.BACKWARDS, test_verify.BROADCAST)
    test_verify.put(project, "keys", test_verify.TWICE)
    with (project / "crashes/defects/layouts.toml").open("a") as file:
        file.write(EDIT.format(COPIED))
    return project


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ((), "the change is not clear"),
        (("--fix", "layouts", "--source", "."), "the change is not clear"),
        (("--source", ".", "layouts"), "the change is not clear"),
        (("--fix", "layouts", "--json", "--markdown"), "the change is not clear"),
        (("--fix", "layouts", "nothing"), "there is no defect 'nothing'; the records are: keys, layouts"),
        (("--fix", "keys"), "the record keys has no edits"),
        (("--source", "nowhere"), "nowhere does not exist"),
        (("--fix", "layouts", "--against", "nothing"), "no parser nothing has been built"),
        (("--fix", "layouts", "--against", "0.8.0-wheel"), "parser 0.8.0-wheel is not instrumented"),
    ],
)
def test_a_change_that_is_none_is_refused(home: Path, arguments: tuple[str, ...], fault: str) -> None:
    with pytest.raises(HarnessError, match=fault) as caught:
        run("verify", *arguments)
    assert caught.value.hint
    assert not (home / "build/parsers/verify").exists()


def test_a_checkout_that_does_not_build_is_refused(home: Path, sancov_parser: Parser) -> None:
    shutil.copytree(sancov_parser.source, home / "checkout")
    with (home / "checkout/safetensors/src/tensor.rs").open("a") as file:
        file.write("fn broken() -> u8 { nothing }")
    with pytest.raises(HarnessError, match=r"(?s)the parser did not compile.*cannot find value `nothing`"):
        run("verify", "--source", home / "checkout")
    assert not (home / "build/parsers/verify").exists()


def test_targets_are_those_that_reach_a_file_and_frameworks_only_for_their_own() -> None:
    rust = targets_for(["safetensors/src/tensor.rs"])
    assert {"deserialize", "safe_open", "slices", "writers"} <= set(rust)
    assert {"torch", "torch_writers", "device", "flax"}.isdisjoint(rust)
    assert set(targets_for(["safetensors/src/new.rs"])) >= set(rust)
    assert targets_for([]) == targets_for(["safetensors/src/new.rs"])
    mine = set(targets_for(["py_src/safetensors/torch.py"]))
    assert {"slices", "deserialize", "numpy"}.isdisjoint(mine)
    assert ("torch_writers" in mine) == (importlib.util.find_spec("torch") is not None)


@pytest.mark.long
def test_a_fix_is_verified_from_end_to_end(home: Path) -> None:
    """Compiled, run, tested, fuzzed, told in three forms; then interrupted."""
    status, text = run("verify", "--fix", "layouts", "--time", "3s")
    assert status == 0, text
    assert "mended            layouts: 2 of 2 findings mended" in text
    assert "Other defects: 1 as before." in text
    assert "cargo test: 40 passed, 0 broken" in text
    assert text.endswith("passes\n")
    status, text = run("verify", "--fix", "layouts", "--no-tests", "--no-fuzz", "--json")
    done = json.loads(text[text.index("{") :])
    assert (status, done["passes"], done["change"]["fixes"]) == (0, True, ["layouts"])
    assert {one["name"]: one["verdict"] for one in done["defects"]} == {"layouts": "mended", "keys": "still there"}
    status, text = run("verify", "--fix", "layouts", "--no-tests", "--no-fuzz", "--markdown")
    assert "### safetensors-harness: nothing new, nothing broken" in text
    command = [sys.executable, "-m", "harness", "verify", "--fix", "layouts"]
    variables = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        wait_until(lambda: "pytest before" in child.stderr.readline(), what="the tests start")  # type: ignore[union-attr]
        started = children(child.pid)
        child.send_signal(signal.SIGINT)
        out, said = child.communicate(timeout=LONG)
    assert (child.returncode, out) == (130, "")
    assert "interrupted" in said
    wait_until(lambda: all(map(ended, started)), what="its processes end")
    assert (paths.parsers_dir() / "verify").exists()


@pytest.mark.long
def test_a_checkout_that_breaks_something_fails(home: Path, sancov_parser: Parser) -> None:
    shutil.copytree(sancov_parser.source, home / "checkout")
    module = home / "checkout/py_src/safetensors/numpy.py"
    module.write_text(module.read_text().replace("tensor = v\n", "tensor = v if v.flags.c_contiguous else {}['no']\n"))
    with module.open("a") as file:
        file.write("\n\ndef load(data):\n    raise LookupError('planted')\n")
    status, text = run("verify", "--source", home / "checkout", "--time", "5s", "--json")
    done = json.loads(text[text.index("\n{") :])
    assert (status, done["passes"]) == (1, False)
    verdicts = {one["name"]: one["verdict"] for one in done["defects"]}
    assert verdicts == {"layouts": "shows differently", "keys": "still there"}
    suites = {one["suite"]: one for one in done["tests"]}
    assert any("test_" in one["test"] for one in suites["pytest"]["broken"])
    assert suites["cargo test"]["broken"] == []
    assert any("LookupError" in one["summary"] for one in done["new"])
