"""Sums up the trials: a row for each peer, and ours against it.

The time to a bug is the CPU second of its first detection, or the budget where there is none. The time of a trial is the mean
over the bugs. A12 is the chance that a trial of the peer takes longer than one of ours, ties half.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from harness.bench.peers.effect import effect, median_interval
from harness.bench.peers.peer import Peer
from harness.bench.range.bugs import Bug
from harness.bench.row_file import Row
from harness.text import columns, count, duration

OURS, SEEDED = "ours", "ours+seeds"
WORDS = ("reached", "triggered", "detected")
#: The goal: the A12 of each peer that is not ours.
GOAL = 0.8


def summary(
    rows: Sequence[Row], peers: Sequence[Peer], bugs: Sequence[Bug], left_out: Mapping[str, str]
) -> dict[str, Any]:
    """Figures of the ``rows``, which have one budget. ``left_out``: peers that cannot run here, with their reasons."""
    by_peer = {peer.name: [row for row in rows if row["peer"] == peer.name] for peer in peers}
    ours = by_peer.get(OURS, [])
    return {
        "budget": rows[0]["budget"] if rows else 0.0,
        "bugs": len(bugs),
        "peers": [_peer(peer, by_peer[peer.name], ours, bugs) for peer in peers if by_peer[peer.name]],
        "left_out": dict(left_out),
    }


def is_part(name: str) -> bool:
    """Whether the peer is ours with a part off, or with the seeds that ours lacks."""
    return name.startswith(("ours-", "ours+"))


def _peer(peer: Peer, rows: Sequence[Row], ours: Sequence[Row], bugs: Sequence[Bug]) -> dict[str, Any]:
    numbers = frozenset(bug.number for bug in bugs)
    found: dict[str, Any] = {
        "name": peer.name, "title": peer.title, "trials": len(rows), "can_trigger": len(peer.bugs & numbers),
        **{word: _told([len(row[word]) for row in rows]) for word in WORDS},
        "time": _told([mean_time(row, "detected", numbers) for row in rows]),
        "calls_per_cpu_second": round(statistics.median(row["calls"] / row["cpu_seconds"] for row in rows), 1),
        "deep_per_cpu_second": round(statistics.median(row["deep"] / row["cpu_seconds"] for row in rows), 1),
        "deep_share": round(statistics.median(row["deep"] / max(row["calls"], 1) for row in rows), 4),
        "first": {str(bug.number): _first(bug.number, rows) for bug in bugs},
        "curves": {word: [_curve(row, word) for row in rows] for word in WORDS},
    }  # fmt: skip
    if ours and peer.name != OURS:
        found["a12"] = {
            "detected": _against(ours, rows, "detected", numbers),
            "detected_of_possible": _against(ours, rows, "detected", peer.bugs & numbers),
            "triggered": _against(ours, rows, "triggered", numbers),
        }
    return found


def _told(values: Sequence[float]) -> list[float]:
    """Median, and the ends of its interval."""
    return [round(value, 2) for value in median_interval(values)]


def mean_time(row: Row, word: str, numbers: Collection[int]) -> float:
    """The mean over the bugs of the first CPU second in this state, the budget where there is none."""
    budget = row["budget"]
    return statistics.fmean(min(row[word].get(str(number), budget), budget) for number in numbers)


def _against(ours: Sequence[Row], rows: Sequence[Row], word: str, numbers: Collection[int]) -> dict[str, Any]:
    """The chance that a trial of the peer takes longer than one of ours; the other way round for ours with seeds."""
    times = [[mean_time(row, word, numbers) for row in some] for some in (rows, ours)]
    return effect(*(times[::-1] if rows[0]["peer"] == SEEDED else times)).as_json()


def _first(number: int, rows: Sequence[Row]) -> dict[str, Any]:
    """In how many trials a bug was detected, and the median of its times, the budget where it was not."""
    times = [row["detected"].get(str(number), row["budget"]) for row in rows]
    hits = {word: sum(str(number) in row[word] for row in rows) for word in WORDS}
    return {**hits, "median": round(statistics.median(times), 2)}


def _curve(row: Row, word: str) -> list[tuple[float, int]]:
    """(CPU second, number of bugs), to the end of the budget."""
    times = sorted(row[word].values())
    return [(0.0, 0), *((time, at) for at, time in enumerate(times, 1)), (row["budget"], len(times))]


def below_goal(result: Mapping[str, Any]) -> bool:
    """Whether ours is not clearly faster than a peer of others."""
    others = [one for one in result["peers"] if "a12" in one and not is_part(one["name"])]
    return any(one["a12"]["detected"]["a12"] < GOAL for one in others)


def lines(result: Mapping[str, Any], bugs: Sequence[Bug]) -> Iterator[str]:
    """The table of all peers, that of the parts, the misses, and the peers that were left out."""
    peers = result["peers"]
    yield f"{duration(result['budget'])} of CPU per trial; {result['bugs']} bugs; medians with their 95 % intervals"
    heads = (
        "peer", "trials", "can trigger", *WORDS, "mean CPU-s to a bug", "A12 of ours", "of those it can trigger", "p",
        "A12 to trigger", "deep/CPU-s", "deep",
    )  # fmt: skip
    cells = [
        (one["name"], str(one["trials"]), str(one["can_trigger"]), *(_median(one[word]) for word in WORDS),
          _median(one["time"], 1), _a12(one, "detected"), _a12(one, "detected_of_possible"),
          f"{one['a12']['detected']['p']:.2g}" if "a12" in one else "", _a12(one, "triggered"),
          count(one["deep_per_cpu_second"]), f"{100 * one['deep_share']:.1f} %") for one in peers
    ]  # fmt: skip
    yield from columns([heads, *cells])
    for one in peers:
        if is_part(one["name"]) and "a12" in one:
            told = one["a12"]["detected"]
            worth = "no measured worth" if told["none"] else "pays" if told["a12"] > 0.5 else "harms"
            yield f"{one['title']}: {worth} (A12 {_a12(one, 'detected')})"
    names = [one["name"] for one in peers]
    yield "detected in so many trials, after so many CPU seconds (median; a miss counts as the budget):"
    hits = [(str(bug.number), bug.name, *(_hits(one, bug.number) for one in peers)) for bug in bugs]
    yield from columns([("", "bug", *names), *hits])
    for name, reason in result["left_out"].items():
        yield f"left out: {name}: {reason}"


def _hits(one: Mapping[str, Any], number: int) -> str:
    first = one["first"][str(number)]
    if first["detected"]:
        return f"{first['detected']} ({first['median']:.0f})"
    return "triggered" if first["triggered"] else "reached" if first["reached"] else "-"


def _median(told: Sequence[float], digits: int = 0) -> str:
    middle, low, high = (f"{value:.{digits}f}" for value in told)
    return middle if low == high else f"{middle} ({low}-{high})"


def _a12(one: Mapping[str, Any], word: str) -> str:
    if "a12" not in one:
        return ""
    told = one["a12"][word]
    return f"{told['a12']:.2f} ({told['low']:.2f}-{told['high']:.2f})"
