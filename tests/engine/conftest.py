from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.targets import scratch

PLUGIN = Path(__file__).parent / "plugin"
REPOSITORY = Path(__file__).parents[2]


class Fuzz:
    """Runs ``harness fuzz`` as people do, in a process of its own."""

    def __init__(self, campaign: Path, patience: float = 300) -> None:
        self.campaign = campaign
        #: Seconds of the clock that a campaign may take.
        self.patience = patience

    def command(self, *arguments: str) -> list[str]:
        places = ["--campaign", str(self.campaign), "--ledger", str(self.campaign.with_name("ledger"))]
        return [sys.executable, "-m", "harness", "fuzz", "--no-ui", *places, *arguments]

    def environment(self) -> dict[str, str]:
        return os.environ | {"PYTHONPATH": f"{PLUGIN}{os.pathsep}{REPOSITORY}", "HARNESS_HOME": str(REPOSITORY)}

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=self.patience,
            check=False,
        )

    def ledger(self) -> dict[str, Any]:
        whole: dict[str, Any] = json.loads((self.campaign / "campaign.json").read_text())
        return whole

    def session(self) -> dict[str, Any]:
        entry: dict[str, Any] = self.ledger()["sessions"][-1]
        return entry


@pytest.fixture
def fuzz(tmp_path: Path, sancov_parser: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fuzz]:
    """No campaign of a test, however it ends, may leave anything in memory once the last of them has ended."""
    place = tempfile.mkdtemp(prefix="harness-fuzz-", dir=scratch.root())
    monkeypatch.setenv(scratch.VARIABLE, place)
    yield Fuzz(tmp_path / "campaign")
    left = [str(path.relative_to(place)) for path in Path(place).rglob("*")]
    shutil.rmtree(place)
    assert left == []
