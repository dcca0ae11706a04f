"""Rows of trials as a trial writes them, and a folder of results of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.bench.peers import measure, peer, trial
from harness.bench.range import bugs

Made = Callable[..., dict[str, Any]]


@pytest.fixture
def made() -> Made:
    """A row: ``detected`` has the CPU seconds of each detected bug; those and bug 32 are triggered, all are reached."""

    def row(name: str, seed: int, budget: float, detected: dict[int, float], **fields: Any) -> dict[str, Any]:
        numbers = [bug.number for bug in bugs.bugs()]
        times = {str(number): time for number, time in detected.items()}
        return {
            "id": trial.Plan(name, seed, budget).id, "peer": name, "seed": seed, "budget": budget, "bugs": numbers,
            "cpu_seconds": budget, "reached": {str(number): 0.5 for number in numbers},
            "triggered": {**times, "32": 1.0}, "detected": times, "calls": 1000, "deep": 250,
        } | fields  # fmt: skip

    return row


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of results; the parsers are the real ones."""
    folder = tmp_path / "peers"
    folder.mkdir()
    for module in (peer, trial, measure):
        monkeypatch.setattr(module, "folder", lambda: folder)
    return folder
