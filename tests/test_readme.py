"""The samples of output in README.md are those of the commands.

``HARNESS_RECORD=1 python -m pytest tests/test_readme.py`` runs the commands in full and rewrites them.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
RECORD = "HARNESS_RECORD=1 python -m pytest tests/test_readme.py"
SAMPLE = re.compile(
    r"(?<=^```console\n)\$ (?:\S*/)?harness (?P<words>.+)\n\.\.\.\n(?P<shown>(?:.+\n)+)(?=```)", re.MULTILINE
)
SAMPLES = {match["words"]: match["shown"] for match in SAMPLE.finditer(README.read_text(encoding="utf-8"))}


def output(project: Path, words: str) -> str:
    """What ``harness WORDS`` prints in a project with the filed findings."""
    for name in ("crashes", "corpus"):
        (project / name).rmdir()
        (project / name).symlink_to(ROOT / name)
    # A reader is in the folder of the project.
    environment = {name: value for name, value in os.environ.items() if name != "HARNESS_HOME"} | {
        "PYTHONPATH": str(ROOT)
    }
    command = [sys.executable, "-m", "harness", *shlex.split(words)]
    done = subprocess.run(
        command, cwd=project, env=environment, stdout=subprocess.PIPE, text=True, timeout=300, check=False
    )
    assert done.returncode in (0, 1)
    return done.stdout


def shape(text: str) -> str:
    """The text with a mark in place of each figure of a measurement; the version of the parser is none."""
    text = re.sub(r", \d+ of them replays of findings", "", text)
    return re.sub(r"(?<![\d.])\d[\d,]*(?:\.\d+)?(?![.\d])", "#", text)


def sample(text: str, shown: str) -> str:
    """The lines of the output ``text`` that the sample ``shown`` has: as many, from its first one on."""
    lines = text.splitlines(keepends=True)
    starts = [number for number, line in enumerate(lines) if shape(line) == shape(shown.splitlines(keepends=True)[0])]
    return "".join(lines[starts[-1] :][: shown.count("\n")]) if starts else text


def test_there_is_a_sample_of_a_campaign_and_of_a_replay() -> None:
    assert [words.split()[0] for words in SAMPLES] == ["fuzz", "repro"]


@pytest.mark.parametrize("words", SAMPLES)
def test_a_sample_is_the_output_of_its_command(project: Path, words: str) -> None:
    shown = SAMPLES[words]
    if os.environ.get("HARNESS_RECORD"):
        found = sample(output(project, words), shown)
        README.write_text(README.read_text(encoding="utf-8").replace(shown, found), encoding="utf-8")
        shown = found
    else:
        # A shorter campaign has the same lines. Its figures are those of the machine.
        found = sample(output(project, re.sub(r"--time \S+", "--runs 20000 --workers 1", words)), shown)
    assert shape(found) == shape(shown), f"run: {RECORD}"
