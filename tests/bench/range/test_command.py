"""``harness bench range`` on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness import paths
from harness.bench.range import bugs, measure, results
from harness.cli.main import group
from harness.errors import HarnessError

from .conftest import Made


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(group, ["bench", "range", *arguments], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return int(done.return_value or 0), done.output


def test_a_bug_that_is_none_is_told() -> None:
    with pytest.raises(HarnessError, match="no planted bug is called 'nope'") as caught:
        run("--bug", "nope")
    assert "bugs.toml" in caught.value.hint


def test_the_results_are_printed_and_kept(tmp_path: Path, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [made(1, 120, {3: 4.0})]

    def measured(chosen: Any, budgets: Any, *_: Any, price: float, **options: Any) -> dict[str, Any]:
        assert (len(chosen), list(budgets), options["part"]) == (32, [120.0], (1, 1))
        return results.summary(rows, bugs.bugs(), price)

    monkeypatch.setattr(measure, "measure", measured)
    monkeypatch.setattr(paths, "build_dir", lambda: tmp_path)
    Path(tmp_path, "bench", "range").mkdir(parents=True)
    status, said = run("--budget", "2m")
    assert status == 1, "the mean of 1 is below the goal of 28"
    assert "2 min of CPU: 0 of 1 attempts detect all 32" in said
    kept = json.loads(Path(tmp_path, "bench", "range.json").read_text())
    assert kept["budgets"][0]["mean_steps"] == 1.0
    assert Path(tmp_path, "bench", "range", "index.html").is_file()
    status, said = run("--budget", "2m", "--json")
    assert json.loads(said)["steps"] == 32
