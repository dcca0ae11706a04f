"""The sums of a few trials, by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.bench import claims
from harness.bench.peers import measure, page, results
from harness.bench.range import bugs

from .conftest import Made

PEERS = list(measure.every().values())


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    result = results.summary(rows, PEERS, bugs.bugs(), {"afl": "there is none"})
    return {one["name"]: one for one in result["peers"]} | {"": result}


def test_a_miss_counts_as_the_budget(made: Made) -> None:
    row = made("ours", 1, 64.0, {1: 32.0, 2: 0.0})
    # 32, 0, and 30 times 64, by 32.
    assert results.mean_time(row, "detected", range(1, 33)) == 61.0
    assert results.mean_time(row, "detected", [1]) == 32.0


def test_ours_is_compared_with_each_peer(made: Made) -> None:
    rows = [made("ours", seed, 60, {1: 1.0 + seed, 3: 4.0}) for seed in (1, 2, 3)]
    rows += [made("libfuzzer", seed, 60, {1: 1.5 + seed}) for seed in (1, 2, 3)]
    found = summary(rows)
    one = found["libfuzzer"]
    assert one["a12"]["detected"]["a12"] == 1.0
    # Of the bugs that it can trigger, both find one: 2, 3, 4 against 2.5, 3.5, 4.5. It is slower in six pairs of nine.
    assert one["a12"]["detected_of_possible"]["a12"] == pytest.approx(6 / 9, abs=1e-3)
    assert one["detected"] == [1, 1, 1]
    assert one["triggered"] == [2, 2, 2]
    assert (one["can_trigger"], one["deep_share"]) == (9, 0.25)
    assert one["deep_per_cpu_second"] == pytest.approx(250 / 60, abs=0.05)
    assert one["first"]["1"] == {"reached": 3, "triggered": 3, "detected": 3, "median": 3.5}
    assert one["first"]["3"] == {"reached": 3, "triggered": 0, "detected": 0, "median": 60}
    assert "a12" not in found["ours"]
    assert not results.below_goal(found[""])


def test_the_claims_have_a_goal_for_peers_and_none_for_parts(made: Made) -> None:
    rows = [made(name, seed, 60, {1: 1.0 + seed}) for seed in (1, 2, 3) for name in ("ours", "ours-repair", "bytes")]
    found = claims.claims("peers", summary(rows)[""])
    chances = [one for one in found if "A12" in one.subject]
    assert {(one.figure, one.goal, one.met) for one in chances} == {("0.50", "0.8", False), ("0.50", "", None)}
    assert len(found) == 5


def test_a_part_without_effect_has_no_measured_worth(made: Made) -> None:
    rows = [made(name, seed, 60, {1: 1.0 + seed}) for seed in (1, 2, 3) for name in ("ours", "ours-repair", "bytes")]
    rows += [made("ours-judge", seed, 60, {}) for seed in (1, 2, 3)]
    rows += [made("ours+seeds", seed, 60, {1: 0.5, 2: 0.5}) for seed in (1, 2, 3)]
    result = summary(rows)[""]
    said = "\n".join(results.lines(result, bugs.bugs()))
    assert "repair what depends on a change: no measured worth (A12 0.50" in said
    assert "beyond crashes and undocumented errors: pays (A12 1.00" in said
    # Seeds pay where ours without them is slower.
    assert "with the committed seeds: pays (A12 1.00" in said
    assert "left out: afl: there is none" in said
    # A byte fuzzer that is as quick as ours misses the goal.
    assert results.below_goal(result)


def test_the_page_is_whole_and_escapes(tmp_path: Path, made: Made) -> None:
    rows = [made(name, seed, 60, {1: 1.0 + seed}) for seed in (1, 2) for name in ("ours", "libfuzzer", "ours-judge")]
    result = json.loads(json.dumps(results.summary(rows, PEERS, bugs.bugs(), {"afl": "<none>"})))
    page.write(tmp_path / "new" / "index.html", result)
    text = (tmp_path / "new" / "index.html").read_text()
    assert text.count("<figure>") == 3
    assert "afl is left out: &lt;none&gt;" in text
    assert "rest-accepted" in text
    assert "no measured worth" in text


def test_the_page_of_no_trial_says_nothing_wrong() -> None:
    assert "0 s of CPU time" in page.page(results.summary([], PEERS, bugs.bugs(), {}))
