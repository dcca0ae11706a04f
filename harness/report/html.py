"""The report: one HTML page that needs no network, no other file and no server.

Summaries, names and ledgers hold bytes of hostile inputs. Every value of the template goes through
:func:`harness.report.words.shown` and is escaped. The page's policy allows its own style sheet and script alone, by hash.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup, escape

from harness import paths
from harness.engine.campaign import states
from harness.engine.campaign.states import State
from harness.engine.worker.tally import STAGES
from harness.errors import HarnessError
from harness.files import write_named
from harness.findings.defects import CONTROLLERS
from harness.findings.severity import SEVERITIES
from harness.foreign_json import number, table
from harness.ledger import joined, records
from harness.ledger.forecast import TIMES
from harness.ledger.growth_curve import Interval, money
from harness.ledger.records import Record
from harness.parsers import registry
from harness.report import defects, figures, gather, outlook, record, rows, words
from harness.report.drives import Drive, drives, not_driven
from harness.report.figures import Growth
from harness.report.gather import Campaign
from harness.report.outlook import Outlook
from harness.text import count, duration, percent, short

_HERE = Path(__file__).parent
#: Uncovered lines that are linked per file.
_GAPS = 12
#: Fields of a curve's points that are drawn, with heading and explanation.
_METRICS = {
    "signatures": ("Findings", "Signatures of findings seen so far"),
    "edges": ("Edges", "Edges of the instrumented parser reached so far"),
    "features": ("Features", "libFuzzer's features: edges by how often they ran"),
    "semantic": ("Meaning", "Features of the format: rule of the judge by outcome, dtype by rank, call by call"),
}
# Heads of the findings that no record names, by state.
_HEADS = {
    rows.NEW: "New findings",
    rows.ELSEWHERE: "Not new against another build",
    rows.OPEN: "Open, and in no record of a defect yet",
    rows.DECIDED: "Decided",
}


def page(
    campaigns: Sequence[Campaign], near: Path, found: Iterable[gather.Row] | None = None, *, price: float | None = None
) -> str:
    """The page for campaigns and filed findings; links are relative to the folder ``near``.

    ``found`` are the findings if they are gathered already; ``price`` is that of a CPU-hour. Raises HarnessError for a damaged
    campaign.
    """
    told = rows.rows(campaigns, near, found)
    not_run = _not_run(campaigns)
    campaigns = [one for one in campaigns if one.began]
    driven = drives(session for one in campaigns for session in one.sessions)
    targets = {name: drive for name, drive in driven.items() if drive.sums["executions"]}
    for name, figure in targets.items():
        figure.signatures = sum(name in row.targets for row in told)
    runs, damaged = records.of_sessions((one.folder, one.sessions) for one in campaigns)
    expected = outlook.outlook(runs)
    operators = _operators(targets.values())
    style, script = _part("report.css"), _part("report.js")
    rules = sum((figure.rules for figure in targets.values()), Counter[str]())
    template = _environment().get_template("report.html.j2")
    return template.render(
        style=style,
        script=script,
        policy=_policy(style, script),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        campaigns=campaigns,
        findings=told,
        tally_of=Counter(row.state for row in told),
        seen=Counter(row.state for row in told if row.count),
        flaky=sum(one.row.flaky for one in told),
        first=defects.overview().first,
        groups={one.row.defect.name: one.group for one in reversed(told) if one.row.defect},
        controllers=CONTROLLERS,
        defects=len({one.row.defect.name for one in told if one.state == rows.OPEN and one.row.defect}),
        met=Counter(one.group for one in told if one.count),
        heads=_HEADS,
        by_severity=Counter(one.row.severity for one in told),
        severities=SEVERITIES,
        states=rows.STATES,
        targets=targets,
        totals=_totals(targets, campaigns),
        price=price,
        growth=_growth(runs, list(targets), expected),
        stages=STAGES,
        rules=rules.most_common(),
        operators=operators,
        coverage=_coverage(near),
        outlook=expected,
        told=outlook.TOLD,
        budgets=TIMES,
        session_rows=[_session(one, session) for one in campaigns for session in one.sessions],
        not_run=not_run,
        headline=_headline(campaigns, told, _release(campaigns), not_run.told),
        notes=_notes(campaigns) + [f"the ledger passes over {line}" for line in damaged],
        bands=len(campaigns) > 1,
        judged=rules.total(),
        most_cpu=max((figure.sums["cpu_seconds"] for figure in targets.values()), default=0),
        most_kept=max((one["per_thousand"] for one in operators), default=0),
        environment=_facts(campaigns),
    )


def write(
    place: Path, campaigns: Sequence[Campaign], found: Iterable[gather.Row] | None = None, *, price: float | None = None
) -> Path:
    """Write the page to the file ``place`` (``*.html``), or to index.html in the folder ``place``; its path.

    The rest as in :func:`page`. Raises HarnessError when it cannot be written.
    """
    target = place if place.suffix in (".html", ".htm") and not place.is_dir() else place / "index.html"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HarnessError(f"cannot make {target.parent}: {error.strerror}", hint="name another place") from error
    write_named(target, page(campaigns, target.parent, found, price=price))
    return target


def _part(name: str) -> Markup:
    """A trusted part of the page."""
    return Markup((_HERE / name).read_text(encoding="utf-8"))  # noqa: S704 - it comes with the package


def _policy(style: str, script: str) -> str:
    """The content security policy: only our own style and script."""
    hashes = [base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _environment() -> jinja2.Environment:
    def finalize(value: Any) -> Any:
        return words.shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=finalize,
    )
    environment.filters |= {one.__name__: one for one in (count, duration, words.size, words.cut, short, number, money)}
    environment.globals |= {"bar": figures.bar, "stack": figures.stack, "chart": figures.growth}
    for one in (record.place_address, record.thread_address, record.since, record.patch, _marked):
        environment.filters[one.__name__.lstrip("_")] = one
    environment.globals |= {"percent": partial(percent, digits=1), "span": _span}
    return environment


def _marked(text: str, most: int = 1200) -> Markup:
    """A text of a record, with its code as code."""
    pieces = ((escape(words.shown(piece)), code) for piece, code in record.spans(text, most))
    return Markup().join(Markup("<code>{}</code>").format(piece) if code else piece for piece, code in pieces)


def _span(interval: Interval) -> str:
    """An interval in few characters."""
    low, high = round(interval.low), round(interval.high)
    return short(low) if low == high else f"{short(low)} to {short(high)}"


def _release(campaigns: Iterable[Campaign]) -> str:
    """The versions that the sessions fuzzed, else the newest release."""
    found = [str(table(s.get("versions")).get("safetensors", "")) for one in campaigns for s in one.sessions]
    return ", ".join(sorted(set(filter(None, found)))) or registry.default_release()


def _totals(targets: Mapping[str, Drive], campaigns: Iterable[Campaign]) -> dict[str, float]:
    every = list(campaigns)
    sums = {name: sum(drive.sums[name] for drive in targets.values()) for name in ("executions", "deep", "accepted")}
    return {
        **sums,
        "sessions": sum(len(one.sessions) for one in every),
        "seconds": sum(one.total("seconds") for one in every),
        "cpu_seconds": sum(one.spent for one in every),
        "replay_cpu_seconds": sum(one.total("replay_cpu_seconds") for one in every),
    }


class _NotRun(NamedTuple):
    """The targets that did not run: ``told`` in a clause, their number, and (campaign, target, state) of each."""

    told: str
    targets: int
    rows: list[tuple[str, str, State]]


def _not_run(campaigns: Sequence[Campaign]) -> _NotRun:
    together = states.together(one.states() for one in campaigns)
    every = [(one.name, name, state) for one in campaigns for name, state in one.states().items() if not state.ran]
    return _NotRun(states.told(together), sum(not state.ran for state in together.values()), every)


def _headline(
    campaigns: Sequence[Campaign], found: Sequence[rows.PageRow], release: str, not_run: str
) -> dict[str, str]:
    """A title about the new findings and the targets that did not run, and sentences about the rest."""
    fresh = [row for row in found if row.state == rows.NEW]
    title, lead = f"Nothing new in safetensors {release}", ""
    if fresh:
        worst = min(fresh, key=lambda one: one.rank).row
        title = f"{len(fresh)} new finding{'s' if len(fresh) > 1 else ''} in safetensors {release}"
        lead = f"The worst is {worst.severity}, {worst.rule.name} in {worst.target}. "
    elif not campaigns:
        title = f"Findings filed against safetensors {release}"
    title += f"; {not_run}" if not_run else ""
    still = sum(row.state == rows.OPEN for row in found)
    known = sum(row.count > 0 and row.state not in (rows.NEW, rows.ELSEWHERE) for row in found)
    if campaigns:
        names = ", ".join(words.cut(one.name, 60) for one in campaigns)
        spent = duration(sum(one.spent for one in campaigns))
        done = count(sum(one.total("executions") for one in campaigns))
        lead += (
            f"Campaign{'s' if len(campaigns) > 1 else ''} {names}: {done} executions in {spent} of CPU time showed "
            f"{known} known finding{'' if known == 1 else 's'} again. "
        )
    lead += f"{still} filed finding{'s are' if still > 1 else ' is'} open." if still else "No filed finding is open."
    return {"title": title, "lead": lead}


def _last(one: Campaign) -> Mapping[str, Any]:
    """The latest session; empty where there was none."""
    return one.sessions[-1] if one.sessions else {}


def _notes(campaigns: Iterable[Campaign]) -> list[str]:
    """Warnings about the latest sessions."""
    found: list[str] = []
    for one in campaigns:
        name = one.name
        found += [f"{name}: {line}" for line in not_driven(one.sessions)]
        found += [f"{name}: {text}" for text in _last(one).get("skipped") or ()]
        for entry in _last(one).get("too_wide") or ():
            share = 100 * number(table(entry).get("share"))
            rule = table(entry).get("rule")
            found.append(f"{name}: verdict rule {rule} covers {share:.1f} % of executions: too wide")
        failed = sum(number(table(spent).get("defects")) for spent in table(_last(one).get("per_target")).values())
        if failed:
            found.append(f"{name}: the harness itself failed on {failed:.0f} inputs (log/*-defect.txt in the campaign)")
    return found


def _session(one: Campaign, session: Mapping[str, Any]) -> dict[str, Any]:
    """One line of the table of sessions."""
    targets = session.get("targets")
    return {
        "campaign": one.name,
        "started": str(session.get("started", "")),
        "seed": int(number(session.get("seed"))),
        "workers": int(number(session.get("workers"))),
        "targets": len(targets) if isinstance(targets, list) else 0,
        "ended": str(session.get("ended") or ("interrupted" if session.get("interrupted") is True else "")),
        "cpu_seconds": sum(number(session.get(name)) for name in ("cpu_seconds", "replay_cpu_seconds")),
        **{name: number(session.get(name)) for name in ("seconds", "executions")},
    }


def _growth(runs: Sequence[Sequence[Record]], names: Sequence[str], expected: Outlook | None) -> list[dict[str, Any]]:
    """Figures by metric, a line for each campaign: ``{"name", "heading", "says", "figures"}``."""
    curves = [{name: joined.curve(run, name) for name in names} for run in runs]
    found = []
    for metric, (heading, says) in _METRICS.items():
        unit = heading.lower() if metric != "semantic" else "features of meaning"
        made = []
        if metric == "signatures":
            every = [[pair for pair in joined.together(run.values()) if pair[0] > 0] for run in curves]
            ahead = expected.ahead_together(metric) if expected else []
            made.append(Growth("All targets", [run for run in every if run], unit, "CPU-seconds", ahead))
        for name in names:
            drawn = [[(point.executions, getattr(point, metric)) for point in run[name]] for run in curves]
            ahead = expected.ahead(name, metric) if expected else []
            made.append(Growth(name, [run for run in drawn if run], unit, "executions", ahead))
        made = [figure for figure in made if figure.last[1]]
        if made:
            found.append({"name": metric, "heading": heading, "says": says, "figures": made})
    return found


def _operators(targets: Iterable[Drive]) -> list[dict[str, Any]]:
    """Mutation operators over all targets, by the number of inputs kept."""
    merged: dict[str, Counter[str]] = {}
    used: Counter[str] = Counter()
    for figure in targets:
        for name, stats in figure.operators.items():
            merged.setdefault(name, Counter()).update(stats)
            used[name] += bool(stats["uses"])
    found = [
        {"name": name, **{key: stats[key] for key in ("uses", "kept", "errors")}, "targets": used[name]}
        | {"per_thousand": 1000 * stats["kept"] / stats["uses"]}
        for name, stats in merged.items()
        if stats["uses"]
    ]
    return sorted(found, key=lambda one: (-one["kept"], -one["per_thousand"], one["name"]))


def _coverage(near: Path) -> dict[str, Any] | None:
    """The last result of `harness coverage`, with the address of its line view; None without one."""
    folder = paths.build_dir() / "coverage"
    path = folder / "coverage.json"
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        made = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise HarnessError(f"{path} cannot be read: {error}", hint="make it again: harness coverage") from error
    nothing = {"covered": 0, "reachable": 0, "total": 0, "percent": 0.0}
    for file in found["files"]:
        file["pieces"] = file.get("regions") or file.get("branches") or nothing
        file.setdefault("functions", nothing)
        if file.setdefault("not_driven", ""):
            file["pieces"] = file["lines"] = nothing
        missing = [region[0] for region in file.get("missing_regions", ())] or file.get("missing_lines", [])
        file["gaps"] = sorted(set(missing))[:_GAPS]
    for reach in found["targets"].values():
        reach["share"] = reach["regions"] / max(reach["regions_of_entered_functions"], 1)
    return {
        **found,
        "made": made.strftime("%Y-%m-%d %H:%M UTC"),
        "page": rows.address(folder / "index.html", near) if (folder / "index.html").is_file() else "",
    }


def _facts(campaigns: Iterable[Campaign]) -> list[tuple[str, str]]:
    """Versions of the sessions, the build of the parser, and this machine."""
    found: dict[str, str] = {}
    for one in campaigns:
        for name, value in table(_last(one).get("versions")).items():
            found[name] = str(value)
        build = registry.read(str(_last(one).get("parser", "")))
        if build is not None:
            found["parser build"] = f"{build.name} ({build.flavour})"
            compiler = table(build.manifest.get("compiler"))
            found["rustc"] = f"{compiler.get('release', '?')} for {compiler.get('host', '?')}"
            made_of = table(build.manifest.get("crates"))
            found |= {name: str(made_of[name]) for name in ("pyo3", "serde_json") if name in made_of}
    found["cores here"] = str(len(os.sched_getaffinity(0)))
    found["memory here"] = words.size(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    found["system here"] = f"{platform.system()} {platform.release()} {platform.machine()}"
    return list(found.items())
