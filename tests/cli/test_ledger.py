from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from harness.cli.main import group
from harness.ledger import records


def night(day: int, *, signatures: str = "ab") -> dict[str, Any]:
    """A session of one target that knew 500 edges and finds 20 for each e-fold of its executions."""
    steps = [1000 * 2**step for step in range(10)]
    curve = [
        {"seconds": at / 1000, "cpu_seconds": at / 1000, "executions": at, "edges": 500 + round(20 * math.log(at / 1000)),
         "features": 900, "semantic": 40, "corpus": 7, "signatures": len(signatures)}
        for at in steps
    ]  # fmt: skip
    target = {"executions": steps[-1], "cpu_seconds": 512.0, "seconds": 520.0, "edges": curve[-1]["edges"], "features": 900,
              "semantic_features": 40, "curve": curve}  # fmt: skip
    return {
        "started": f"2026-01-{day:02}T00:00:00+00:00", "seed": day, "targets": ["slices"], "parser": "0.8.0", "seconds": 530.0,
        "cpu_seconds": 512.0, "executions": steps[-1], "per_target": {"slices": target}, "new": [],
        "findings": {name: {"count": 1, "target": "slices"} for name in signatures},
    }  # fmt: skip


def ledger(*arguments: str) -> Result:
    return CliRunner().invoke(group, ["ledger", *arguments], standalone_mode=False)


def test_an_empty_project_says_how_to_begin(project: Path):
    result = ledger()
    assert result.return_value == 0
    assert "harness fuzz makes one" in result.output


def test_spend_and_what_it_bought_and_the_forecast_are_printed(project: Path):
    for day in (1, 2):
        records.keep(night(day, signatures="ab" if day == 1 else "bc"), project / "c")
    result = ledger("--price", "0.9")
    assert "2 sessions, 1024000 executions, 0.28 CPU-hours, 0.256 in money" in result.output
    assert "slices: 1024000 executions" in result.output
    # The second night reached no more edges than the first, and one signature of its own.
    assert "new: 125 edges, 0 features, 0 semantic features, 3 signatures" in result.output
    assert "one more CPU-hour (3.6M executions): " in result.output
    assert "show a new signature with a probability of at most" in result.output


def test_replays_of_findings_are_spent_too(project: Path):
    records.keep(night(1) | {"replay_cpu_seconds": 88.0}, project / "c")
    records.keep(night(2), project / "c")
    said = ledger("--price", "3.6").output
    assert (
        "2 sessions, 1024000 executions, 0.31 CPU-hours, 1.112 in money, 88.0 CPU-seconds of it replays of findings;"
        in said
    )
    assert "\nslices: 1024000 executions, 0.28 CPU-hours, 1.024 in money;" in said
    total = json.loads(ledger("--json").stdout)["total"]
    assert (total["cpu_seconds"], total["replay_cpu_seconds"]) == (1112.0, 88.0)
    # They are told of a session, not of a target.
    assert json.loads(ledger("--json", "--target", "slices").stdout)["total"]["cpu_seconds"] == 1024.0


def test_json_holds_all_of_it_and_says_what_was_passed_over(project: Path):
    kept = records.keep(night(1), project / "c")
    kept.with_name("half.json").write_text('{"started"')
    result = ledger("--json", "--target", "slices", "--hours", "2")
    printed = json.loads(result.stdout)
    assert printed["total"]["bought"] == {"edges": 125, "features": 0, "semantic": 0, "signatures": 2}
    target = printed["targets"]["slices"]
    assert target["price"] is None
    assert target["last"]["edges"]["count"] >= 10
    assert target["forecast"]["more"]["cpu_hours"] == 2
    assert target["forecast"]["kinds"]["edges"]["exponent"] > 0
    assert "half.json: JSONDecodeError" in result.stderr
    assert printed["damaged"] == [line.removeprefix("passed over ") for line in result.stderr.splitlines()]


def test_campaign_folders_are_read_as_they_are(project: Path):
    folder = project / "elsewhere"
    folder.mkdir()
    (folder / "campaign.json").write_text(json.dumps({"format": 1, "sessions": [night(1), night(2)]}))
    assert json.loads(ledger("--campaign", str(folder), "--json").stdout)["total"]["sessions"] == 2
    assert ledger("--campaign", str(project / "corpus")).exception is not None
