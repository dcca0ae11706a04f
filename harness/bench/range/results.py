"""Sums up the attempts: by budget, and by bug."""

from __future__ import annotations

import statistics as plain
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.bench.range import statistics
from harness.bench.range.bugs import Bug
from harness.bench.row_file import Row
from harness.text import columns, duration

#: Seconds of the clock for one of CPU, from which on a machine was too busy for a fair attempt: the campaign plans by the clock.
BUSY = 1.3
#: The goals: mean steps by budget in CPU seconds.
GOALS = {120.0: 28.0, 1200.0: 32.0}


def summary(rows: Sequence[Row], bugs: Sequence[Bug], price: float) -> dict[str, Any]:
    """Figures of the ``rows`` for each budget and each bug. ``price`` is that of a CPU-hour."""
    budgets = sorted({row["budget"] for row in rows})
    largest = [row for row in rows if row["budget"] == budgets[-1]] if budgets else []
    return {
        "steps": len(bugs),
        "price": price,
        "budgets": [_budget([row for row in rows if row["budget"] == one], len(bugs), price) for one in budgets],
        "bugs": [_bug(bug, rows, largest) for bug in bugs],
        "curves": [
            {"budget": row["budget"], "seed": row["seed"], "end": row["cpu_seconds"], "times": _times(row)}
            for row in rows
        ],
    }


def _budget(rows: Sequence[Row], steps: int, price: float) -> dict[str, Any]:
    found = [float(len(row["detected"])) for row in rows]
    solved = sum(count == steps for count in found)
    hours = sum(row["cpu_seconds"] for row in rows) / 3600
    whole = [max(_times(row)) for row in rows if len(row["detected"]) == steps]
    low, high = statistics.mean_interval(found)
    least, most = statistics.share_interval(solved, len(rows))
    return {
        "cpu_seconds": rows[0]["budget"],
        "attempts": len(rows),
        "failed": sum(bool(row["failed"]) for row in rows),
        "busy": sum(row["slowdown"] > BUSY for row in rows),
        "solved": solved,
        "solved_interval": [round(least, 3), round(most, 3)],
        "mean_steps": round(plain.fmean(found), 2),
        "mean_interval": [round(low, 2), round(high, 2)],
        "least_steps": int(min(found)),
        "most_steps": int(max(found)),
        "seconds_to_all": round(plain.median(whole), 1) if whole else None,
        "cpu_hours": round(hours, 4),
        "cpu_seconds_per_step": round(3600 * hours / sum(found), 2) if sum(found) else None,
        "price_per_step": price * hours / sum(found) if sum(found) else None,
    }


def _bug(bug: Bug, rows: Sequence[Row], largest: Sequence[Row]) -> dict[str, Any]:
    """Counts are of attempts of all budgets; the time is of those of the largest budget."""
    key = str(bug.number)
    times = [
        (row["detected"][key]["cpu_seconds"], True) if key in row["detected"] else (row["cpu_seconds"], False)
        for row in largest
    ]
    curve = statistics.survival(times) if times else []
    return {
        "number": bug.number, "name": bug.name, "kind": bug.kind, "level": bug.level, "title": bug.title,
        "from": bug.origin, "misses": list(bug.misses), "attempts": len(rows),
        "reached": sum(row["counts"][key][0] > 0 for row in rows),
        "triggered": sum(row["counts"][key][1] > 0 for row in rows),
        "detected": sum(key in row["detected"] for row in rows),
        "median_seconds": statistics.median_time(curve),
        "survival": curve,
        "signatures": sorted({row["detected"][key]["signature"] for row in rows if key in row["detected"]}),
    }  # fmt: skip


def _times(row: Row) -> list[float]:
    return sorted(one["cpu_seconds"] for one in row["detected"].values())


def goal(result: Mapping[str, Any], budget: Mapping[str, Any]) -> float | None:
    """The goal for the mean of one of the budgets of a result, if it has one; attempts at some of the bugs have none."""
    return GOALS.get(budget["cpu_seconds"]) if result["steps"] == max(GOALS.values()) else None


def below_goal(result: Mapping[str, Any]) -> bool:
    """Whether the mean of a budget is below its goal."""
    return any(one["mean_steps"] < (goal(result, one) or 0) for one in result["budgets"])


def lines(result: dict[str, Any]) -> Iterator[str]:
    """A line for each budget, and a table of the bugs."""
    for one in result["budgets"]:
        low, high = one["mean_interval"]
        told = (
            f"{duration(one['cpu_seconds'])} of CPU: {one['solved']} of {one['attempts']} attempts detect all "
            f"{result['steps']}; {one['mean_steps']:.1f} on average (95 %: {low:.1f} to {high:.1f})"
        )
        if one["cpu_seconds_per_step"]:
            told += f"; {one['cpu_seconds_per_step']:.1f} CPU-s and {one['price_per_step']:.6f} per step"
        if one["busy"]:
            told += f"; in {one['busy']} the machine was busy, so that some targets may not have had their turn"
        yield told + (f"; {one['failed']} failed" if one["failed"] else "")
    rows = [("", "bug", "level", "reached", "triggered", "detected", "median CPU-s", "expected to miss it")]
    for bug in result["bugs"]:
        counts = (f"{bug[word]}/{bug['attempts']}" for word in ("reached", "triggered", "detected"))
        median = "" if bug["median_seconds"] is None else f"{bug['median_seconds']:.0f}"
        rows.append((str(bug["number"]), bug["name"], bug["level"], *counts, median, ", ".join(bug["misses"])))
    yield from columns(rows)
