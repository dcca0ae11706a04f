"""Figures as inline SVG; the page's style sheet has their classes."""

from __future__ import annotations

import bisect
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup

from harness.report.words import shown
from harness.text import count, short

#: A curve: (x, y), x rising.
Curve = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT = 260.0, 150.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 38.0, 12.0, 12.0, 22.0
#: A figure shows the last part of a run, from this fraction of its executions on.
_SPAN = 1000.0
#: Places in which several runs are compared.
_GRID = 60


class Ahead(NamedTuple):
    """The forecast ``x`` further to the right: middle and ends of the interval, above the last point."""

    x: float
    low: float
    middle: float
    high: float


@dataclass(frozen=True, slots=True)
class Growth:
    """A curve of growth: the measured runs, and the forecast."""

    title: str
    runs: Sequence[Curve]
    unit: str
    across: str
    ahead: Sequence[Ahead]

    @property
    def last(self) -> tuple[float, float]:
        """The end of the run, or of the median of the runs; zeros of nothing."""
        band = _band(self.runs, 2)
        return (band[-1][0], band[-1][2]) if band else max((run[-1] for run in self.runs), default=(0.0, 0.0))

    def table(self, places: int = 8) -> list[tuple[float, float, float, float]]:
        """The figure in numbers at evenly spaced places: x, least, median, most."""
        x, y = self.last
        return _band(self.runs, places) or [(x, y, y, y)]


def at(run: Curve, x: float) -> float:
    """A run's value at ``x``: that of the last point before it."""
    index = bisect.bisect_right(run, (x, math.inf)) - 1
    return run[max(index, 0)][1]


def _band(runs: Sequence[Curve], places: int) -> list[tuple[float, float, float, float]]:
    """Least, median and most of the runs, from where all have begun to where the first one ends."""
    if not runs:
        return []
    last = min(run[-1][0] for run in runs)
    first = max(*(run[0][0] for run in runs), last / _SPAN)
    if first >= last:
        return []
    step = (last / first) ** (1 / (places - 1))
    found = []
    for place in range(places):
        x = last if place == places - 1 else first * step**place
        values = [at(run, x) for run in runs]
        found.append((x, min(values), statistics.median(values), max(values)))
    return found


def growth(figure: Growth) -> Markup:
    """The figure: time to the right on a logarithmic axis; one line, or the median and all runs as a band."""
    runs = [[point for point in run if point[0] > 0] for run in figure.runs]
    runs = [run for run in runs if run]
    if not runs:
        return Markup("")
    ends = [run[-1] for run in runs]
    far, level = max(ends)
    ahead = [Ahead(far + x, level + low, level + middle, level + high) for x, low, middle, high in figure.ahead]
    right = max([far] + [one.x for one in ahead])
    left = max(min(run[0][0] for run in runs), max(ends)[0] / _SPAN)
    low = min(at(run, left) for run in runs)
    top = max([y for run in runs for _, y in run] + [one.high for one in ahead])
    scale = _Scale(left, max(right, left * 1.01), *_bounds(low, top))
    parts = [scale.axes()]
    if ahead:
        parts.append(scale.area([(far, level, level), *((one.x, one.low, one.high) for one in ahead)], "ahead"))
        parts.append(scale.line([(far, level), *((one.x, one.middle) for one in ahead)], "ahead-line"))
    if len(runs) > 1:
        band = _band(runs, _GRID)
        parts.append(scale.area([(x, least, most) for x, least, _, most in band], "band"))
        parts += [scale.line(run, "run") for run in runs]
        if band:
            parts.append(scale.line([(x, middle) for x, _, middle, _ in band], "line"))
    else:
        parts.append(scale.line(runs[0], "line"))
    end = figure.last
    parts.append(Markup('<circle class="end" cx="{}" cy="{}" r="2.6"/>').format(*scale.place(*end)))
    said = f"{figure.title}: {count(end[1])} {figure.unit} after {count(end[0])} {figure.across}"
    if len(runs) > 1:
        said += f"; {len(runs)} runs, their median and range"
    if ahead:
        said += f"; {count(ahead[-1].low)} to {count(ahead[-1].high)} are expected after {count(ahead[-1].x)}"
    return _svg(said, parts)


def _bounds(low: float, high: float) -> tuple[float, float, float]:
    """Start, end and step of the vertical axis: three or four round numbers."""
    low = 0.0 if low < 0.6 * high else low
    rough = max(high - low, 1.0) / 3
    magnitude = 10 ** math.floor(math.log10(rough))
    step = max(1.0, next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= rough))
    return math.floor(low / step) * step, max(math.ceil(high / step), 1) * step, step


class _Scale:
    """From values to places: logarithmic to the right, linear upwards."""

    def __init__(self, left: float, right: float, low: float, high: float, step: float) -> None:
        self.left, self.right, self.low, self.high, self.step = left, right, low, max(high, low + step), step
        self._span = math.log10(right) - math.log10(left)

    def place(self, x: float, y: float) -> tuple[str, str]:
        across = (math.log10(max(x, self.left)) - math.log10(self.left)) / self._span
        up = (y - self.low) / (self.high - self.low)
        return (
            f"{_LEFT + across * (_WIDTH - _LEFT - _RIGHT):.1f}",
            f"{_HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM):.1f}",
        )

    def axes(self) -> Markup:
        made = Markup("")
        value = self.low
        while value <= self.high * 1.0001:
            _, y = self.place(self.left, value)
            made += Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(_LEFT, _WIDTH - _RIGHT, y, y)
            made += Markup('<text class="tick" x="{}" y="{}" dy="3.2" text-anchor="end">{}</text>').format(
                _LEFT - 5, y, short(value)
            )
            value += self.step
        decades = range(math.ceil(math.log10(self.left) - 1e-9), math.floor(math.log10(self.right) + 1e-9) + 1)
        every = max(1, math.ceil(len(decades) / 5))
        for decade in decades[::every]:
            x, _ = self.place(10.0**decade, self.low)
            made += Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>').format(
                x, _HEIGHT - 6, short(10.0**decade)
            )
            made += Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
                x, x, _HEIGHT - _BOTTOM, _HEIGHT - _BOTTOM + 3
            )
        return made

    def line(self, run: Curve, kind: str) -> Markup:
        """A staircase, as levels never fall; a forecast is a straight line."""
        path: list[str] = []
        previous = ""
        for x, y in run:
            across, up = self.place(x, y)
            if not path:
                path.append(f"M{across} {up}")
            elif kind == "ahead-line":
                path.append(f"L{across} {up}")
            elif up != previous:
                path.append(f"H{across}V{up}")
            previous = up
        if kind != "ahead-line":
            path.append(f"H{self.place(*run[-1])[0]}")
        return Markup('<path class="{}" d="{}"/>').format(kind, "".join(path))

    def area(self, edges: Sequence[tuple[float, float, float]], kind: str) -> Markup:
        over = [" ".join(self.place(x, high)) for x, _, high in edges]
        under = [" ".join(self.place(x, low)) for x, low, _ in reversed(edges)]
        return Markup('<path class="{}" d="M{}Z"/>').format(kind, "L".join(over + under)) if edges else Markup("")


def _svg(said: str, parts: Iterable[Markup]) -> Markup:
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        int(_WIDTH), int(_HEIGHT), shown(said), Markup("").join(parts)
    )


def bar(share: float, kind: str = "") -> Markup:
    """A thin bar with a filled ``share`` (0 to 1)."""
    filled = f"{100 * min(max(share, 0.0), 1.0):.2f}"
    return Markup(
        '<svg class="bar {}" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" width="100" height="6"/><rect class="fill" width="{}" height="6"/></svg>'
    ).format(kind, filled)


def stack(shares: Iterable[tuple[str, float]]) -> Markup:
    """One bar cut into parts: (class, share), the shares from 0 to 1 and together at most 1."""
    made, x = Markup(""), 0.0
    for kind, share in shares:
        made += Markup('<rect class="{}" x="{}" width="{}" height="6"/>').format(kind, f"{x:.2f}", f"{100 * share:.2f}")
        x += 100 * share
    return Markup(
        '<svg class="bar stack" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">{}</svg>'
    ).format(made)
