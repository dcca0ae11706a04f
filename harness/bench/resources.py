"""``harness bench resources``: growth of the cost of every call over every family of files, and the limits of the kernel's counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.bench.runner import Say
from harness.findings import store
from harness.findings.finding import Finding
from harness.mutate.growth import FAMILIES
from harness.parsers.registry import Parser
from harness.targets.resources import kernel
from harness.targets.resources.calls import CALLS
from harness.targets.resources.kernel import Comparison, Taken
from harness.targets.resources.meter import Measurement, measure
from harness.targets.resources.oracle import BYTES, exponent, judge
from harness.targets.resources.target import TARGET, program

#: Calls that share a process: its start under valgrind takes as long as two calls.
_TOGETHER = 4

#: Families whose growth is that of another family, in another spelling or place.
_SAME = {"reversed": "tensors", "empties": "tensors", "escapes": "name", "rows": "buffer"}


def run(
    parser: Parser, costs: Sequence[str], calls: Sequence[str], families: Sequence[str], say: Say
) -> list[Measurement]:
    """Count every cost of every call on every family."""
    done: list[Measurement] = []
    for cost in costs:
        for at in range(0, len(calls), _TOGETHER):
            some = calls[at : at + _TOGETHER]
            say(f"{cost}, {at + 1} to {at + len(some)} of {len(calls)}: {', '.join(some)}")
            done += measure(parser.site, cost, [(call, family) for call in some for family in families])
    return done


def compare(parser: Parser, costs: Sequence[str], calls: Sequence[str], say: Say) -> list[Comparison]:
    """Measure copies, space and standstills of every call, beside those of the parser's peer."""
    done: list[Comparison] = []
    for cost in costs:
        chosen = [call for call in calls if call in kernel.measured_calls(cost)]
        say(f"{cost} of {len(chosen)} calls")
        done += kernel.compare(parser.site, parser, cost, chosen)
    return done


def broken(compared: Sequence[Comparison]) -> list[tuple[Comparison, Finding]]:
    """The limits that calls break."""
    return [(one, finding.on(TARGET)) for one in compared for finding in kernel.judge(one)]


def limits(compared: Sequence[Comparison]) -> list[list[str]]:
    """Rows of cells: the call, its cost and files, the count of the parser, and that of its peer; ``!`` marks a finding."""
    rows = [["call", "cost", "files", "count", "peer"]]
    for one in compared:
        mark = " !" if kernel.judge(one) else ""
        rows.append([one.call, one.cost, one.setting, _count(one, one.taken) + mark, _count(one, one.by_peer)])
    return rows


def _count(one: Comparison, taken: Sequence[Taken]) -> str:
    if not taken or any(each.end != "ok" for each in taken):
        return "-"
    last = taken[-1]
    if one.cost == kernel.COPIES:
        return str(kernel.copies(last))
    if one.cost == kernel.STANDSTILL:
        return f"{min(last.shares):.0%}" if last.shares else "-"
    return f"{last.touched / last.size:.1f} / {last.mapped / last.size:.1f} bytes per byte"


def findings(measured: Sequence[Measurement]) -> list[tuple[Measurement, Finding]]:
    """The findings of each series, in the order of measurement."""
    return [
        (one, finding.on(TARGET))
        for one in measured
        for finding in judge(one.call, one.family, FAMILIES[one.family].words, one.cost, one.points)
    ]


def distinct(found: Sequence[tuple[Measurement, Finding]]) -> list[tuple[Measurement, Finding]]:
    """One finding per defect: the same growth of the same kind of call is one defect.

    The part of a call's name after the dash (backend, index) does not count. A growth in bytes hides the same growth in
    instructions. A call that succeeds hides a call that fails after the cost.
    """
    order = sorted(found, key=lambda pair: (pair[0].cost != BYTES, pair[0].ends[-1] != "ok"))
    seen: dict[tuple[str, str, str], tuple[Measurement, Finding]] = {}
    for measured, finding in order:
        family = _SAME.get(measured.family, measured.family)
        how = finding.aspect.partition("/")[2]
        seen.setdefault((measured.call.partition("-")[0], family, how), (measured, finding))
    return list(seen.values())


def keep(campaign: Path, parser: Parser, found: Sequence[tuple[Measurement | Comparison, Finding]]) -> list[str]:
    """Store findings as a campaign does; ``harness triage --campaign`` files them. Returns their ids."""
    for one, finding in found:
        files = one.setting if isinstance(one, Comparison) else one.family
        store.add(campaign, finding, program(one.cost, one.call, files), parser=parser.name, seed=0)
    return [finding.id for _, finding in found]


def cell(one: Measurement) -> str:
    """The exponent of one series: ``-`` for a call that cannot be made, brackets for a call that ends in an error."""
    if len(one.points) < 3:
        return "-"
    text = f"{exponent(one.points, one.cost):.1f}".replace("-0.0", "0.0")
    return text if one.ends[-1] == "ok" else f"({text})"


def table(measured: Sequence[Measurement]) -> list[list[str]]:
    """Rows of cells: the call, then its exponents on every family, instructions / bytes; ``!`` marks a finding."""
    costs = sorted({one.cost for one in measured}, reverse=True)
    wrong = {(one.call, one.family) for one, _ in findings(measured)}
    by_place = {(one.call, one.family, one.cost): cell(one) for one in measured}
    families = [family for family in FAMILIES if any(one.family == family for one in measured)]
    rows = [["call", *families]]
    for call in (call for call in CALLS if any(one.call == call for one in measured)):
        cells = []
        for family in families:
            parts = dict.fromkeys(by_place.get((call, family, cost), "-") for cost in costs)
            cells.append(" / ".join(parts) + (" !" if (call, family) in wrong else ""))
        rows.append([call, *cells])
    return rows


def limits_as_json(compared: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Every comparison."""
    return [asdict(one) for one in compared]


def as_json(measured: Sequence[Measurement]) -> list[dict[str, Any]]:
    """Every series with its points."""
    return [
        {
            "call": one.call,
            "family": one.family,
            "cost": one.cost,
            "ends": one.ends,
            "exponent": round(exponent(one.points, one.cost), 3),
            "points": [
                {"n": p.n, "file": p.size, "text": p.text, "data": p.data, "cost": p.cost, "peak": p.peak}
                for p in one.points
            ],
        }
        for one in measured
    ]
