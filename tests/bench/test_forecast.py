from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from harness.bench.forecast import halves, table, validate
from harness.cli.main import group
from harness.ledger import records


def campaign(folder: Path, late: int = 0) -> Path:
    """A recorded session: 30 edges per e-fold, and ``late`` more in its last quarter."""
    curve: list[dict[str, Any]] = []
    for step in range(1, 41):
        done = 500 * step
        edges = 300 + round(30 * math.log(done)) + (late if step > 30 else 0)
        values = dict.fromkeys(("edges", "features", "semantic", "corpus"), edges)
        curve.append({"seconds": step, "cpu_seconds": step, "executions": done, "signatures": 2} | values)
    target = {"executions": 20_000, "cpu_seconds": 40.0, "edges": curve[-1]["edges"], "curve": curve}
    session = {"started": "2026-01-01T00:00:00", "seed": 4, "parser": "p", "per_target": {"t": target}, "findings": {}}
    folder.mkdir()
    (folder / "campaign.json").write_text(json.dumps({"sessions": [session]}))
    return folder


def test_the_second_half_is_predicted_from_the_first_alone(tmp_path: Path) -> None:
    plain = validate([campaign(tmp_path / "plain")])["edges"]["rows"][0]
    late = validate([campaign(tmp_path / "late", late=500)])["edges"]["rows"][0]
    assert plain["real"] == 21
    assert plain["inside"]
    assert late["real"] == 521
    assert not late["inside"]
    # What comes later changes nothing of what was said before.
    told = ("executions", "low", "estimate", "high")
    assert [plain[key] for key in told] == [late[key] for key in told]
    assert plain["executions"] == 10_000


def test_the_command_prints_the_error_and_fails_where_too_many_lie_outside(project: Path) -> None:
    for name, late, status in (("plain", 0, 0), ("late", 500, 1)):
        folder = campaign(project / name, late)
        result = CliRunner().invoke(group, ["bench", "forecast", "--recorded", str(folder)], standalone_mode=False)
        assert result.return_value == status
        assert f"inside: {1 - status} of 1" in result.output
        assert json.loads((project / "build/bench/forecast.json").read_text())["edges"]["inside"] == 1 - status


def test_a_curve_without_halves_is_passed_over(tmp_path: Path) -> None:
    (entry,) = records.entries(campaign(tmp_path / "c"))
    curve = entry.targets["t"].curve
    assert halves(curve[:5]) is None
    assert halves((*curve[:18], curve[-1])) is not None
    assert halves((*curve[:15], *curve[-10:])) is None
    assert table({})[:1] == []
