from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that can move its cursor: the machine that runs the tests may have none."""
    monkeypatch.setenv("TERM", "xterm")
