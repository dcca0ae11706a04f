"""The summary of attempts, and the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.bench import claims
from harness.bench.range import bugs, page, results

from .conftest import Made

BUGS = bugs.bugs()


def test_each_budget_has_its_figures(made: Made) -> None:
    everything = {bug.number: float(bug.number) for bug in BUGS}
    some = dict.fromkeys(range(3, 13), 1.0)
    result = results.summary([made(1, 60, some), made(2, 60, everything), made(1, 600, everything)], BUGS, 0.6)
    small, large = result["budgets"]
    assert (small["attempts"], small["solved"], small["mean_steps"]) == (2, 1, 21.0)
    assert (small["least_steps"], small["most_steps"], small["seconds_to_all"]) == (10, 32, 32.0)
    assert small["cpu_seconds_per_step"] == pytest.approx(120 / 42, abs=0.01)
    assert small["price_per_step"] == pytest.approx(0.6 * 120 / 3600 / 42)
    assert (large["solved"], large["mean_steps"]) == (1, 32.0)


def test_a_bug_is_counted_as_reached_triggered_and_detected_apart(made: Made) -> None:
    rows = [made(1, 60, {3: 4.0, 4: 8.0}), made(2, 60, {3: 6.0})]
    first, second, third, fourth, *_ = results.summary(rows, BUGS, 0.05)["bugs"]
    counts = [[bug[word] for word in ("reached", "triggered", "detected")] for bug in (first, second, third, fourth)]
    assert counts == [[0, 0, 0], [2, 0, 0], [2, 2, 2], [2, 2, 1]]
    assert (third["median_seconds"], fourth["median_seconds"]) == (4.0, 8.0)
    assert third["survival"] == [(0.0, 1.0), (4.0, 0.5), (6.0, 0.0)]
    assert first["median_seconds"] is None


def test_a_goal_is_missed_by_a_mean_below_it(made: Made) -> None:
    everything = {bug.number: 1.0 for bug in BUGS}
    good = results.summary([made(1, 120, everything), made(1, 1200, everything)], BUGS, 0.05)
    assert not results.below_goal(good)
    assert results.below_goal(results.summary([made(1, 120, {1: 1.0})], BUGS, 0.05))
    # Another budget has no goal, nor has a part of the bugs.
    assert not results.below_goal(results.summary([made(1, 60, {1: 1.0})], BUGS, 0.05))
    assert not results.below_goal(results.summary([made(1, 120, {1: 1.0})], BUGS[:4], 0.05))


def test_the_claims_are_means_and_solved_attempts_of_each_budget(made: Made) -> None:
    everything = {bug.number: 1.0 for bug in BUGS}
    rows = [made(1, 120, {1: 1.0}), made(1, 1200, everything), made(2, 1200, everything)]
    found = claims.claims("range", results.summary(rows, BUGS, 0.05))
    assert [(one.figure, one.goal, one.met) for one in found] == [
        ("1.0", "28", False), ("0 of 1", "", None), ("32.0", "32", True), ("2 of 2", "", None),
    ]  # fmt: skip
    assert found[-1].interval == "16% to 100%"


def test_the_lines_name_every_bug_and_what_was_predicted(made: Made) -> None:
    lines = list(results.lines(results.summary([made(1, 60, {3: 4.0}, failed=True)], BUGS, 0.05)))
    assert lines[0].endswith("1 failed")
    assert "busy" not in lines[0]
    assert "in 1 the machine was busy" in next(
        results.lines(results.summary([made(1, 60, {}, slowdown=2.0)], BUGS, 0.05))
    )
    assert "0 of 1 attempts detect all 32; 1.0 on average" in lines[0]
    assert len(lines) == 2 + len(BUGS)
    assert "bytes, ablated" in next(line for line in lines if "header-remembered" in line)


def test_the_page_has_both_sides_with_their_sources_and_runs_nothing(made: Made, tmp_path: Path) -> None:
    rows = [made(seed, 600, {number: 10.0 * number for number in range(1, 20)}) for seed in (1, 2, 3)]
    path = tmp_path / "page.html"
    page.write(path, results.summary(rows, BUGS, 0.05))
    text = path.read_text(encoding="utf-8")
    assert text.count('class="run"') == 3
    assert "prefers-color-scheme: dark" in text
    for one in page.published()["attacker"]:
        assert {"source", "date", "told_by"} <= one.keys()
        assert one["model"] in text
    assert "3 of 10" in text
    assert "6 of 10" in text
    assert all(bug.name in text for bug in BUGS)
    assert "http" not in text.replace("http-equiv", "")
    assert "<script" not in text


def test_the_page_is_made_without_any_attempt(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    page.write(path, results.summary([], BUGS, 0.05))
    assert "No attempt was made yet." in path.read_text(encoding="utf-8")
