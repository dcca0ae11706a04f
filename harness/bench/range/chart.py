"""The figure of the page: steps by CPU time of the defender, and beside it, on the same scale, the attackers' mean steps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from harness.text import duration

_HEIGHT, _TOP, _BOTTOM = 300.0, 16.0, 34.0
_LEFT, _MIDDLE, _BESIDE, _WIDTH = 34.0, 560.0, 610.0, 860.0
#: Places of the time axis, as far as they lie within the largest budget.
_MARKS = (1, 5, 20, 60, 120, 360, 1200, 3600, 14_400)
_PLACES = 120


def chart(curves: Sequence[Mapping[str, Any]], steps: int, attackers: Iterable[Mapping[str, Any]]) -> Markup:
    """One staircase for each attempt, their mean, and a point for each attacker with a published mean."""
    far = max((one["end"] for one in curves), default=0.0)
    far = max(far, 2.0)
    parts = [*_levels(steps), *_times(far)]
    parts += [_path("run", _stairs(one["times"], far, steps)) for one in curves]
    if curves:
        parts.append(_path("line", _mean(curves, far, steps)))
    parts += _points([one for one in attackers if "mean" in one], steps)
    said = f"Bugs detected by CPU time, up to {duration(far)}: {len(curves)} attempts and their mean, beside attackers' mean steps"
    return Markup('<svg class="chart range" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}">{}</svg>').format(
        _WIDTH, _HEIGHT, said, Markup("").join(parts)
    )


def _x(seconds: float, far: float) -> float:
    return _LEFT + (_MIDDLE - _LEFT) * math.log(max(seconds, 1.0)) / math.log(far)


def _y(level: float, steps: int) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * level / steps


def _levels(steps: int) -> Iterable[Markup]:
    for level in sorted({0, steps // 4, steps // 2, 3 * steps // 4, steps}):
        y = _y(level, steps)
        for left, right in ((_LEFT, _MIDDLE), (_BESIDE, _WIDTH)):
            yield Markup('<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(left, right, y, y)
        yield _text(_LEFT - 6, y + 4, str(level), "end")


def _times(far: float) -> Iterable[Markup]:
    for seconds in _MARKS:
        if seconds <= far:
            x = _x(seconds, far)
            yield Markup('<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>').format(
                x, _HEIGHT - _BOTTOM, _HEIGHT - _BOTTOM + 4
            )
            yield _text(x, _HEIGHT - _BOTTOM + 17, duration(float(seconds)), "middle")
    yield _text(_MIDDLE, _HEIGHT - 3, "CPU time", "end")


def _stairs(times: Sequence[float], far: float, steps: int) -> str:
    path = [f"M{_LEFT:.1f} {_y(0, steps):.1f}"]
    path += [f"H{_x(time, far):.1f}V{_y(level, steps):.1f}" for level, time in enumerate(times, 1)]
    return "".join([*path, f"H{_MIDDLE:.1f}"])


def _mean(curves: Sequence[Mapping[str, Any]], far: float, steps: int) -> str:
    """The mean of the attempts. One that ended early has detected all."""
    path = []
    for place in range(_PLACES + 1):
        seconds = far ** (place / _PLACES)
        level = sum(time <= seconds for one in curves for time in one["times"]) / len(curves)
        path.append(f"{'L' if place else 'M'}{_x(seconds, far):.1f} {_y(level, steps):.1f}")
    return "".join(path)


def _points(attackers: Sequence[Mapping[str, Any]], steps: int) -> Iterable[Markup]:
    for one in attackers:
        x, y = _BESIDE + 20, _y(one["mean"], steps)
        yield Markup('<circle class="attack" cx="{:.1f}" cy="{:.1f}" r="4.5"/>').format(x, y)
        yield _text(x + 11, y + 4, f"{one['model']}: {one['mean']}", "start")
    yield _text(_BESIDE, _HEIGHT - _BOTTOM + 17, "attackers, another range of as many steps", "start")


def _path(kind: str, path: str) -> Markup:
    return Markup('<path class="{}" d="{}"/>').format(kind, path)


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text class="tick" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, text)
