"""``harness triage``: from a campaign's findings to folders in crashes/, and verdicts on them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from harness import paths
from harness.cli import _verdict
from harness.cli._progress import shrinking
from harness.errors import HarnessError
from harness.findings import crashes, store, verdicts
from harness.findings.crashes import Crash
from harness.findings.severity import SEVERITIES
from harness.targets.known_findings import known
from harness.triage import filing, verdict_proposals

# Of these the last two are for rules: a folder is open until it is mended, or as it should be.
_VERDICTS = tuple(dict.fromkeys((*crashes.STATUSES, *verdicts.VERDICTS)))


@click.group(
    invoke_without_command=True,
    epilog="Example: harness triage --campaign build/campaigns/main   (or: harness triage verdict ID by-design --why TEXT)",
)
@click.option("--campaign", type=click.Path(path_type=Path), metavar="DIR", help="Default: the latest campaign.")
@click.option("--no-minimize", is_flag=True, help="File inputs as they were found.")
@click.option("--json", "as_json", is_flag=True, help="Print what became of each finding as JSON.")
@click.pass_context
def command(ctx: click.Context, campaign: Path | None, no_minimize: bool, as_json: bool) -> int | None:
    """File a campaign's new findings into crashes/.

    Each is repeated in fresh processes on every build, minimised, described and stored with a reproducer of its own.
    One that does not show again is reported and left where it is. Ends with 1 when something new was filed, else with 0.
    """
    if ctx.invoked_subcommand is not None:
        return None
    folder = store.campaign_at(campaign)

    def say(text: str) -> None:
        click.echo(text, err=as_json)

    rows: list[dict[str, Any]] = []
    done: set[str] = set()
    # Filing one may show another, on the release wheel.
    while waiting := [stored for stored in store.findings(folder) if stored.id not in done]:
        stored = waiting[0]
        done.add(stored.id)
        covered = known(stored.signature)
        if covered is not None:
            say(f"{stored.id}: known ({covered})")
            rows.append({"id": stored.id, "outcome": "known", "covered_by": covered})
            continue
        with shrinking(stored.id) as progress:
            crash = filing.file_finding(stored, folder, shrink=not no_minimize, say=say, progress=progress)
        rows.append(_row(stored.id, crash))
    filed = sum(row["outcome"] == "filed" for row in rows)
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return int(filed > 0)
    click.echo(f"{filed} of {len(done)} findings filed into {paths.home() / 'crashes'}")
    _print_groups()
    return int(filed > 0)


def _row(name: str, crash: Crash | None) -> dict[str, Any]:
    if crash is None:
        return {"id": name, "outcome": "left"}
    return {"id": crash.id, "outcome": "filed", "folder": str(crash.folder), "size": len(crash.data())}


def _print_groups() -> None:
    """Which of the filed findings are probably one defect seen through several entry points."""
    groups: dict[str, list[str]] = {}
    for crash in crashes.crashes():
        groups.setdefault(filing.group(crash.signature), []).append(f"{crash.id} ({crash.target})")
    for members in groups.values():
        if len(members) > 1:
            click.echo(f"  probably one defect: {', '.join(members)}")


def _campaigns(wording: str) -> Callable[[Any], Any]:
    return click.option(
        "--campaign",
        "folders",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="DIR",
        help=f"{wording}; may be repeated. Default: all in build/campaigns.",
    )


def _chosen(folders: tuple[Path, ...]) -> list[Path]:
    return [store.campaign_at(folder) for folder in folders] or store.campaigns()


@command.command(
    epilog="Example: harness triage verdict header.padding-1b2c3d4e by-design --why 'Kept for old files' --rule old-padding"
)
@click.argument("name", metavar="ID")
@click.argument("status", type=click.Choice(_VERDICTS))
@click.option("--why", required=True, metavar="TEXT", help="The reason; it is kept in finding.toml, and in the rule.")
@click.option("--severity", type=click.Choice(list(SEVERITIES)), help="How bad it is, where the first guess was wrong.")
@click.option(
    "--rule",
    "rule_name",
    is_flag=False,
    flag_value="",
    metavar="[NAME]",
    help="Make a rule of it in verdicts.toml, which knows the same thing elsewhere; put this last, or name the rule.",
)
@click.option(
    "--sentence", default="", metavar="TEXT", help="What the rule stands on. Default: the finding's own sentence."
)
@click.option(
    "--target", metavar="GLOB", help="The rule's targets. Default: all, for what the parser does with a file."
)
@click.option("--kind", metavar="GLOB", help="The rule's kinds. Default: the finding's.")
@click.option("--rule-glob", metavar="GLOB", help="What the rule's rules are called. Default: the finding's.")
@click.option("--aspect", metavar="GLOB", help="The rule's aspects. Default: the finding's.")
@_campaigns("What to show the rule's matches in, and to hold it against")
@click.option("--dry-run", is_flag=True, help="Show what the rule would match, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def verdict(
    name: str,
    status: str,
    why: str,
    severity: str | None,
    rule_name: str | None,
    sentence: str,
    target: str | None,
    kind: str | None,
    rule_glob: str | None,
    aspect: str | None,
    folders: tuple[Path, ...],
    dry_run: bool,
    as_json: bool,
) -> int:
    """Decide about a finding and say why; with --rule, about everything like it.

    The status (open, fixed, by-design) and the severity of a filed finding are kept in its finding.toml. A rule (by-design,
    wont-fix, duplicate) may be made of any finding, filed or not; by-design goes into the folder as well. A rule that would
    hide another finding that is filed as a bug, or more than 1 % of the executions of a campaign, is refused with 2.
    """
    if not why.strip():
        raise HarnessError("a verdict needs a reason", hint='--why "the sentence it stands on, and who decided"')
    globs = {"target": target, "kind": kind, "rule": rule_glob, "aspect": aspect}
    if rule_name is None:
        if dry_run or sentence or folders or any(value is not None for value in globs.values()):
            raise HarnessError("this is about a rule, and none is asked for", hint="add --rule [NAME]")
        if status not in crashes.STATUSES:
            raise HarnessError(f"{status} is a verdict of a rule", hint="add --rule [NAME]")
        crash = _filed(name)
        _decide(crash, status, why, severity)
        told = {"id": name, "was": crash.status, "status": status, "rule": None, "written": False}
        click.echo(json.dumps(told, indent=1) if as_json else f"{name}: {crash.status} -> {status}")
        return 0
    if status not in verdicts.VERDICTS:
        raise HarnessError(f"no rule says {status}", hint=f"a rule says {', '.join(verdicts.VERDICTS)}")
    campaigns = _chosen(folders)
    found = verdict_proposals.decided(name, campaigns)
    rule = verdict_proposals.draft(found, status, why, name=rule_name, sentence=sentence, globs=globs)
    (matches,) = verdict_proposals.matches([rule], campaigns)
    if not as_json:
        click.echo(_verdict.rule_line(rule))
        for line in _verdict.match_lines(matches):
            click.echo(line)
    verdict_proposals.refuse_too_wide(rule, matches, found.id)
    was = found.crash.status if found.crash else "new"
    if not dry_run:
        if found.crash is not None and (status in crashes.STATUSES or severity):
            _decide(found.crash, status if status in crashes.STATUSES else was, why, severity)
        verdict_proposals.append(rule)
    now = status if found.crash is None or status in crashes.STATUSES else was
    if as_json:
        told = {"id": name, "was": was, "status": now, "written": not dry_run}
        click.echo(json.dumps(told | {"rule": _verdict.as_json(rule, matches, verdicts.place())}, indent=1))
    else:
        click.echo("nothing is written" if dry_run else f"{name}: {was} -> {now}; the rule is in {verdicts.place()}")
    return 0


def _filed(name: str) -> Crash:
    crash = next((one for one in crashes.crashes() if one.id == name), None)
    if crash is None:
        raise HarnessError(
            f"no filed finding is called {name!r}", hint=f"they are the folders of {paths.crashes_dir()}"
        )
    return crash


def _decide(crash: Crash, status: str, why: str, severity: str | None) -> None:
    crashes.write_about(replace(crash, status=status, verdict=why, severity=severity or crash.severity), crash.folder)


@command.command(name="rules", epilog="Example: harness triage rules --campaign build/campaigns/main --strict")
@_campaigns("Where to count matches")
@click.option("--strict", is_flag=True, help="End with 1 when a rule is stale.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def list_rules(folders: tuple[Path, ...], strict: bool, as_json: bool) -> int:
    """List the verdict rules with what each of them matches in crashes/ and in campaigns.

    A rule that matches nothing any more, though a campaign drove its target, is said to be stale: what it was for is
    mended, or is called otherwise now.
    """
    campaigns = _chosen(folders)
    own, packaged = verdicts.own_rules(), verdicts.packaged_rules()
    chosen = own + packaged
    found = verdict_proposals.matches(chosen, campaigns)
    sources = [str(verdicts.place())] * len(own) + ["harness/findings/verdicts.toml"] * len(packaged)
    stale = any(_verdict.stale(rule, one) for rule, one in zip(chosen, found, strict=True))
    if as_json:
        rows = [_verdict.as_json(rule, one, source) for rule, one, source in zip(chosen, found, sources, strict=True)]
        click.echo(json.dumps(rows, indent=1))
        return int(strict and stale)
    click.echo(f"rules: {len(chosen)}; campaigns looked at: {len(campaigns)}")
    for rule, one, source in zip(chosen, found, sources, strict=True):
        for line in _verdict.listed(rule, one, source):
            click.echo(line)
    return int(strict and stale)
