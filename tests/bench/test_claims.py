"""The page of all results: figures with intervals, goals, and where they are from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.bench import claims, releases
from harness.errors import HarnessError
from tests.cli.running import run

PLANTED: dict[str, Any] = {
    "about": {"command": "harness bench planted", "at": "2026-11-30T00:00:00+00:00", "machine": "a machine, 2 cores"},
    "seconds": 180.0,
    "seed": 1,
    "rows": [{"bug": str(number)} for number in range(24)],
    "found": 22,
    "found_by_kind": {},
}


def test_a_share_has_its_exact_interval_and_its_goal() -> None:
    (one,) = claims.claims("planted", PLANTED)
    assert one == claims.Claim(
        "planted", "planted bugs that a campaign finds in 3 min each", "22 of 24", "73% to 99%", "22", met=True
    )
    (missed,) = claims.claims("planted-blind", PLANTED | {"found": 21})
    assert missed.met is False


def test_the_page_has_every_figure_its_source_and_the_misses() -> None:
    results = {"planted": PLANTED, "releases": releases.summary([])}
    lines = claims.page(results).splitlines()
    assert "1 of 2 goals are met." in lines[2]
    assert "| planted bugs that a campaign finds in 3 min each | 22 of 24 | 73% to 99% | 22 | met |" in lines
    of = len(releases.defects())
    assert any(
        line.startswith(f"| fixed defects that campaigns on old releases find | 0 of {of} | 0% to ") for line in lines
    )
    assert sum("**missed**" in line for line in lines) == 1
    assert "| planted | `harness bench planted` | 2026-11-30T00:00:00+00:00 | a machine, 2 cores |" in lines


def test_the_command_writes_the_page_and_its_status_tells_of_misses(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="no results in"):
        run("bench", "results", "--from", tmp_path)
    (tmp_path / "planted.json").write_text(json.dumps(PLANTED))
    # A part of a measurement is no result.
    (tmp_path / "mutants-part.json").write_text("{}")
    status, said = run("bench", "results", "--from", tmp_path)
    assert (status, said) == (0, f"1 figures, 0 below their goal: {tmp_path / 'results.md'}\n")
    assert (tmp_path / "results.md").read_text() == claims.page({"planted": PLANTED})
    (tmp_path / "planted-blind.json").write_text(json.dumps(PLANTED | {"found": 3}))
    status, said = run("bench", "results", "--from", tmp_path, "--page", tmp_path / "page.md", "--json")
    assert status == 1
    assert [(one["bench"], one["figure"], one["met"]) for one in json.loads(said)] == [
        ("planted", "22 of 24", True),
        ("planted", "3 of 24", False),
    ]
    (tmp_path / "planted.json").write_text("{")
    with pytest.raises(HarnessError, match="no JSON"):
        run("bench", "results", "--from", tmp_path)
