from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli.main import group
from harness.errors import HarnessError


def test_no_campaign_says_how_to_run_one(project: Path):
    for command in ("findings", "triage"):
        result = CliRunner().invoke(group, [command], standalone_mode=False)
        assert isinstance(result.exception, HarnessError)
        assert "harness fuzz" in result.exception.hint
        assert result.exception.exit_status == 2


def test_a_folder_that_is_no_campaign(project: Path):
    result = CliRunner().invoke(group, ["findings", "--campaign", "crashes"], standalone_mode=False)
    assert isinstance(result.exception, HarnessError)
    assert "is no campaign folder" in str(result.exception)


@pytest.mark.parametrize("command", ["repro", "check", "minimize", "explain", "findings", "triage"])
def test_every_help_has_an_example_that_parses(command: str):
    text = CliRunner().invoke(group, [command, "--help"]).output
    assert "Example: harness" in " ".join(text.split())
    assert f"harness {command}" in " ".join(text.split())
