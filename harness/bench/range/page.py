"""The result of the range as one HTML page: the defender's curve beside what was published about attackers.

It needs no other file and no network. Every value is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from harness.bench.range.chart import chart
from harness.files import write_named
from harness.findings import toml
from harness.ledger.growth_curve import money
from harness.report import figures
from harness.text import count, duration

_CSS = Path(figures.__file__).with_name("report.css")
_PUBLISHED = Path(__file__).with_name("published.toml")
_OWN_CSS = """
.bar { display: block; width: 9rem; height: .5rem; margin-top: .35rem; } .bar .track { fill: var(--line); } .bar .fill { fill: var(--accent); }
.bar.attack .fill, .chart .attack { fill: var(--alarm); } .range .tick { font-size: 11.5px; } td small { max-width: 24rem; } td { white-space: nowrap; } td small { white-space: normal; }
.left { width: 8rem; height: 1.1rem; } .left path { fill: none; stroke: var(--accent); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
"""
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Range of {steps} planted bugs</title><style>{css}</style></head><body><main>
<h1>A range of {steps} bugs: what a fuzzing campaign detects</h1>
<p class="lead">{lead}</p>
<section><h2>Defender and attacker</h2>{curve}<p class="says">Left: bugs detected, by CPU time, {curve_says}.
Right: mean steps of models that attack, as published.</p></section>
<section><h2>The attacker, as published</h2>{attackers}</section>
<section><h2>By budget</h2>{budgets}</section>
<section><h2>Every bug</h2><p class="says">In how many attempts it was reached (its line ran), triggered (in the state in which it
matters) and detected (a new finding shows with this bug alone, and not without it). The curve is the share of attempts that have
not detected it yet, by Kaplan and Meier.</p>{bugs}</section>
<footer><p>{footer}</p></footer></main></body></html>
"""


def published() -> dict[str, Any]:
    """Published results of attackers."""
    return toml.loads(_PUBLISHED.read_text(encoding="utf-8"), _PUBLISHED.name, "restore it from version control")


def write(path: Path, result: Mapping[str, Any]) -> None:
    """Write the page. Raises HarnessError when it cannot be written."""
    write_named(path, page(result))


def page(result: Mapping[str, Any]) -> str:
    """The page for the summary of :mod:`harness.bench.range.results`."""
    about, budgets, steps = published(), result["budgets"], result["steps"]
    largest = budgets[-1]["cpu_seconds"] if budgets else 0
    curves = [one for one in result["curves"] if one["budget"] == largest]
    return Markup(_PAGE).format(  # noqa: S704 - our own text
        steps=steps,
        # Our own style sheet; a tag would end it.
        css=Markup(_CSS.read_text(encoding="utf-8") + _OWN_CSS),  # noqa: S704 - our own text
        lead=_lead(result),
        curve=chart(curves, steps, about["attacker"]),
        curve_says=f"in {len(curves)} attempts with at most {duration(largest)} each (thin), and their mean (thick)",
        attackers=_attackers(about),
        budgets=_budgets(budgets, steps),
        bugs=_bugs(result["bugs"], largest),
        footer=_footer(about, result["price"]),
    )


def _lead(result: Mapping[str, Any]) -> str:
    if not result["budgets"]:
        return "No attempt was made yet."
    last = result["budgets"][-1]
    return (
        f"In {duration(last['cpu_seconds'])} of CPU time, {last['solved']} of {last['attempts']} campaigns detect all "
        f"{result['steps']} bugs, {last['mean_steps']:.1f} on average. The bugs range from a missing check of a length to "
        "defects of sequences, sizes, threads and lifetime. The two sides do different work: the figures stand beside each "
        "other, and one is no measure of the other."
    )


def _attackers(about: Mapping[str, Any]) -> Markup:
    rows = []
    for one in about["attacker"]:
        mean = f"{one['mean']} of {about['steps']}" if "mean" in one else "not found"
        solved = f"{one['solved']} of {one['attempts']}" if "solved" in one else "none"
        rows.append(
            (
                Markup("{}<small>{}</small>").format(one["model"], one["when"]),
                _with_bar(mean, one.get("mean", 0) / about["steps"], "attack"),
                _with_bar(solved, one.get("solved", 0) / one.get("attempts", 1), "attack"),
            )
        )
    table = _table(("model", "mean steps", "attempts that solve all"), rows)
    return table + Markup('<p class="says">{}. Budget: {}.</p>').format(about["about"], about["budget"])


def _budgets(budgets: Sequence[Mapping[str, Any]], steps: int) -> Markup:
    rows = []
    for one in budgets:
        low, high = one["mean_interval"]
        least, most = one["solved_interval"]
        rows.append(
            (
                duration(one["cpu_seconds"]),
                f"{count(one['attempts'])}{', busy machine' if one['busy'] else ''}",
                _with_bar(f"{one['mean_steps']:.1f} ({low:.1f} to {high:.1f})", one["mean_steps"] / steps),
                _with_bar(f"{one['solved']} ({least:.0%} to {most:.0%})", one["solved"] / one["attempts"]),
                "" if one["seconds_to_all"] is None else duration(one["seconds_to_all"]),
                f"{one['cpu_hours']:.2f}",
                "" if one["price_per_step"] is None else money(one["price_per_step"]),
            )
        )
    heads = ("CPU time", "attempts", "mean steps (95 %)", "solve all (95 %)", "median time to all", "CPU-hours", "price per step")  # fmt: skip
    return _table(heads, rows)


def _bugs(bugs: Iterable[Mapping[str, Any]], largest: float) -> Markup:
    rows = []
    for bug in bugs:
        title = Markup("<code>{}</code><small>{}</small>").format(bug["name"], bug["title"])
        counts = [f"{bug[word]} of {bug['attempts']}" for word in ("reached", "triggered", "detected")]
        median = "" if bug["median_seconds"] is None else duration(bug["median_seconds"])
        predicted = ", ".join(bug["misses"])
        rows.append((str(bug["number"]), title, bug["level"], bug["from"], *counts, median, _left(bug["survival"], largest), predicted))  # fmt: skip
    heads = ("", "bug", "level", "from", "reached", "triggered", "detected", "median", "not detected yet", "expected to be missed by")  # fmt: skip
    return _table(heads, rows)


def _left(curve: Sequence[Sequence[float]], largest: float) -> Markup:
    """A survival curve from zero to the largest budget."""
    if not curve or not largest:
        return Markup("")
    path = "M0 1" + "".join(f"H{100 * time / largest:.1f}V{1 + 18 * (1 - share):.1f}" for time, share in curve) + "H100"
    return Markup('<svg class="left" viewBox="0 0 100 20" preserveAspectRatio="none" aria-hidden="true"><path d="{}"/></svg>').format(path)  # fmt: skip


def _with_bar(text: str, share: float, kind: str = "") -> Markup:
    return Markup("{}{}").format(text, figures.bar(share, kind))


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(word) for word in heads)
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(Markup("").join(Markup("<td>{}</td>").format(cell) for cell in row))
        for row in rows
    )
    return Markup(
        '<div class="scroll"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>'
    ).format(head, body)  # fmt: skip


def _footer(about: Mapping[str, Any], price: float) -> str:
    sources = dict.fromkeys(f"{one['source']}, {one['date']} (read in: {one['told_by']})" for one in about["attacker"])
    return f"Price of a CPU-hour: {money(price)}. Sources of the attackers' figures: {'; '.join(sources)}."
