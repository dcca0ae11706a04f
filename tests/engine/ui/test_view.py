"""The display in its three modes."""

from __future__ import annotations

import io
import re
import time

import pytest
from rich.console import Console

from harness.engine.campaign.figures import TargetFigures
from harness.engine.campaign.progress import Progress
from harness.engine.ui.view import View, in_ci, line


def test_the_line_for_logs(monkeypatch):
    progress = Progress(("deserialize", "safe_open"), 120.0, 0)
    monkeypatch.setattr(time, "monotonic", lambda: progress.began + 38)
    spent = {"executions": 6000, "seconds": 30.0, "edges": 1200, "semantic_features": 40, "corpus": 12}
    progress.targets = {name: TargetFigures().add(spent) for name in progress.names}
    assert line(progress) == (
        "38 s, 1 min 22 s left; 12k executions; 2400 edges, 80 semantic features, 24 kept (sums over 2 targets); "
        "findings: 0 new, 0 known"
    )


@pytest.mark.parametrize(("environment", "every"), [({}, 10), ({"CI": "true"}, 60), ({"GITHUB_ACTIONS": "true"}, 60)])
def test_lines_come_at_once_then_seldom_and_at_the_end(monkeypatch, environment, every):
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    progress = Progress(("deserialize",), 300.0, 0)
    said: list[str] = []
    with View(Console(file=io.StringIO()), live=False, say=said.append, environment=environment) as view:
        for _ in range(1501):
            view(progress)
            now += 0.1
    # At once, then one for each full interval; the last of them is also where it ends.
    assert [int(text.split(" s")[0]) for text in said[:1]] == [0]
    assert len(said) == 150 // every + (2 if 150 % every else 1)
    assert said[-1].startswith("2 min 30 s")


def test_the_last_state_stays_on_the_terminal():
    file = io.StringIO()
    progress = Progress(("deserialize",), 300.0, 0)
    console = Console(file=file, width=80, height=24, force_terminal=True, color_system=None)
    with View(console, live=True, say=pytest.fail) as view:
        view(progress)
        progress.note = "replays: 3 of 20 runs"
        view(progress)
    shown = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", file.getvalue())
    assert "harness fuzz" in shown
    assert progress.note in shown.rpartition("harness fuzz")[2]


@pytest.mark.parametrize(("value", "found"), [("true", True), ("1", True), ("", False), ("false", False), ("0", False)])
def test_what_is_a_ci_job(value, found):
    assert in_ci({"CI": value}) is found
    assert in_ci({"GITHUB_ACTIONS": value}) is found
