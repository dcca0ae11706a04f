from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PLUGIN = Path(__file__).parent / "plugin"
REPOSITORY = Path(__file__).parents[2]


class Fuzz:
    """Runs ``harness fuzz`` as people do, in a process of its own."""

    def __init__(self, campaign: Path) -> None:
        self.campaign = campaign

    def command(self, *arguments: str) -> list[str]:
        places = ["--campaign", str(self.campaign), "--ledger", str(self.campaign.with_name("ledger"))]
        return [sys.executable, "-m", "harness", "fuzz", "--no-ui", *places, *arguments]

    def environment(self) -> dict[str, str]:
        return os.environ | {"PYTHONPATH": f"{PLUGIN}{os.pathsep}{REPOSITORY}", "HARNESS_HOME": str(REPOSITORY)}

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments), env=self.environment(), capture_output=True, text=True, timeout=300, check=False
        )

    def ledger(self) -> dict[str, Any]:
        whole: dict[str, Any] = json.loads((self.campaign / "campaign.json").read_text())
        return whole

    def session(self) -> dict[str, Any]:
        entry: dict[str, Any] = self.ledger()["sessions"][-1]
        return entry


@pytest.fixture
def fuzz(tmp_path: Path, sancov_parser: object) -> Fuzz:
    return Fuzz(tmp_path / "campaign")
