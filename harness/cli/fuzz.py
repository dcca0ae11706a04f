"""``harness fuzz``: run a campaign."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from harness import paths
from harness.cli._options import Size
from harness.cli.findings import replays, seen
from harness.engine.campaign import states
from harness.engine.campaign.campaign_corpus import Quota
from harness.engine.campaign.main import Campaign, CampaignSettings, Outcome
from harness.engine.campaign.states import State
from harness.engine.ui.view import View
from harness.errors import EngineError, HarnessError
from harness.findings import store
from harness.ledger import records
from harness.parsers import registry
from harness.report.drives import drives, not_driven
from harness.targets import known_findings
from harness.targets.registry import all_targets, broken_targets, get_target, not_installed
from harness.text import percent

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Duration(click.ParamType[float]):
    """``90``, ``90s``, ``15m``, ``8h`` or ``1d``, in seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The time in seconds. Fails unless it is above zero."""
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", str(value))
        if match is None or float(match[1]) == 0:
            self.fail(f"{value!r} is no time to fuzz for; examples are 60s, 15m and 8h", param, ctx)
        return float(match[1]) * _UNITS[match[2]]


@click.command(epilog="Example: harness fuzz --target deserialize --time 10m --seed 7")
@click.option("--target", "names", multiple=True, metavar="T", help="Target to fuzz; may be repeated. Default: all.")
@click.option("--parser", metavar="NAME", help="Instrumented parser to fuzz (see `harness build`).")
@click.option(
    "--time", "seconds", type=Duration(), default="60s", show_default=True, help="Time of the whole campaign."
)
@click.option(
    "--runs",
    type=click.IntRange(min=1),
    help="Executions per target instead of a time. With one worker, such a run repeats exactly.",
)
@click.option("--workers", type=click.IntRange(1, 256), help="Worker processes at a time. Default: one per core.")
@click.option("--seed", type=click.IntRange(1, 2**31 - 1), default=1, show_default=True, help="Random seed.")
@click.option(
    "--campaign", "folder", type=click.Path(path_type=Path), help="Campaign folder. An existing campaign is continued."
)
@click.option("--fresh", is_flag=True, help="Start over. The old content moves to a subfolder.")
@click.option("--empty-corpus", is_flag=True, help="Do not load the committed seeds.")
@click.option(
    "--max-bytes",
    type=Size(),
    default="50M",
    show_default=True,
    help="Corpus size limit per target. Beyond it, only inputs with new edges are saved.",
)
@click.option(
    "--max-files",
    type=click.IntRange(min=1),
    default=20_000,
    show_default=True,
    help="Corpus limit per target in inputs. Beyond it, only inputs with new edges are saved.",
)
@click.option("--without", "disabled", multiple=True, metavar="OPERATOR", help="Switch a mutation operator off.")
@click.option(
    "--ledger", type=click.Path(path_type=Path), help="Folder for the session's record. Default: build/ledger."
)
@click.option(
    "--cluster", metavar="ADDRESS", help="Run units on hosts of a Dask scheduler; local:N starts N hosts here."
)
@click.option("--store", metavar="URL", help="Folder or s3://BUCKET/PREFIX that the hosts of --cluster share.")
@click.option("--no-ui", is_flag=True, help="Print lines instead of the live view.")
@click.option("--strict", is_flag=True, help="Exit with status 1 for known findings that are open, too.")
@click.option("--json", "as_json", is_flag=True, help="Print the session's ledger entry as JSON at the end.")
def command(
    names: tuple[str, ...],
    parser: str | None,
    seconds: float,
    runs: int | None,
    workers: int | None,
    seed: int,
    folder: Path | None,
    fresh: bool,
    empty_corpus: bool,
    max_bytes: int,
    max_files: int,
    disabled: tuple[str, ...],
    ledger: Path | None,
    cluster: str | None,
    store: str | None,
    no_ui: bool,
    strict: bool,
    as_json: bool,
) -> int:
    """Fuzz the parser. Exit status: 0 (nothing new), 1 (a new finding), 2 (usage) or 3 (the engine failed).

    A target that was named and never ran gives 3. Without --target, the end names the targets that did not run.
    """
    _known_operators(disabled)
    if (cluster is None) != (store is None):
        raise click.UsageError("--cluster and --store go together: hosts share nothing but a store")
    settings = CampaignSettings(
        folder=(folder or paths.campaigns_dir() / "main").resolve(),
        targets=choose(names),
        others=others(names),
        parser=registry.find(parser).name,
        seconds=seconds,
        runs=runs or 0,
        workers=workers or len(os.sched_getaffinity(0)),
        seed=seed,
        fresh=fresh,
        empty=empty_corpus,
        disabled=disabled,
        quota=Quota(max_bytes, max_files),
    )
    hosts = (cluster, store) if cluster and store else None
    outcome = drive(settings, ledger, no_ui=no_ui, hosts=hosts)
    if as_json:
        more = {"campaign": str(settings.folder), "not_run": states.as_json([outcome.session])}
        click.echo(json.dumps(outcome.session | more, indent=1))
    else:
        report([outcome.session], settings.folder)
    outcome.complain(names)
    never_ran([outcome.session], names)
    found = outcome.session["findings"]
    still_open = strict and any(known_findings.is_open(found[name]["signature"]) for name in outcome.known)
    return 1 if outcome.new or still_open else 0


def choose(names: tuple[str, ...]) -> tuple[str, ...]:
    """The targets ``names``, or all that can run here. Prints their notes. Raises HarnessError for a target that cannot run."""
    chosen = names or _runnable()
    for name in chosen:
        target = get_target(name)
        if reason := target.missing():
            raise HarnessError(f"target {name} cannot run: {reason}", hint=target.install())
        if note := target.note():
            click.echo(f"target {name}: {note}", err=True)
    return tuple(dict.fromkeys(chosen))


def drive(
    settings: CampaignSettings, ledger: Path | None, *, no_ui: bool, hosts: tuple[str, str] | None = None
) -> Outcome:
    """Run a campaign, show it on stderr, and write its record to the folder ``ledger`` (None: the default).

    ``hosts``: the cluster that runs it, and the address of its store.
    """
    console = Console(stderr=True)
    live = console.is_terminal and not no_ui
    _keep(settings.folder, ledger)
    with View(console, live=live, say=_say) as view:
        try:
            if hosts:
                from harness.engine.cluster import drive as cluster

                return cluster.run(settings, view, *hosts, say=_say)
            return Campaign(settings, view).run()
        finally:
            _keep(settings.folder, ledger)


def _say(text: str) -> None:
    click.echo(text, err=True)


def never_ran(sessions: Sequence[dict[str, Any]], names: Collection[str]) -> None:
    """Raise EngineError for the targets in ``names`` that ran no input in any of the sessions."""
    idle = {
        name: state for name, state in states.not_run(sessions).items() if name in names and state.name == states.IDLE
    }
    if idle:
        raise EngineError(
            f"never ran: {'; '.join(states.lines(idle))}", hint="give more --time, or name fewer targets at a time"
        )


def _keep(campaign: Path, ledger: Path | None) -> None:
    """Write the missing records of sessions to the ledger: of this one, and of earlier ones that were killed."""
    try:
        records.keep_all(campaign, ledger)
    except OSError as error:
        click.echo(f"cannot write to the ledger {error.filename}: {error.strerror}", err=True)


def _runnable() -> tuple[str, ...]:
    """All targets that can run here. Prints the others with the reason."""
    unable = others(())
    for name, state in unable.items():
        click.echo(f"target {name} is left out: {state.reason}", err=True)
    return tuple(name for name in all_targets() if name not in unable)


def others(names: Collection[str]) -> dict[str, State]:
    """The targets that a campaign on all passes over, with the reasons; none for a campaign on ``names``."""
    if names:
        return {}
    absent = {name: State(states.NOT_INSTALLED, reason) for name, reason in not_installed().items()}
    return absent | {name: State(states.LEFT_OUT, reason) for name, reason in broken_targets().items()}


def _known_operators(disabled: tuple[str, ...]) -> None:
    from harness.mutate import OPERATORS

    for name in disabled:
        if name not in OPERATORS:
            raise HarnessError(f"no operator is called {name!r}", hint="docs/mutators.md lists them")


def findings(sessions: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The findings of several sessions of one campaign: the last entry of each, with the sum of counts and the smallest size."""
    found: dict[str, dict[str, Any]] = {}
    for session in sessions:
        for name, entry in session["findings"].items():
            before = found.get(name, {"count": 0, "size": entry["size"]})
            both = {"count": before["count"] + entry["count"], "size": min(before["size"], entry["size"])}
            found[name] = before | entry | both
    return found


def report(sessions: Sequence[dict[str, Any]], folder: Path) -> None:
    """Print the sums and findings of several sessions of one campaign."""
    executions, seconds = (sum(one[name] for one in sessions) for name in ("executions", "seconds"))
    replay_cpu = sum(one.get("replay_cpu_seconds", 0.0) for one in sessions)
    cpu = sum(one["cpu_seconds"] for one in sessions) + replay_cpu
    spent = f"{cpu:.0f} CPU-seconds" + (f", {replay_cpu:.0f} of them replays of findings" if replay_cpu >= 1 else "")
    where = f"on {sessions[-1]['parser']}, campaign {paths.shown(folder)}"
    click.echo(f"{executions} executions in {seconds:.0f} s ({spent}) {where}")
    driven = {name: one for name, one in drives(sessions).items() if one.sums["executions"]}
    for name, target in driven.items():
        done = target.sums["executions"] or 1
        depth = f"{percent(target.sums['deep'], done)} deep, " if target.stages else ""
        click.echo(
            f"  {name}: {target.rate:.0f}/s, {depth}{percent(target.sums['accepted'], done)} accepted, "
            f"{target.largest['edges']:.0f} edges, {target.largest['corpus']:.0f} inputs kept"
        )
    for line in not_driven(sessions):
        click.echo(line)
    found = states.states(sessions)
    if said := states.told(found):
        click.echo("\n  ".join([f"{said}:", *states.lines(found)]), err=True)
    defects = int(sum(target.sums["defects"] for target in driven.values()))
    if defects:
        click.echo(f"the harness itself failed on {defects} inputs: {folder}/log/*-defect.txt", err=True)
    for name, count in sum((Counter(one["passed_over"]) for one in sessions), Counter[str]()).items():
        click.echo(
            f"the corpus of {name} is full: {count} inputs without a new edge were not saved; make room with: "
            f"harness corpus minimize --target {name} --corpus {folder / 'corpus'}",
            err=True,
        )
    if replaced := sum((Counter(one["replaced"]) for one in sessions), Counter[str]()):
        click.echo(f"workers that were replaced: {', '.join(f'{n} {why}' for why, n in replaced.items())}", err=True)
    for skipped in dict.fromkeys(text for one in sessions for text in one["skipped"]):
        click.echo(skipped, err=True)
    for rule, share in {rule["rule"]: rule["share"] for one in sessions for rule in one["too_wide"]}.items():
        click.echo(f"verdict rule {rule} covers {100 * share:.1f} % of executions: too wide", err=True)
    _findings(findings(sessions), folder)


def _findings(found: dict[str, dict[str, Any]], folder: Path) -> None:
    if not found:
        click.echo("no findings")
        return
    new = sorted(name for name, entry in found.items() if not entry.get("known"))
    click.echo(f"findings: {len(new)} new, {len(found) - len(new)} known")
    for name in new:
        entry = found[name]
        click.echo(
            f"  {name}  ({entry.get('target', '')}, {seen(entry['count'])}, {entry['size']} bytes, {replays(entry)})"
        )
    if new:
        click.echo(f"repeat one:    harness repro {store.reference(folder, new[0])}")
        click.echo(f"file them all: harness triage{store.option(folder)}")
