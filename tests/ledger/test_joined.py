"""Two sittings as one curve."""

from __future__ import annotations

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


def test_a_forecast_needs_points() -> None:
    assert joined.curve([FIRST], "slices") == ()
    assert joined.forecast([], "deserialize") is None
    assert joined.forecast([FIRST], "deserialize") is None
    both = joined.forecast([FIRST, SECOND], "deserialize")
    assert both is not None
    assert (both.executions, both.kinds["edges"].known, both.kinds["edges"].discovered) == (7000, 115, 15)
