"""The steps of the workflow that others call, on a release and on changes of the parser's source."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from harness.parsers.registry import Parser
from tests.ci.playing import Stage, git, load

#: HARNESS_LONG=1 (the nightly workflow sets it) plays what takes minutes too: compiling a changed checkout.
FULL = bool(os.environ.get("HARNESS_LONG"))
ALL = ["Choose targets", "Build the parser", "Fuzz", "Compare with the base", "Tell which defects it mends", "Sum up"]
VALUES = {
    "inputs.targets": "",
    "inputs.time": "2s",
    "inputs.until": "",
    "inputs.max-time": "",
    "inputs.workers": "1",
    "inputs.source && format('{0}/parser/{1}', github.workspace, inputs.source) || ''": "",
    "inputs.base || github.event.pull_request.base.sha": "",
    "inputs.torch && 'torch' || ''": "",
}
SOURCE, BASE = list(VALUES)[5:7]
PLANTED = "\n\ndef load(data):\n    raise LookupError('planted')\n"


def change(checkout: Path, name: str, text: str) -> dict[str, str]:
    """Append to a file of the checkout and commit; the values of the workflow for this change."""
    before = git(checkout, "rev-parse", "HEAD").strip()
    with (checkout / name).open("a") as file:
        file.write(text)
    git(checkout, "commit", "-qam", "a change")
    return VALUES | {SOURCE: str(checkout), BASE: before}


def baseline(stage: Stage) -> set[str]:
    """What the log for code scanning says of the planted defect."""
    log = json.loads((stage.home / "build/change/findings.sarif").read_text())
    return {one["baselineState"] for one in log["runs"][0]["results"] if "LookupError" in one["message"]["text"]}


def test_a_release_is_hardened_and_shows_nothing_new(stage: Stage) -> None:
    """As .github/workflows/harden.yml calls it: no source, and a threshold, here one that is soon met."""
    called = load("harden.yml")["jobs"]["harden"]["with"]
    assert (called["source"], "until" in called) == ("", True)
    values = VALUES | {"inputs.targets": "deserialize", "inputs.until": "1000000000", "inputs.max-time": "4s"}
    played = stage.play("fuzz.yml", "change", values, skip=["Set up"])
    assert (played.ran, played.failed) == (ALL, ""), played.said
    assert "Targets: deserialize" in played.summary
    assert "harden: stopped after" in played.summary
    assert "0 of them new" in played.summary


def test_a_change_of_words_needs_no_fuzzing(stage: Stage, checkout: Path) -> None:
    values = change(checkout, "py_src/safetensors/__init__.pyi", "# more\n")
    played = stage.play("fuzz.yml", "change", values, skip=["Set up"])
    assert (played.ran, played.failed) == ([ALL[0], ALL[-1]], ""), played.said
    assert "no target was called for" in played.summary


def test_a_defect_that_a_change_brings_in_fails(stage: Stage, checkout: Path, sancov_parser: Parser) -> None:
    values = change(checkout, "py_src/safetensors/numpy.py", PLANTED)
    brought: dict[str, str] = {"TARGETS": "numpy"}
    if FULL:
        skip = ["Set up"]
    else:
        # What `build` compiles from this checkout: only its Python differs from the release.
        skip = ["Set up", "Build the parser", "Tell which defects it mends"]
        root = stage.home / "build/parsers/change"
        shutil.copytree(sancov_parser.root, root)
        shutil.copy2(checkout / "py_src/safetensors/numpy.py", root / "site/safetensors/numpy.py")
        brought["BASE_PARSER"] = "0.8.0"
    played = stage.play("fuzz.yml", "change", values, brought, skip)
    assert played.ran == [name for name in ALL if name not in skip], played.said
    assert played.failed == "Compare with the base", played.said
    assert f"does not show on {'base' if FULL else '0.8.0'}: new against it" in played.summary
    assert "LookupError" in played.summary
    assert baseline(stage) == {"new"}


@pytest.mark.skipif(not FULL, reason="compiles two checkouts: HARNESS_LONG=1, as the nightly workflow sets it")
def test_a_defect_that_was_there_before_does_not_fail(stage: Stage, checkout: Path) -> None:
    change(checkout, "py_src/safetensors/numpy.py", PLANTED)
    values = change(checkout, "py_src/safetensors/numpy.py", "# nothing\n")
    played = stage.play("fuzz.yml", "change", values, {"TARGETS": "numpy"}, ["Set up"])
    assert (played.ran, played.failed) == (ALL, ""), played.said
    assert "shows on base too: not new against it" in played.summary
    assert "nothing new, nothing broken" in played.summary
    assert baseline(stage) == {"unchanged"}
