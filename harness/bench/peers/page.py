"""The result of the peers as one HTML page: a curve of each peer on one scale, the comparison, and every bug.

It needs no other file and no network. Every value is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from harness.bench.peers.results import GOAL, OURS, is_part
from harness.bench.range import bugs
from harness.files import write_named
from harness.report import figures
from harness.text import count, duration, percent

_CSS = Path(figures.__file__).with_name("report.css")
_OWN_CSS = """
.grid-of-peers { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1.2rem; } .grid-of-peers h3 { margin: 0; font-size: .95rem; }
.grid-of-peers svg { width: 100%; height: auto; } .grid-of-peers .run { fill: none; stroke: var(--accent); opacity: .25; } .grid-of-peers .line { fill: none; stroke: var(--accent); stroke-width: 2; }
.grid-of-peers .reach { fill: none; stroke: var(--dim); stroke-dasharray: 3 3; } td { white-space: nowrap; } td.hit { color: var(--accent); }
"""
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Peers</title><style>{css}</style></head><body><main>
<h1>Ways to fuzz the same parser</h1>
<p class="lead">{bugs} planted bugs, an empty corpus, one core, {budget} of CPU time for each trial. A bug is detected where the fuzzer
itself can tell; the parser counts those that it triggers.</p>
<section><h2>Growth</h2><p class="says">Bugs by CPU time, which is logarithmic. Thick: detected, the mean of the trials; thin: each trial.
Dashed: triggered, the mean. All figures have one scale.</p><div class="grid-of-peers">{curves}</div></section>
<section><h2>Comparison</h2><p class="says">Medians, with 95 % intervals by the bootstrap. The time to a bug that is not detected is the
budget. A12 is the chance that a trial of the peer takes longer than one of ours; the goal is {goal}.</p>{table}</section>
<section><h2>Parts</h2>{parts}</section>
<section><h2>Every bug</h2><p class="says">Trials that detect it, and the median CPU seconds.</p>{every}</section>
<footer><p>{left_out}</p></footer></main></body></html>
"""
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _PLACES = 260.0, 130.0, 24.0, 18.0, 80


def write(path: Path, result: Mapping[str, Any]) -> None:
    """Write the page. Raises HarnessError when it cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_named(path, page(result))


def page(result: Mapping[str, Any]) -> str:
    """The page for the summary of :mod:`harness.bench.peers.results`."""
    peers, budget = result["peers"], result["budget"]
    left_out = "; ".join(f"{name} is left out: {reason}" for name, reason in result["left_out"].items())
    return Markup(_PAGE).format(  # noqa: S704 - our own text
        # Our own style sheet; a tag would end it.
        css=Markup(_CSS.read_text(encoding="utf-8") + _OWN_CSS),  # noqa: S704 - our own text
        bugs=result["bugs"], budget=duration(budget), goal=GOAL,
        curves=Markup("").join(_figure(one, budget, result["bugs"]) for one in peers),
        table=_comparison([one for one in peers if not is_part(one["name"])]),
        parts=_comparison([one for one in peers if one["name"] == OURS or is_part(one["name"])]),
        every=_every(peers), left_out=left_out or "No peer is left out.",
    )  # fmt: skip


def _figure(one: Mapping[str, Any], budget: float, top: int) -> Markup:
    """The growth of one peer. One CPU second is at the left end."""
    runs, triggered = one["curves"]["detected"], one["curves"]["triggered"]
    parts = [
        Markup('<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(_LEFT, _WIDTH, y, y)
        + Markup('<text class="tick" x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(_LEFT - 4, y + 3, level)
        for level in (0, top // 2, top)
        for y in (_y(level, top),)
    ]
    parts += [Markup('<path class="run" d="{}"/>').format(_path([run], budget, top)) for run in runs]
    parts.append(Markup('<path class="reach" d="{}"/>').format(_path(triggered, budget, top)))
    parts.append(Markup('<path class="line" d="{}"/>').format(_path(runs, budget, top)))
    parts.append(
        Markup('<text class="tick" x="{}" y="{}" text-anchor="end">{} of CPU</text>').format(
            _WIDTH, _HEIGHT - 4, duration(budget)
        )
    )
    said = f"{one['name']}: {one['detected'][0]:g} detected, {one['triggered'][0]:g} triggered, medians"
    return Markup('<figure><h3>{}</h3><svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg><p class="says">{}</p></figure>').format(
        one["name"], _WIDTH, _HEIGHT, said, Markup("").join(parts), one["title"]
    )  # fmt: skip


def _y(level: float, top: int) -> float:
    return 6 + (_HEIGHT - _BOTTOM - 6) * (1 - level / top)


def _path(runs: Sequence[Sequence[Sequence[float]]], budget: float, top: int) -> str:
    """The mean of the runs, each a list of (CPU second, level)."""
    far, path = max(budget, 2.0), []
    for place in range(_PLACES + 1):
        seconds = far ** (place / _PLACES)
        level = sum(max((value for at, value in run if at <= seconds), default=0) for run in runs) / len(runs)
        x = _LEFT + (_WIDTH - _LEFT) * place / _PLACES
        path.append(f"{'L' if place else 'M'}{x:.1f} {_y(level, top):.1f}")
    return "".join(path)


def _comparison(peers: Iterable[Mapping[str, Any]]) -> Markup:
    rows = []
    for one in peers:
        told = one.get("a12", {})
        rows.append((
            one["title"], str(one["trials"]), str(one["can_trigger"]), *(_median(one[word]) for word in ("reached", "triggered", "detected")),
            _median(one["time"]), *(_effect(told.get(word)) for word in ("detected", "detected_of_possible", "triggered")),
            f"{told['detected']['p']:.2g}" if told else "", count(one["deep_per_cpu_second"]), percent(one["deep_share"], 1, 1),
        ))  # fmt: skip
    heads = ("peer", "trials", "can trigger", "reached", "triggered", "detected", "mean CPU-s to a bug", "A12 of ours",
             "of bugs it can trigger", "to trigger", "p", "deep per CPU-s", "deep")  # fmt: skip
    return _table(heads, rows)


def _median(told: Sequence[float]) -> str:
    middle, low, high = (f"{value:g}" for value in told)
    return middle if low == high else f"{middle} ({low} to {high})"


def _effect(told: Mapping[str, Any] | None) -> str:
    if told is None:
        return ""
    return f"{told['a12']:.2f} ({told['low']:.2f} to {told['high']:.2f})" + (
        ", no measured worth" if told["none"] else ""
    )


def _every(peers: Sequence[Mapping[str, Any]]) -> Markup:
    rows = []
    for bug in bugs.bugs():
        cells = [one["first"][str(bug.number)] for one in peers]
        rows.append((bug.name, *(_cell(cell) for cell in cells)))
    return _table(("bug", *(one["name"] for one in peers)), rows)


def _cell(first: Mapping[str, Any]) -> str:
    if first["detected"]:
        return f"{first['detected']} ({first['median']:.0f} s)"
    return "triggered" if first["triggered"] else "reached" if first["reached"] else ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(word) for word in heads)
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(Markup("").join(Markup("<td>{}</td>").format(cell) for cell in row))
        for row in rows
    )
    return Markup('<div class="scroll"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>').format(head, body)  # fmt: skip
