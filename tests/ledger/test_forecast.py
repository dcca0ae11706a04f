"""Forecasts against processes whose truth is known, and against figures worked out by hand or in the papers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy
import pytest

from harness.ledger import joined
from harness.ledger.estimators import chao1, garwood, good_turing, still_rising
from harness.ledger.forecast import of_curve
from harness.ledger.growth_curve import Model, Shape
from harness.ledger.records import Frequencies, Point, Record, TargetRecord

# Of independent draws from one distribution, whatever it is.
ONE_BY_ONE = Shape(cluster=1.0, wander=0.0, exponent=1.0, spread=1.0)


def point(executions: int, edges: int, **other: int) -> Point:
    base = Point(executions / 1000, executions / 1000, executions, edges, edges, edges, edges, 0)
    return replace(base, **other)


def marks(last: int) -> list[int]:
    return sorted({int(at) for at in numpy.geomspace(10, last, 60)})


def discovered(chances: numpy.ndarray, at: Sequence[int], seed: int) -> list[int]:
    """How many species are known after ``at`` executions, each with its chance to be met in one: first meetings are geometric."""
    first = numpy.random.default_rng(seed).geometric(chances)
    return [int((first <= done).sum()) for done in at]


@pytest.mark.parametrize("slope", [1.5, 1.8])
def test_a_known_distribution_is_predicted_as_often_as_is_said(slope: float) -> None:
    # Chances that fall as a power of the rank, as words and program elements do; half is predicted from half.
    chances = numpy.minimum(0.9, 0.5 * numpy.arange(1, 20_001) ** -slope)
    at = marks(20_000)
    held, widths = 0, []
    for seed in range(60):
        known = discovered(chances, [*at, 40_000], seed)
        interval = Model(at, known[:-1], ONE_BY_ONE).more(20_000)
        held += interval.holds(known[-1] - known[-2])
        widths.append(interval.width / max(interval.estimate, 1))
    assert held >= 48
    assert numpy.median(widths) < 1.2


def test_a_pool_that_runs_dry_is_forecast_too_high_and_never_too_low() -> None:
    # A power law has no end: the model is wrong here, on the side that promises less safety than there is.
    chances = numpy.minimum(0.9, 0.5 / numpy.arange(1, 3001))
    at = marks(20_000)
    known = discovered(chances, [*at, 40_000], 1)
    assert Model(at, known[:-1], ONE_BY_ONE).more(20_000).low > known[-1] - known[-2] > 0


def test_where_everything_is_found_nothing_more_is_forecast() -> None:
    chances = numpy.full(300, 0.01)
    at = marks(20_000)
    model = Model(at, discovered(chances, at, 1), ONE_BY_ONE)
    assert model.more(20_000).low == 0
    assert model.more(20_000).estimate <= 1
    # And never a certainty: nothing seen in n executions does not say that there is nothing.
    assert model.more(20_000).high >= 1
    assert 0 < model.at_most(200) < 0.1
    assert model.at_most(2_000_000) > model.at_most(200)
    assert model.at_most(model.until(0.05)) == pytest.approx(0.05, rel=0.05)


def test_what_comes_in_clusters_has_the_wider_interval_and_more_budget_brings_more() -> None:
    at = marks(20_000)
    known = discovered(numpy.minimum(0.9, numpy.arange(1, 3001) ** -1.2), at, 3)
    plain, clustered = Model(at, known, ONE_BY_ONE), Model(at, known, replace(ONE_BY_ONE, cluster=5.0))
    assert clustered.more(20_000).width > 1.5 * plain.more(20_000).width
    twice, ten, hundred = (plain.more(20_000 * times) for times in (1, 9, 99))
    assert twice.estimate < ten.estimate < hundred.estimate
    assert twice.high < ten.high < hundred.high
    # The same curve gives the same numbers.
    assert plain.more(20_000) == Model(at, known, ONE_BY_ONE).more(20_000)


def test_good_turing_is_what_is_left_to_be_met() -> None:
    # The mean of f1 / n over samples is the expected number of new species in one more execution.
    chances = numpy.minimum(0.9, 0.5 * numpy.arange(1, 401) ** -1.3)
    random = numpy.random.default_rng(5)
    inside = 0
    for _ in range(60):
        counts = random.binomial(200, chances)
        truth = float(chances[counts == 0].sum())
        frequencies = Frequencies(200, int((counts > 0).sum()), tuple(int((counts == k).sum()) for k in range(1, 9)))
        inside += good_turing(frequencies).holds(truth)
    assert inside >= 50


def test_garwoods_limits_are_those_of_the_tables() -> None:
    assert garwood(0)[0] == 0
    assert garwood(0)[1] == pytest.approx(2.9957, abs=1e-3)
    assert garwood(10)[0] == pytest.approx(5.4254, abs=1e-3)
    assert garwood(10)[1] == pytest.approx(16.9622, abs=1e-3)


def test_chao1_agrees_with_counting_by_hand_and_is_a_lower_bound() -> None:
    left = chao1(Frequencies(100, 50, (10, 5)))
    assert left.estimate == pytest.approx(0.99 * 100 / 10)
    assert 0 < left.low < left.estimate < left.high
    assert chao1(Frequencies(100, 50, (4, 0))).estimate == pytest.approx(0.99 * 4 * 3 / 2)
    nothing = chao1(Frequencies(100, 50, (0, 0)))
    assert (nothing.low, nothing.estimate) == (0, 0)
    assert nothing.high == pytest.approx(2.9957, abs=1e-3)
    chances = numpy.full(200, 0.004)
    counts = numpy.random.default_rng(2).binomial(300, chances)
    frequencies = Frequencies(300, int((counts > 0).sum()), (int((counts == 1).sum()), int((counts == 2).sum())))
    assert chao1(frequencies).holds(int((counts == 0).sum()))


def test_returns_that_do_not_diminish_are_said_to_and_too_few_are_not_judged() -> None:
    at = [*range(100, 10_001, 100)]
    assert still_rising(at, [done // 50 for done in at], 1.0) == "do not diminish yet"
    assert still_rising(at, [min(done, 3000) // 20 for done in at], 1.0) == "diminish"
    assert still_rising(at, [7 for _ in at], 1.0) == "too few to tell"
    assert still_rising([1, 2, 10_000], [0, 1, 500], 1.0) == "too few to tell"
    # The same numbers in large clusters say less.
    assert still_rising(at, [min(done, 3000) // 20 for done in at], 40.0) == "too few to tell"


def test_a_forecast_speaks_in_sentences_and_in_plain_types() -> None:
    curve = tuple(point(done, 100 + int(20 * numpy.log(done)), signatures=3) for done in marks(50_000))
    target = TargetRecord("t", 50_000, 50.0, 60.0, {"edges": curve[-1].edges}, curve=curve)
    record = Record("id", "2026-01-01", "0.8.0", 1, 60.0, 50.0, 50_000, 1, "time", "", {"t": target})
    seen = joined.forecast([record], "t")
    assert seen is not None
    assert joined.forecast([record], "other") is None
    assert seen.rate == pytest.approx(1000)
    # The logarithmic curve: a doubling brings 20 * ln(2).
    assert seen.kinds["edges"].more(50_000).holds(20 * numpy.log(2))
    words = seen.words()
    assert words[0].startswith("one more CPU-hour (3.6M executions): ")
    assert "new edges (90 %)" in words[0]
    assert any("show a new signature with a probability of at most" in line for line in words)
    printed = json.loads(json.dumps(seen.as_json()))
    assert printed["kinds"]["edges"]["budget"]["10"]["low"] <= printed["kinds"]["edges"]["budget"]["100"]["low"]
    assert printed["words"] == words


def test_a_curve_that_says_nothing_gives_no_forecast() -> None:
    assert of_curve("t", "p", ()) is None
    assert of_curve("t", "p", tuple(point(done, 5) for done in (10, 20, 30))) is None
