"""The plan of a campaign's time, without processes: slices that end when they were planned to."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import pytest

from harness.engine.campaign.scheduling import FLOOR, START_UP, Shares, Yield

TARGETS = tuple("abcdefghijklmno")


class Played:
    """A campaign on paper: every slice takes what it was given."""

    def __init__(
        self,
        targets: tuple[str, ...],
        workers: int,
        seconds: float,
        per_second: Callable[[str, float], float] = lambda _name, _now: 0.0,
        start_s: Callable[[str], float] = lambda _name: 0.4,
    ) -> None:
        shares = Shares(targets, workers, seconds)
        self.slices: list[tuple[str, float]] = []
        self.spent = dict.fromkeys(targets, 0.0)
        self.end = 0.0
        running: list[tuple[float, int, str, float]] = [(0.0, number, "", 0.0) for number in range(workers)]
        while running:
            now, worker, target, took = heapq.heappop(running)
            if target:
                shares.finished(target, took, took, start_s(target), Yield(int(per_second(target, now) * took)))
            chosen = shares.next(seconds - now)
            if chosen is not None:
                name, length = chosen
                self.slices.append(chosen)
                self.spent[name] += length
                self.end = max(self.end, now + length)
                heapq.heappush(running, (now + length, worker, name, length))


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("seconds", [60.0, 120.0, 3600.0])
def test_every_target_gets_a_first_slice_before_any_gets_a_second(seconds: float, workers: int) -> None:
    played = Played(TARGETS, workers, seconds)
    assert {name for name, _ in played.slices[: len(TARGETS)]} == set(TARGETS)
    assert played.end == pytest.approx(seconds, rel=0.01)


def test_a_short_campaign_is_one_round_of_slices_of_about_the_same_length() -> None:
    played = Played(TARGETS, 2, 60.0)
    assert [name for name, _ in played.slices] == list(TARGETS)
    assert min(length for _, length in played.slices) > 7


def test_a_campaign_shorter_than_its_targets_still_gives_each_a_second() -> None:
    played = Played(TARGETS, 1, 3.0)
    assert [name for name, _ in played.slices] == list(TARGETS)
    assert min(length for _, length in played.slices) == 1.0


def test_what_yields_gets_the_time_and_nothing_gets_none() -> None:
    hours = 8 * 3600.0
    played = Played(TARGETS, 2, hours, lambda name, _: 10.0 if name == "c" else 1.0 if name == "d" else 0.0)
    whole = sum(played.spent.values())
    floor = FLOOR / len(TARGETS)
    for name, spent in played.spent.items():
        assert spent > 0.8 * floor * whole, name
    assert played.spent["c"] > 5 * played.spent["d"] > 5 * played.spent["e"]
    assert played.spent["c"] == pytest.approx((floor + (1 - FLOOR) * 10 / 11) * whole, rel=0.1)


def test_the_recent_yield_counts_not_what_was() -> None:
    half = 3600.0
    played = Played(("a", "b"), 1, 2 * half, lambda name, now: 5.0 if (name == "a") == (now < half) else 0.01)
    faithful = Played(("a", "b"), 1, 2 * half, lambda name, _: 5.0 if name == "a" else 0.01)
    # Had nothing changed, the second would have got its floor; so it got most of what came after the change.
    assert played.spent["b"] - faithful.spent["b"] / 2 > 0.6 * half


def test_where_nothing_yields_the_time_is_shared_evenly() -> None:
    played = Played(TARGETS, 2, 3600.0)
    assert max(played.spent.values()) < 1.3 * min(played.spent.values())


def test_start_up_takes_no_more_than_its_part_of_a_slice() -> None:
    start = {"a": 0.4, "b": 6.0}
    played = Played(("a", "b"), 1, 7200.0, start_s=lambda name: start[name])
    # The first slice is the measurement, the last one takes what is left.
    later = [(name, length) for name, length in played.slices[2:-1]]
    assert len(later) > 10
    assert all(start[name] <= START_UP * length * 1.001 for name, length in later)


def test_what_never_got_past_its_start_gets_longer_slices() -> None:
    shares = Shares(("slow", "quick"), 1, 3600.0)
    first = shares.next(3600.0)
    assert first is not None
    shares.finished(*first, first[1], 0.0, Yield())
    shares.next(3500.0)
    lengths = dict(filter(None, (shares.next(3400.0) for _ in range(4))))
    assert lengths["slow"] > 10 * first[1]


def test_one_target_alone_is_not_cut_into_slices() -> None:
    assert Played(("a",), 2, 600.0).slices == [("a", 600.0), ("a", 600.0)]


def test_with_more_workers_than_targets_none_is_idle() -> None:
    played = Played(("a", "b"), 5, 60.0)
    assert sum(played.spent.values()) == pytest.approx(300.0, rel=0.02)


def test_one_that_cannot_be_driven_leaves_its_time_to_the_others() -> None:
    shares = Shares(("a", "b"), 1, 60.0)
    first = shares.next(60.0)
    assert first is not None
    assert first[0] == "a"
    shares.drop("a")
    shares.finished(*first, 1.0, 0.0, Yield())
    assert shares.shares() == {"b": 1.0}
    assert shares.next(59.0) == ("b", 59.0)


def test_a_signature_is_worth_more_than_members() -> None:
    assert Yield(signatures=1).worth > Yield(members=40).worth > Yield(edges=1).worth > Yield(members=1).worth


def test_with_a_floor_of_all_every_target_has_the_same_share() -> None:
    shares = Shares(("a", "b"), 1, 60.0, floor=1.0)
    for _ in range(4):
        chosen = shares.next(60.0)
        assert chosen is not None
        shares.finished(chosen[0], chosen[1], chosen[1], 0.4, Yield(members=100 if chosen[0] == "a" else 0))
    assert shares.shares() == {"a": 0.5, "b": 0.5}
