"""Texts for upstream: short, complete, and private where they must be."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from harness.findings import crashes, defects
from harness.findings.crashes import Crash
from harness.findings.defects import Defect, Edit
from harness.report import upstream
from tests.report.test_defects import DEFECT, FILED, OPEN, QUOTES

EDIT = Edit("py_src/safetensors/numpy.py", "def _is_little_endian(", "def _of_little_end(")


@pytest.fixture
def crash(tmp_path: Path) -> Crash:
    """The finding of the record, with a script of a few lines."""
    folder = tmp_path / OPEN[0].id
    shutil.copytree(OPEN[0].folder, folder)
    found = replace(OPEN[0], folder=folder)
    write(found, "import safetensors\n\nassert safetensors.__version__\n")
    return found


def write(crash: Crash, script: str) -> None:
    (crash.folder / crashes.REPRODUCER).write_text(f'"""A title.\n\nRun it.\n"""\n\n{script}')


def test_it_has_impact_script_cause_fix_release_threads_and_origin(crash: Crash):
    text = upstream.text(replace(DEFECT, edits=(EDIT,)), [crash])
    parts = (
        "# `save` writes other values than a view has\n\nA file holds \\<other> values.\n",
        "With safetensors 0.8.0:\n\n```python\nimport safetensors\nassert safetensors.__version__\n```\n",
        "**Cause** ([py_src/safetensors/numpy.py:100](https://",
        "```diff\n--- a/bindings/python/py_src/safetensors/numpy.py\n",
        "+def _of_little_end(tensor",
        "**Since** 0.8.0; an earlier release was right.",
        "issues/825), [PR 826]",
        f"A fuzzer, safetensors-harness, found this: {crash.id}.",
        "comment on an open one",
    )
    assert [text.count(part) for part in parts] == [1] * len(parts)
    assert [text.index(part) for part in parts] == sorted(text.index(part) for part in parts)
    assert text.count("\n") <= upstream.MOST_LINES


def test_a_script_or_a_patch_that_is_too_long_is_named_instead(crash: Crash):
    write(crash, "import safetensors\n" + "print(1)\n" * 50)
    wide = replace(DEFECT, edits=(replace(EDIT, replacement="# new\n" * 50 + EDIT.anchor),))
    text = upstream.text(wide, [crash])
    assert f"`harness repro {crash.id} --script` prints a script.\n" in text
    assert "`harness report --upstream base-buffer --patch` prints it" in text
    # Context goes before the change itself does.
    write(crash, "import safetensors\n" + "print(1)\n" * 10)
    text = upstream.text(replace(DEFECT, edits=(EDIT,)), [crash])
    assert "\n+def _of_little_end(" in text
    assert text.count("print(1)") == 10
    assert text.count("\n") <= upstream.MOST_LINES


def test_the_first_script_that_needs_no_harness_is_chosen(crash: Crash, tmp_path: Path):
    other = replace(OPEN[1], folder=tmp_path / OPEN[1].id)
    shutil.copytree(OPEN[1].folder, other.folder)
    write(other, "print(2)\n")
    text = upstream.text(replace(DEFECT, findings=(other.id, crash.id)), [crash, other])
    assert "```python\nprint(2)\n```" in text
    write(other, "from harness.replay import replay\n")
    text = upstream.text(replace(DEFECT, findings=(other.id, crash.id)), [crash, other])
    assert "assert safetensors.__version__" in text


@pytest.mark.parametrize(
    ("harm", "controller", "private"),
    [
        ("memory safety", "file", True),
        ("memory safety", "caller", False),
        ("denial of service", "file", False),
    ],
)
def test_memory_that_a_file_breaks_is_reported_in_private(crash: Crash, harm: str, controller: str, private: bool):
    defect = replace(DEFECT, harm=harm, controller=controller)
    assert upstream.private(defect) == private
    assert ("**Report this in private**, as upstream's SECURITY.md says." in upstream.text(defect, [crash])) == private


def test_a_disputed_behaviour_shows_both_texts(crash: Crash):
    text = upstream.text(
        replace(DEFECT, disputed=True, quotes=QUOTES, edits=(), wheel=False, regression=False), [crash]
    )
    assert "README.md:\n```\nMUST begin with\n```\ntensor.rs, test\\_space:\n````\nassert!(ok)\n```\n````\n" in text
    assert "**Since** 0.8.0. Only builds with overflow checks or sanitizers show it." in text


@pytest.mark.parametrize("defect", defects.defects(), ids=lambda one: str(one.name))
def test_every_record_makes_a_text_of_at_most_40_lines(defect: Defect):
    text = upstream.text(defect, FILED)
    assert text.startswith("# ")
    assert text.count("\n") <= upstream.MOST_LINES
    assert len(re.findall(r"^`{3,}", text, re.MULTILINE)) % 2 == 0
    assert bool(defect.edits) == ("```diff" in text or "--patch`" in text)
