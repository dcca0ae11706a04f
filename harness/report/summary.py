"""The page of a CI job in Markdown: new findings, targets, and the growth of coverage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from harness.engine.campaign import states
from harness.engine.campaign.states import State
from harness.findings import crashes
from harness.findings.defects import by_harm
from harness.findings.severity import SEVERITIES
from harness.ledger import joined, records
from harness.ledger.records import Point, Record
from harness.report.drives import MOST_TOLD, Drive, not_driven
from harness.report.gather import NEW, Campaign, Row
from harness.report.text import code, inert, table
from harness.text import count, percent

#: GitHub shows no job's page beyond 1 MiB.
MOST_BYTES = 1 << 20
_MOST_NEW, _MOST_DEFECTS = 200, 10
_POINTS = 40
_BARS = "▁▂▃▄▅▆▇█"
_HEADS = ("finding", "how bad", "target", "what")


def summary(rows: Iterable[Row], campaigns: Sequence[Campaign]) -> str:
    """The page; without campaigns, the page of the filed findings."""
    every = list(rows)
    text = _head(every, campaigns)
    runs, _ = records.of_sessions((one.folder, one.sessions) for one in campaigns)
    for campaign, run in zip(campaigns, runs, strict=True):
        text += _campaign(campaign, run, every)
    text += _new([row for row in every if row.state == NEW]) + _elsewhere([row for row in every if row.elsewhere])
    text += _known(every, campaigns)
    return _cut(text)


def _head(rows: list[Row], campaigns: Sequence[Campaign]) -> str:
    new = [row for row in rows if row.state == NEW]
    if not campaigns:
        open_ones = sum(row.state == crashes.OPEN for row in rows)
        return f"# Filed findings\n\n**{open_ones} open**, {len(rows) - open_ones} decided.\n"
    spent = sum(one.spent for one in campaigns)
    done = sum(one.total("executions") for one in campaigns)
    verdict = f"{len(new)} new finding{'s' * (len(new) != 1)}" if new else "Nothing new"
    told = states.told(states.together(one.states() for one in campaigns))
    text = f"# {verdict}{f'; {told}' if told else ''}\n\n{done:,.0f} executions in {spent:,.0f} CPU-seconds"
    parsers = sorted({str(session.get("parser", "")) for one in campaigns for session in one.sessions} - {""})
    text += f" on {', '.join(inert(name) for name in parsers)}" if parsers else ""
    other = sum(bool(row.elsewhere) for row in rows)
    known = sum(row.state != NEW and bool(row.seen) for row in rows) - other
    compared = ", ".join(sorted({inert(row.base) for row in rows if row.base}))
    text += f"; {known} known findings met again"
    return f"{text}; {other} more are not new against {compared}.\n" if other else f"{text}.\n"


def _campaign(campaign: Campaign, run: Sequence[Record], rows: list[Row]) -> str:
    drives = campaign.drives()
    curves = {name: joined.curve(run, name) for name in drives}
    text = f"\n## {'Campaign ' if campaign.began else ''}{inert(campaign.name)}\n" + _not_run(campaign.states())
    if campaign.sessions and campaign.sessions[-1].get("interrupted"):
        text += "\nIt was interrupted: the figures are up to then.\n"
    text += _growth(campaign, curves)
    if drives := {name: drive for name, drive in drives.items() if drive.sums["executions"]}:
        numbers = ("executions", "per second", "deep", "edges", "kept", "new", "known")
        heads = ("target", *numbers[:5], "edges over time", *numbers[5:])
        cells = [_target(campaign, name, drive, curves[name], rows) for name, drive in drives.items()]
        text += "\n" + table(heads, cells, numbers)
    for line in not_driven(campaign.sessions):
        text += f"\n{inert(line, MOST_TOLD)}\n"
    for name, drive in drives.items():
        if defects := int(drive.sums["defects"]):
            text += f"\n**The harness itself failed** on {defects} inputs of {inert(name)}.\n"
    return text + _expected(run, drives)


def _not_run(found: dict[str, State]) -> str:
    """The targets that did not run, with the reasons."""
    cells = [(inert(names, MOST_TOLD), state.name, code(state.reason)) for names, state in states.alike(found)]
    return "\n" + table(("did not run", "state", "why"), cells) if cells else ""


def _expected(run: Sequence[Record], names: Iterable[str]) -> str:
    """The forecast by target; "" for short curves."""
    lines = ""
    for name in names:
        if (found := joined.forecast(run, name)) is not None:
            lines += f"- **{inert(name)}**: {inert('; '.join(found.words()), 1200)}.\n"
    return f"\n<details><summary>What more of the same would bring</summary>\n\n{lines}\n</details>\n" if lines else ""


def _target(campaign: Campaign, name: str, drive: Drive, curve: Sequence[Point], rows: list[Row]) -> tuple[object, ...]:
    done = drive.sums["executions"]
    deep = percent(drive.sums["deep"], done) if drive.sums["deep"] else "-"
    here = (campaign.name, name)
    met = [row for row in rows if any((one.campaign, one.stored.target) == here for one in row.seen)]
    new = sum(row.state == NEW for row in met)
    line = sparkline([point.edges for point in curve])
    edges, kept = (drive.largest[name] for name in ("edges", "corpus"))
    figures = (count(done), count(drive.rate), deep, count(edges), count(kept))
    return inert(name), *figures, line, new, len(met) - new


def sparkline(values: Sequence[float]) -> str:
    """Bars of one character each, from the least value to the greatest; "" of fewer than two."""
    few = [values[index * (len(values) - 1) // 15] for index in range(16)] if len(values) > 16 else list(values)
    if len(few) < 2:
        return ""
    low, span = min(few), max(few) - min(few)
    return "".join(_BARS[round((value - low) / span * (len(_BARS) - 1)) if span else 0] for value in few)


def _growth(campaign: Campaign, curves: dict[str, tuple[Point, ...]]) -> str:
    """Edges of all targets over time; findings over time for a ledger without curves."""
    seconds = campaign.total("seconds")
    drawn = [[(point.seconds, point.edges - curve[0].edges) for point in curve] for curve in curves.values() if curve]
    if drawn:
        return _chart("Edges beyond what the seeds reach, summed over targets", "edges", seconds, drawn)
    if not campaign.findings or not seconds:
        return ""
    began = campaign.sessions[0].get("started", "")
    times = sorted(_since(stored.first_seen, began) for stored in campaign.findings)
    return _chart("Distinct findings", "findings", seconds, [[(at, n) for n, at in enumerate(times, 1)]])


def _since(moment: str, began: str) -> float:
    """Seconds between two times of the ledger; 0 for an earlier one, or for text that is no time."""
    try:
        return max(0.0, (datetime.fromisoformat(moment) - datetime.fromisoformat(began)).total_seconds())
    except (TypeError, ValueError):
        return 0.0


def _chart(title: str, unit: str, seconds: float, curves: Sequence[Sequence[tuple[float, float]]]) -> str:
    """A line of mermaid: the sum of curves that hold their last value, at moments of equal distance."""
    end = max([seconds, *(at for curve in curves for at, _ in curve)])
    if not end:
        return ""
    sums = []
    for step in range(_POINTS + 1):
        now = end * step / _POINTS
        sums.append(sum(next((value for at, value in reversed(curve) if at <= now), 0.0) for curve in curves))
    top = max(*sums, 1.0)
    return (
        f'\n```mermaid\nxychart-beta\n  title "{title}"\n  x-axis "seconds" 0 --> {end:.0f}\n'
        f'  y-axis "{unit}" 0 --> {top * 1.05:.0f}\n  line [{", ".join(f"{value:.0f}" for value in sums)}]\n```\n'
    )


def _new(rows: list[Row]) -> str:
    if not rows:
        return ""
    flaky = " (does not repeat each time)"
    cells = [(*_cells(row, flaky if row.flaky else ""), code(row.repeat)) for row in rows[:_MOST_NEW]]
    text = "\n## New findings\n\n" + table((*_HEADS, "repeat it"), cells)
    if len(rows) > _MOST_NEW:
        text += f"\n... and {len(rows) - _MOST_NEW} more: `harness findings` lists them.\n"
    return f"{text}\nEach input is in the campaign's folder, `findings/ID/input`; `harness triage` files them.\n"


def _cells(row: Row, remark: str = "") -> tuple[str, str, str, str]:
    return code(row.id), row.severity, inert(row.target), code(row.summary) + remark


def _elsewhere(rows: list[Row]) -> str:
    if not rows:
        return ""
    cells = [(*_cells(row), inert(row.elsewhere)) for row in rows[:_MOST_NEW]]
    text = "\n## Not new against another build\n\n" + table((*_HEADS, "it"), cells)
    return text + (f"\n... and {len(rows) - _MOST_NEW} more.\n" if len(rows) > _MOST_NEW else "")


def _known(rows: list[Row], campaigns: Sequence[Campaign]) -> str:
    """Number of known findings by severity, and of those that campaigns met."""
    known = [row for row in rows if row.state != NEW and not row.elsewhere]
    if not known:
        return ""
    numbers = ("open", "decided", "met again") if campaigns else ("open", "decided")
    cells = []
    for name in SEVERITIES:
        if here := [row for row in known if row.severity == name]:
            open_ones = sum(row.state == crashes.OPEN for row in here)
            counts = (open_ones, len(here) - open_ones, sum(bool(row.seen) for row in here))
            cells.append((name, *counts[: len(numbers)]))
    return "\n## Known findings\n\n" + table(("how bad", *numbers), cells, numbers) + _defects(known, bool(campaigns))


def _defects(rows: list[Row], campaigns: bool) -> str:
    """The defects whose findings campaigns met, or that are filed, the worst first."""
    owners: dict[str, list[Row]] = {}
    for row in rows:
        if row.defect and row.defect.counts and row.state == crashes.OPEN and (row.seen or not campaigns):
            owners.setdefault(row.defect.name, []).append(row)
    chosen = sorted((found[0].defect for found in owners.values() if found[0].defect), key=by_harm)
    cells = [
        (one.severity, inert(one.title), code(one.places[0]), "yes" if one.edits else "-", len(owners[one.name]))
        for one in chosen[:_MOST_DEFECTS]
    ]
    if not cells:
        return ""
    text = f"\n## Defects{' met again' if campaigns else ''}\n\n"
    text += table(("rank", "defect", "place", "fix", "findings"), cells, ("findings",))
    more = len(chosen) - _MOST_DEFECTS
    return text + (f"\n... and {more} more: `harness triage defects` lists them.\n" if more > 0 else "")


def _cut(text: str) -> str:
    """``text``, or the whole lines that fit into one page."""
    raw = text.encode()
    if len(raw) <= MOST_BYTES:
        return text
    note = "\nThe rest of this page is cut off: it would be too long to be shown.\n"
    kept = raw[: MOST_BYTES - len(note.encode())].rpartition(b"\n")[0]
    return kept.decode() + "\n" + note


def figures(campaigns: Iterable[Campaign]) -> list[dict[str, Any]]:
    """Figures of each campaign, as plain types."""
    return [
        {
            "name": one.name,
            "executions": one.total("executions"),
            "cpu_seconds": one.spent,
            "replay_cpu_seconds": one.total("replay_cpu_seconds"),
            "left_out": {name: s.reason for name, s in one.states().items() if s.name == states.LEFT_OUT},
            "not_run": states.as_json(one.sessions),
            "not_driven": not_driven(one.sessions),
        }
        for one in campaigns
    ]
