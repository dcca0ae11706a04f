from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from harness.parsers.registry import Parser
from tests.checkpoint import folders

ROOT = Path(__file__).parents[2]


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """An environment with this harness."""
    program = tmp_path / "venv" / "bin" / "harness"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m harness "$@"\n')
    program.chmod(0o755)
    return program.parents[1]


def test_the_step_of_the_action_and_the_hook_give_the_status_of_the_check(
    project: Path, venv: Path, wheel_parser: Parser
):
    # `harness build` looks there for a build that need not be made again.
    (project / "build/parsers/.builds").mkdir()
    (project / "build/parsers/.builds" / wheel_parser.root.name).symlink_to(wheel_parser.root)
    environment = os.environ | {"HARNESS_VENV": str(venv), "PYTHONPATH": str(ROOT), "GITHUB_ACTION_PATH": str(ROOT)}
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    step = action["runs"]["steps"][-1]["run"]
    folders.sharded(project / "model")

    def status(command: list[str], **more: str) -> int:
        return subprocess.run(command, env=environment | more, cwd=project, capture_output=True, check=False).returncode

    assert status(["bash", "-e", "-c", step], CHECKED=action["inputs"]["path"]["default"]) == 0
    (project / "model" / folders.TWO).unlink()
    assert status(["bash", "-e", "-c", step], CHECKED="model") == 1
    assert status([str(ROOT / hook["entry"]), *hook["args"]]) == 1
    pattern = re.compile(hook["files"])
    names = ("a/model.safetensors", "model.safetensors.index.json", "model.safetensors.index.fp16.json", "config.json")
    assert [name for name in names if pattern.search(name)] == list(names[:3])
