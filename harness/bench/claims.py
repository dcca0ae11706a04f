"""The page of all results: one row for each figure, with its interval, goal, command, machine and date.

It is made of the files that the benches write (build/bench/*.json), so it repeats no measurement. Misses stand in the same table.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.bench import planted, releases
from harness.bench.peers import results as peers
from harness.bench.range import results as attempts
from harness.bench.range.statistics import share_interval
from harness.errors import HarnessError
from harness.text import duration

#: The least share of viable mutants that replay kills, by the end of the file's name.
SCORES = {"tensor.rs": 0.95, "slice.rs": 0.95, "lib.rs": 0.9, "numpy.py": 0.9, "torch.py": 0.9}


@dataclass(frozen=True, slots=True)
class Claim:
    """One figure.

    ``interval`` is that of 95 %, in words; "" for a count of all cases. ``met``: whether the figure reaches the ``goal``; None where
    there is no goal.
    """

    bench: str
    subject: str
    figure: str
    interval: str = ""
    goal: str = ""
    met: bool | None = None


def claims(name: str, result: Mapping[str, Any]) -> list[Claim]:
    """The figures of the result of one bench, as its JSON file holds it."""
    return list(_BENCHES[name](result))


def every(results: Mapping[str, Mapping[str, Any]]) -> list[Claim]:
    """The figures of all results, by bench."""
    return [claim for name, result in results.items() for claim in claims(name, result)]


def stored(folder: Path) -> dict[str, dict[str, Any]]:
    """The results in ``folder``, by bench. Raises HarnessError where there is none, or one cannot be read."""
    found = {}
    for name in _BENCHES:
        path = folder / f"{name}.json"
        if path.is_file():
            try:
                found[name] = json.loads(path.read_bytes())
            except ValueError as error:
                raise HarnessError(f"{path} is no JSON: {error}", hint="measure again, or delete it") from error
    if not found:
        raise HarnessError(f"no results in {folder}", hint="measure first, such as by `harness bench planted`")
    return found


def page(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The page in Markdown."""
    rows = every(results)
    missed = sum(claim.met is False for claim in rows)
    judged = sum(claim.met is not None for claim in rows)
    lines = [
        "# Results",
        "",
        f"`harness bench results` makes this page. {judged - missed} of {judged} goals are met.",
        "",
        "| measured | figure | 95 % interval | goal | |",
        "|---|---|---|---|---|",
        *map(_row, rows),
        "",
        "| bench | command | date | machine |",
        "|---|---|---|---|",
        *(_source(name, result.get("about", {})) for name, result in results.items()),
    ]
    return "\n".join(lines) + "\n"


def _row(claim: Claim) -> str:
    verdict = {None: "", True: "met", False: "**missed**"}[claim.met]
    return f"| {claim.subject} | {claim.figure} | {claim.interval} | {claim.goal} | {verdict} |"


def _source(name: str, about: Mapping[str, Any]) -> str:
    command = f"`{about['command']}`" if about.get("command") else ""
    return f"| {name} | {command} | {about.get('at', '')} | {about.get('machine', '')} |"


def _share(successes: int, of: int) -> tuple[str, str]:
    low, high = share_interval(successes, of)
    return f"{successes} of {of}", f"{low:.0%} to {high:.0%}"


def _mutants(result: Mapping[str, Any]) -> Iterator[Claim]:
    for file, figures in [*result["files"].items(), ("all files", result["all"])]:
        rated = figures["killed"] + figures["survived"] - figures["equivalent"]
        if not rated:
            continue
        goal = next((least for end, least in SCORES.items() if file.endswith(end)), None)
        yield Claim(
            "mutants",
            f"mutants of {file.rpartition('/')[2]} that replay kills; {figures['equivalent']} equivalent ones do not count",
            f"{figures['killed']} of {rated}, {figures['killed'] / rated:.1%}",
            goal="" if goal is None else f"{goal:.0%}",
            met=None if goal is None else figures["killed"] / rated >= goal,
        )
    for name, row in result["peers"].items():
        figure, interval = _share(row["killed"], row["mutants"])
        yield Claim("mutants", f"the same mutants by {name}; replay kills {row['killed_by_replay']}", figure, interval)
    explained = sum(bool(one["reason"]) for one in result["survivors"])
    of = len(result["survivors"])
    yield Claim("mutants", "survivors with a reason", f"{explained} of {of}", goal="all", met=explained == of)


def _range(result: Mapping[str, Any]) -> Iterator[Claim]:
    for one in result["budgets"]:
        budget, (low, high) = duration(one["cpu_seconds"]), one["mean_interval"]
        goal = attempts.goal(result, one)
        yield Claim(
            "range",
            f"bugs of {result['steps']} detected in {budget} of CPU, mean of {one['attempts']} attempts",
            f"{one['mean_steps']:.1f}",
            f"{low:.1f} to {high:.1f}",
            "" if goal is None else f"{goal:g}",
            None if goal is None else one["mean_steps"] >= goal,
        )
        figure, interval = _share(one["solved"], one["attempts"])
        yield Claim("range", f"attempts that detect all in {budget} of CPU", figure, interval)


def _peers(result: Mapping[str, Any]) -> Iterator[Claim]:
    for one in result["peers"]:
        low, high = one["detected"][1:]
        subject = f"{one['title']}: bugs of {result['bugs']} detected in {duration(result['budget'])} of CPU, median"
        yield Claim("peers", subject, f"{one['detected'][0]:g}", f"{low:g} to {high:g}")
        if "a12" in one:
            told = one["a12"]["detected"]
            part = peers.is_part(one["name"])
            yield Claim(
                "peers",
                f"{one['title']}: chance that it takes longer to a bug than ours (A12)",
                f"{told['a12']:.2f}",
                f"{told['low']:.2f} to {told['high']:.2f}",
                "" if part else f"{peers.GOAL}",
                None if part else told["a12"] >= peers.GOAL,
            )


def _releases(result: Mapping[str, Any]) -> Iterator[Claim]:
    figure, interval = _share(result["found"], len(result["defects"]))
    met = result["found"] >= releases.TARGET
    yield Claim(
        "releases", "fixed defects that campaigns on old releases find", figure, interval, f"{releases.TARGET}", met
    )


def _planted(result: Mapping[str, Any]) -> Iterator[Claim]:
    of = len(result["rows"])
    figure, interval = _share(result["found"], of)
    goal = round(planted.TARGET * of)
    subject = f"planted bugs that a campaign finds in {duration(result['seconds'])} each"
    yield Claim("planted", subject, figure, interval, str(goal), result["found"] >= goal)


def _locate(result: Mapping[str, Any]) -> Iterator[Claim]:
    figure, interval = _share(result["defects_named"], result["defects"])
    yield Claim("locate", "fixed defects of which `locate` names an edited function among five", figure, interval)


def _survival(result: Mapping[str, Any]) -> Iterator[Claim]:
    figure, interval = _share(result["survived"], result["times"])
    met = result["survived"] == result["times"]
    yield Claim("survival", "campaigns that lose nothing by `kill -9`", figure, interval, "all", met)


def _forecast(result: Mapping[str, Any]) -> Iterator[Claim]:
    edges = result["edges"]
    figure, interval = _share(edges["inside"], edges["campaigns"])
    met = edges["inside"] >= 0.9 * edges["campaigns"]
    yield Claim("forecast", "second halves of campaigns inside the 90 % forecast", figure, interval, "90%", met)


_BENCHES: dict[str, Callable[[Mapping[str, Any]], Iterator[Claim]]] = {
    "mutants": _mutants,
    "range": _range,
    "peers": _peers,
    "releases": _releases,
    "planted": _planted,
    **{f"planted-{name}": _planted for name in planted.SETS[1:]},
    "locate": _locate,
    "survival": _survival,
    "forecast": _forecast,
}
