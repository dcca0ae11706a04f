"""The ranking of functions, on spectra made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from harness.coverage.functions import Place
from harness.triage.suspects import NEAREST, Spectrum, ochiai, rank, same_coverage

PARSE, CHECK, SAVE, READ = (
    Place("a.rs", name, line) for line, name in enumerate(("parse", "check", "save", "read"), 1)
)
FAILING = np.array([True, True, False, False])


def spectrum(elements: list[tuple[Place, list[int]]], raised: dict[int, list[int]] | None = None) -> Spectrum:
    """Of the counts of each element by run."""
    counts = np.array([counts for _, counts in elements], np.uint64).T
    thrown = np.zeros_like(counts)
    for column, steps in (raised or {}).items():
        thrown[:, column] = steps
    return Spectrum([place for place, _ in elements], list(range(10, 10 + len(elements))), counts, thrown)


def order(made: Spectrum, failing: np.ndarray = FAILING) -> list[str]:
    return [suspect.place.function for suspect in rank(made, failing)]


def test_ochiai_is_one_for_what_goes_with_every_failure_and_no_pass():
    ran = np.array([[1, 1, 0, 1], [1, 0, 0, 1], [0, 0, 1, 1], [0, 0, 0, 1]], bool)
    assert ochiai(ran, FAILING, ~FAILING) == pytest.approx([1, 1 / 2**0.5, 0, 2 / 8**0.5])


def test_a_function_that_only_failing_runs_enter_comes_first():
    made = spectrum([(PARSE, [1, 1, 1, 1]), (CHECK, [1, 1, 0, 0]), (SAVE, [1, 0, 1, 0])])
    first, *_ = rank(made, FAILING)
    assert (first.place, first.line, first.why) == (CHECK, 11, "ran")


def test_a_branch_that_failing_runs_leave_out_speaks_for_its_function():
    made = spectrum([(PARSE, [1, 1, 1, 1]), (CHECK, [1, 1, 1, 1]), (CHECK, [0, 0, 1, 1])])
    first, *_ = rank(made, FAILING)
    assert (first.place, first.line, first.why) == (CHECK, 12, "left out")


def test_a_function_that_the_failing_input_does_not_enter_is_no_suspect():
    assert order(spectrum([(PARSE, [1, 1, 1, 1]), (SAVE, [0, 1, 0, 0])])) == ["parse"]


def test_the_innermost_function_that_an_exception_left_comes_first():
    elements = [(PARSE, [1, 1, 0, 0]), (CHECK, [1, 1, 0, 0]), (READ, [1, 1, 0, 0])]
    made = spectrum(elements, raised={0: [9, 9, 0, 0], 1: [7, 7, 0, 0]})
    assert order(made) == ["check", "parse", "read"]
    assert [suspect.why for suspect in rank(made, FAILING)] == ["raised", "raised", "ran"]


def test_an_exception_that_passing_runs_share_weighs_less():
    elements = [(PARSE, [1, 1, 1, 1]), (CHECK, [1, 1, 0, 0])]
    assert order(spectrum(elements, raised={0: [9, 9, 9, 9]})) == ["check", "parse"]


def test_equal_coverage_is_ordered_by_size_then_by_how_often_it_ran():
    alike = [(PARSE, [1, 1, 1, 1]), (CHECK, [1, 1, 1, 1]), (CHECK, [1, 1, 1, 1]), (SAVE, [3, 3, 1, 1])]
    made = spectrum(alike)
    assert order(made) == ["check", "save", "parse"]
    assert same_coverage(made, ~FAILING) == 2


def test_coverage_that_differs_is_not_the_same():
    assert same_coverage(spectrum([(PARSE, [1, 1, 1, 1]), (CHECK, [1, 1, 0, 1])]), ~FAILING) == 1


def test_passing_runs_that_stop_early_do_not_hide_the_difference():
    """The nearest count: many that were refused at once would make everything after suspicious."""
    early = 5 * NEAREST
    near = [1] + [0] * early + [1] * NEAREST
    made = spectrum(
        [(PARSE, [1] * len(near)), (SAVE, near), (SAVE, near), (READ, near), (CHECK, [1] + [0] * (len(near) - 1))]
    )
    failing = np.array([True] + [False] * (len(near) - 1))
    assert order(made, failing)[0] == "check"


def test_without_passing_runs_every_function_is_told():
    assert set(order(spectrum([(PARSE, [1, 1]), (SAVE, [1, 0])]), np.array([True, True]))) == {"parse", "save"}
