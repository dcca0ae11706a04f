"""Runs the shell steps of a workflow's job as the service would, one after the other, in a clone of this repository.

What needs the service itself (``uses:``) is left out: whoever plays a job lays out what those steps would have brought.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from harness.parsers.registry import Parser

ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / ".github/workflows"

_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
_OUTPUT = re.compile(r"steps\.([\w-]+)\.outputs\.([\w-]+)")


def git(folder: Path, *arguments: str) -> str:
    """Run git in ``folder``; what it printed."""
    named = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    return subprocess.run(["git", "-C", folder, *named, *arguments], check=True, capture_output=True, text=True).stdout


def load(name: str) -> dict[Any, Any]:
    """The workflow in the file of that name; its ``on`` is the key True, as YAML has it."""
    found: dict[Any, Any] = yaml.safe_load((WORKFLOWS / name).read_text())
    return found


def shell_steps(name: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The steps with a ``run:`` of a workflow, by job and by name."""
    return {
        (job, step.get("name", "")): step
        for job, body in load(name)["jobs"].items()
        for step in body.get("steps", [])
        if "run" in step
    }


@dataclass
class Played:
    """What happened: names of the steps that ran, in order, the one that failed, and the outputs of each step by id."""

    ran: list[str] = field(default_factory=list)
    failed: str = ""
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    said: str = ""
    summary: str = ""


class Stage:
    """A clone to play in. ``home`` is the checkout that steps run in, ``workspace`` the folder above it."""

    def __init__(self, workspace: Path, home: Path) -> None:
        self.workspace = workspace
        self.home = home

    def have(self, *built: Parser) -> None:
        """Link builds of parsers into the checkout, so that nothing is compiled again."""
        parsers = self.home / "build/parsers"
        (parsers / ".builds").mkdir(parents=True, exist_ok=True)
        for parser in built:
            (parsers / parser.name).symlink_to(parser.root)
            # Where `harness build` looks for what need not be compiled again.
            (parsers / ".builds" / parser.root.name).symlink_to(parser.root)

    def play(
        self,
        workflow: str,
        job: str,
        values: Mapping[str, str],
        environment: Mapping[str, str] | None = None,
        skip: Iterable[str] = (),
    ) -> Played:
        """Run the job. ``values`` has what each expression in an ``env:`` stands for; a new one fails.

        ``environment`` goes over all: it makes long steps short. ``skip`` names steps that are not played.
        """
        body = load(workflow)["jobs"][job]
        played = Played()
        page = self.workspace / f"page-{workflow}-{job}.md"
        for number, step in enumerate(body["steps"]):
            if "run" not in step or step["name"] in skip or not _wanted(str(step.get("if", "")), played):
                continue
            output = self.workspace / f"output-{number}"
            output.touch()
            variables = {**body.get("env", {}), **step.get("env", {})}
            # What workflows leave unset must not come from the machine that plays them.
            inherited = {n: v for n, v in os.environ.items() if not n.startswith(("GITHUB_", "HARNESS_", "PYTEST_"))}
            script = self.workspace / f"step-{number}.sh"
            script.write_text(step["run"])
            done = subprocess.run(
                ["bash", "-e", script],
                cwd=self.workspace / body.get("defaults", {}).get("run", {}).get("working-directory", self.home.name),
                env=inherited
                | {"HARNESS_VENV": sys.prefix, "GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(page)}
                | {name: _EXPRESSION.sub(lambda found: values[found[1]], str(text)) for name, text in variables.items()}
                | dict(environment or {}),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=1200,
            )
            played.ran.append(step["name"])
            played.said += f"--- {step['name']}: {done.returncode}\n{done.stdout}{done.stderr}"
            if done.returncode and not played.failed:
                played.failed = step["name"]
            lines = output.read_text().splitlines()
            played.outputs[step.get("id", "")] = dict(line.split("=", 1) for line in lines)
        played.summary = page.read_text() if page.exists() else ""
        return played


def _wanted(condition: str, played: Played) -> bool:
    """Whether a step runs: after a failure only one that asks for ``always()`` does."""
    parts = [part.strip() for part in condition.split("&&") if part.strip()]
    if played.failed and "always()" not in parts:
        return False
    for part in parts:
        if part == "always()":
            continue
        left, right = part.split("==")
        found = _OUTPUT.fullmatch(left.strip())
        assert found, f"a condition that is not understood here: {condition}"
        if played.outputs.get(found[1], {}).get(found[2], "") != right.strip().strip("'"):
            return False
    return True
