"""How costs may grow: series that are as wrong as can be, and series that are right but not smooth."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from harness.targets.resources.oracle import BYTES, INSTRUCTIONS, Point, exponent, judge

SIZES = (32, 64, 128, 256, 512)


def series(
    cost: Callable[[int], float],
    *,
    text: Callable[[int], int] = lambda n: 64 * n,
    peak: Callable[[int], int] = lambda n: 0,
) -> list[Point]:
    return [Point(n, 8 + text(n), text(n), 0, int(cost(n)), peak(n)) for n in SIZES]


def rules(points: list[Point], cost: str = INSTRUCTIONS) -> list[tuple[str, str, str]]:
    return [(f.kind, f.rule.name, f.aspect) for f in judge("call", "family", "things", cost, points)]


@pytest.mark.parametrize(
    ("cost", "power"),
    [
        (lambda n: 20_000, 0.0),
        (lambda n: 20_000 + n % 7, 0.0),
        (lambda n: 1_000_000 + 300 * n, 1.0),
        (lambda n: 500 * n * math.log(n), 1.2),
        (lambda n: 90_000 + 40 * n**1.5, 1.5),
        (lambda n: 1_000_000 + n * n, 2.0),
    ],
)
def test_the_exponent_is_that_of_what_grows(cost: Callable[[int], float], power: float):
    assert exponent(series(cost)) == pytest.approx(power, abs=0.06)


@pytest.mark.parametrize("at", range(5))
@pytest.mark.parametrize("factor", [0.9, 1.12])
def test_one_member_out_of_line_changes_little(at: int, factor: float):
    points = series(lambda n: 1000 * n)
    odd = points[at]
    points[at] = Point(odd.n, odd.size, odd.text, odd.data, int(odd.cost * factor))
    assert exponent(points) == pytest.approx(1, abs=0.25)
    assert rules(points) == []


@pytest.mark.parametrize(
    "cost", [lambda n: 500 * n * math.log(n), lambda n: 30_000 + n, lambda n: 10 * n, lambda n: 77]
)
def test_what_grows_as_the_file_does_is_fine(cost: Callable[[int], float]):
    assert rules(series(cost)) == []
    assert rules(series(cost), BYTES) == []


@pytest.mark.parametrize(("cost", "kind"), [(INSTRUCTIONS, "time"), (BYTES, "memory")])
def test_faster_than_the_file_is_a_finding(cost: str, kind: str):
    assert rules(series(lambda n: 50_000 + 10 * n * n), cost) == [(kind, "resources.call", "family/superlinear")]
    assert rules(series(lambda n: 50_000 + 40 * n**1.5), cost) == [(kind, "resources.call", "family/superlinear")]


def test_growth_with_what_the_call_is_not_for_is_a_finding():
    points = series(lambda n: 20_000 + 60 * n, text=lambda n: 14)
    assert rules(points) == [("time", "resources.call", "family/unrelated")]
    assert "stays at 14 bytes" in judge("call", "family", "things", INSTRUCTIONS, points)[0].summary
    # A thousandth of the constant part for each, and one member that is out of line, are none.
    assert rules(series(lambda n: 20_000 + n, text=lambda n: 14)) == []
    assert rules(series(lambda n: 20_000 if n < 512 else 60_000, text=lambda n: 14)) == []
    # What the allocator may spend on what others freed is noise in instructions, and none in bytes.
    assert rules(series(lambda n: 9_000 + 30 * n, text=lambda n: 14)) == []
    assert rules(series(lambda n: 9_000 + 30 * n, text=lambda n: 14), BYTES) != []


def test_memory_is_in_proportion_to_what_is_read():
    dense = series(lambda n: 64 * 28 * n, peak=lambda n: 64 * 28 * n)
    assert rules(dense, BYTES) == []
    loose = series(lambda n: 64 * 90 * n, peak=lambda n: 64 * 90 * n)
    assert rules(loose, BYTES) == [("memory", "resources.call", "family/multiple")]
    # A buffer of the writer's own is no matter of size; one of a gigabyte is, however small the file.
    assert rules(series(lambda n: 1 << 20, peak=lambda n: 1 << 20), BYTES) == []
    assert rules(series(lambda n: 1 << 30, peak=lambda n: 1 << 30), BYTES) == [
        ("memory", "resources.call", "family/multiple")
    ]


def test_too_few_members_say_nothing():
    assert rules(series(lambda n: n * n)[:2]) == []
    assert exponent(series(lambda n: n * n)[:2]) == 0.0
