"""Two sittings as one curve."""

from __future__ import annotations

from dataclasses import replace

from harness.ledger import joined
from harness.ledger.records import Point, Record, TargetRecord


def point(seconds: float, edges: int, signatures: int) -> Point:
    return Point(seconds, seconds / 2, int(1000 * seconds), edges, 2 * edges, 3, 4, signatures)


def record(name: str, signatures: tuple[str, ...], *points: Point) -> Record:
    target = TargetRecord("deserialize", 1000, 1.0, 2.0, {}, tuple(points), {}, signatures)
    return Record(name, name, "0.8.0", 1, 2.0, 1.0, 1000, 1, "time", "c", {"deserialize": target})


FIRST = record("1", ("a", "b"), point(1, 100, 0), point(2, 110, 1), point(3, 112, 2))
# It starts a little below what is known, and finds one of the two again before it finds another.
SECOND = record("2", ("b", "c"), point(1, 111, 1), point(4, 115, 2))


def test_spending_goes_on_and_what_is_known_never_falls() -> None:
    found = joined.curve([FIRST, SECOND], "deserialize")
    assert [one.seconds for one in found] == [1, 2, 3, 4, 7]
    assert [one.cpu_seconds for one in found] == [0.5, 1, 1.5, 2, 3.5]
    assert [one.executions for one in found] == [1000, 2000, 3000, 4000, 7000]
    assert [one.edges for one in found] == [100, 110, 112, 112, 115]
    assert [one.signatures for one in found] == [0, 1, 2, 3, 3]


def test_what_was_spent_without_a_point_is_spent() -> None:
    bare = record("2", ("c",))
    late = replace(
        FIRST, targets={"deserialize": replace(FIRST.targets["deserialize"], executions=3500, cpu_seconds=2.0)}
    )
    found = joined.curve([late, bare, record("3", ("a", "d"), point(1, 120, 2))], "deserialize")
    assert (found[-1].executions, found[-1].cpu_seconds) == (3500 + 1000 + 1000, 2.0 + 1.0 + 0.5)
    # a, b and c were known, one of the last two is fresh.
    assert [one.signatures for one in found] == [0, 1, 2, 4]


def test_another_parser_has_other_edges_and_the_same_clock() -> None:
    old = replace(FIRST, parser="0.7.0")
    assert joined.curve([old, FIRST, SECOND], "deserialize")[0] == replace(
        FIRST.targets["deserialize"].curve[0], seconds=4
    )
    assert [one.edges for one in joined.curve([SECOND, old], "deserialize")] == [100, 110, 112]


def test_a_moment_without_executions_in_between_is_told_once() -> None:
    still = replace(point(2, 113, 1), executions=1000)
    found = joined.curve([record("1", ("a",), point(1, 100, 0), still, point(3, 115, 1))], "deserialize")
    assert [(one.executions, one.edges) for one in found] == [(1000, 113), (3000, 115)]


def test_targets_that_take_turns_are_put_together_by_the_clock() -> None:
    other = TargetRecord("slices", 1000, 0.5, 2.0, {}, (point(2, 50, 1),), {}, ("z",))
    both = replace(FIRST, targets={**FIRST.targets, "slices": other})
    curves = [joined.curve([both, SECOND], name) for name in ("deserialize", "slices")]
    assert joined.together(curves) == [(0.5, 0), (1.0, 1), (2.0, 2), (2.5, 3), (3.0, 4), (4.5, 4)]


def test_a_forecast_needs_points() -> None:
    assert joined.curve([FIRST], "slices") == ()
    assert joined.forecast([], "deserialize") is None
    assert joined.forecast([FIRST], "deserialize") is None
    both = joined.forecast([FIRST, SECOND], "deserialize")
    assert both is not None
    assert (both.executions, both.kinds["edges"].known, both.kinds["edges"].discovered) == (7000, 115, 15)
