"""Reproducers in few lines: they run alone, and show the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.findings import crashes
from harness.parsers.registry import Parser
from harness.programs import scripts
from harness.report.brief import brief

HEAD = '"""A title."""\n\nimport sys\n\nsys.path[0] += "/.."\n'
KIT = '''\
"""Helpers."""

from __future__ import annotations

import itertools
import os

LIMIT: int = 3


def least(values: list[int]) -> int:
    """The least one."""
    return _least(values)


def _least(values: list[int]) -> int:
    return min(itertools.islice(values, LIMIT))


def unused() -> str:
    return os.name
'''
FILE = 'FILE = file(b\'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}\', b\'x\')\n'


def run(text: str, parser: Parser, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "alone.py").write_text(text)
    command = [sys.executable, str(folder / "alone.py")]
    return subprocess.run(
        command, env={"PYTHONPATH": str(parser.site)}, capture_output=True, text=True, check=False, timeout=60
    )


def test_helpers_that_are_used_come_along(tmp_path: Path, wheel_parser: Parser):
    text = brief(f"{HEAD}from _kit import least\n\nassert least([3, 2, 1, 0]) == 0\n", KIT)
    assert text.startswith("import itertools\nLIMIT: int = 3\ndef least(values):\n    return _least(values)\n")
    assert text.endswith("\nassert least([3, 2, 1, 0]) == 0")
    assert "unused" not in text
    assert "import sys" not in text
    assert "assert least" in run(text, wheel_parser, tmp_path).stderr


@pytest.mark.parametrize(
    ("script", "remark", "status", "error"),
    [
        ("from _kit import file, raises\nimport safetensors\n\n{file}with raises('TypeError', 'of it'):\n    safetensors.deserialize(FILE, 1)\n",
         "# raises TypeError: of it\nsafetensors.deserialize(FILE, 1)", 1, "TypeError"),
        ("from _kit import file, refused\nimport safetensors\n\n{file}with refused():\n    safetensors.deserialize(FILE)\n",
         "# no error, where SafetensorError is due\nsafetensors.deserialize(FILE)", 0, ""),
        ("from _kit import content, file\n\n{file}assert content(FILE)[0] == {}\n", "assert content(FILE)[0] == {}", 1, "AssertionError"),
        ("from _kit import file, stored\nimport safetensors\n\n{file}path = stored(FILE)\nwith safetensors.safe_open(path, 'np') as opened:\n    assert not opened.keys()\n",
         "with safetensors.safe_open(path, 'np') as opened:", 1, "AssertionError"),
    ],
)  # fmt: skip
def test_contexts_become_remarks_and_the_script_runs_alone(
    script: str, remark: str, status: int, error: str, tmp_path: Path, wheel_parser: Parser
):
    text = brief(HEAD + script.replace("{file}", FILE), KIT)
    assert remark in text
    assert "_kit" not in text
    done = run(text, wheel_parser, tmp_path)
    assert (done.returncode, error in done.stderr) == (status, True)


@pytest.mark.parametrize("crash", crashes.crashes()[::10], ids=lambda one: str(one.id))
def test_filed_reproducers_stay_python(crash: crashes.Crash):
    script = (crash.folder / crashes.REPRODUCER).read_text()
    text = brief(script, "\n".join(crashes.kit().values()))
    compile(text, crash.id, "exec")
    assert not any(scripts.about_kit(line) for line in text.splitlines())
    assert text.count("\n") < script.count("\n") + 60
