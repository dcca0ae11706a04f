from __future__ import annotations

import math
from typing import Any

import pytest

from harness.bench.operators import Run, a12, compare, fisher, judge, mann_whitney, missed


def runs(*names: str, edges: int = 900) -> list[Run]:
    """One run per text: its lower-case letters are features, the others findings."""
    return [
        Run(frozenset(filter(str.islower, name)), frozenset(filter(str.isupper, name)), edges + at % 3, 0.6)
        for at, name in enumerate(names)
    ]


def sets(*names: str) -> list[frozenset[str]]:
    return [frozenset(name) for name in names]


def test_a12_is_the_chance_of_being_larger() -> None:
    assert a12([2, 3], [1, 1]) == 1.0
    assert a12([1, 1], [2, 3]) == 0.0
    assert a12([1, 2], [1, 2]) == 0.5


def test_mann_whitney_agrees_with_a_worked_example_and_looks_at_one_side() -> None:
    # Two groups of ten without any overlap: U = 0, z = 3.74 after continuity correction.
    assert mann_whitney(range(10, 20), range(10)) == pytest.approx(0.000183 / 2, abs=1e-6)
    assert mann_whitney(range(10), range(10, 20)) > 0.999
    assert mann_whitney([5, 5], [5, 5]) == 1.0


def test_fisher_agrees_with_counting_by_hand() -> None:
    # Of eight cups four have milk first (Fisher 1935): all four found by chance is 1 of 70, three or more 17 of 70.
    assert fisher(4, 4, 0, 4) == pytest.approx(1 / 70)
    assert fisher(3, 4, 1, 4) == pytest.approx(17 / 70)
    assert fisher(0, 4, 0, 4) == fisher(4, 4, 4, 4) == 1.0
    assert fisher(40, 40, 0, 10) == pytest.approx(1 / math.comb(50, 10))


def test_what_went_missing_comes_first_with_its_chance_corrected_for_all_that_could_have() -> None:
    gone = missed(sets(*["abc"] * 40), sets(*["ab"] * 10))
    assert gone[0][1] == "c"
    assert gone[0][0] == pytest.approx(3 / math.comb(50, 10))
    assert [value for value, _ in gone[1:]] == [1.0, 1.0]
    # A thing that half of all runs reach anyhow tells nothing when a few miss it.
    assert missed(sets(*["ab", "a"] * 20), sets(*["a"] * 2)) == [(1.0, "a")]


def test_one_thing_that_is_never_reached_again_is_enough_though_the_numbers_stay() -> None:
    full = runs(*["abc", "abd", "abcd", "abc"] * 10)
    assert compare(full, runs(*["abd"] * 10))["only_with_it"] == ["c"]
    assert compare(full, full[:10])["p"] == 1.0
    assert compare(runs(*["abZ", "aZ", "b"] * 14), runs(*["ab", "a"] * 5))["only_with_it"] == ["Z"]
    assert compare(full, runs(*["abc", "abd"] * 5, edges=700))["p"] < 0.001


def test_over_many_operators_the_rate_of_false_discoveries_is_held() -> None:
    # Benjamini and Hochberg (1995), their example of 15 p-values: four are discoveries at 5 %.
    values = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
              0.7590, 1.0]  # fmt: skip
    rows: dict[str, dict[str, Any]] = {f"{at:02}": {"p": p} for at, p in enumerate(values)}
    judge(rows)
    assert [name for name, row in rows.items() if row["pays"]] == ["00", "01", "02", "03"]
    assert rows["03"]["q"] == pytest.approx(0.0095 * 15 / 4, abs=1e-5)
    assert rows["14"]["q"] == 1.0
