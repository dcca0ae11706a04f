"""``harness triage``: files a campaign's findings into crashes/, and records verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import click

from harness import paths
from harness.cli import _options
from harness.cli._options import shrinking
from harness.errors import HarnessError
from harness.findings import crashes, defects, store, verdicts
from harness.findings.crashes import Crash
from harness.findings.defects import Defect
from harness.findings.severity import SEVERITIES
from harness.findings.verdicts import VerdictRule
from harness.report import record
from harness.targets.known_findings import known
from harness.triage import defect_proposals, filing, verdict_proposals
from harness.triage.defect_proposals import Proposal
from harness.triage.verdict_proposals import Matches

# Findings without a record that are named.
_LISTED = 10
# The last two are for rules alone.
_VERDICTS = tuple(dict.fromkeys((*crashes.STATUSES, *verdicts.VERDICTS)))


@click.group(
    invoke_without_command=True,
    epilog="Example: harness triage --campaign build/campaigns/main   (or: harness triage verdict ID by-design --why TEXT)",
)
@_options.campaign()
@click.option("--no-minimize", is_flag=True, help="File inputs as they were found.")
@_options.as_json("Print the outcome of each finding as JSON.")
@click.pass_context
def command(ctx: click.Context, campaign: Path | None, no_minimize: bool, as_json: bool) -> int | None:
    """File a campaign's new findings into crashes/.

    Each finding is repeated in fresh processes on every build, minimised, described and stored with a reproducer. A finding
    that does not show again is reported and stays in the campaign. A filed one gets proposals for its defect record.
    Exit status 1: a new finding was filed.
    """
    if ctx.invoked_subcommand is not None:
        return None
    folder = store.campaign_at(campaign)
    say = _options.sayer(as_json)
    records = defects.defects()
    rows: list[dict[str, Any]] = []
    done: set[str] = set()
    # The replays of one finding may show another, on the release wheel.
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
        proposals = _proposals(crash, records, say) if crash is not None else []
        rows.append(_row(stored.id, crash, proposals))
    filed = sum(row["outcome"] == "filed" for row in rows)
    if as_json:
        _options.print_json(rows)
        return int(filed > 0)
    click.echo(f"{filed} of {len(done)} findings filed into {paths.home() / 'crashes'}")
    _print_groups()
    return int(filed > 0)


def _row(name: str, crash: Crash | None, proposals: list[Proposal]) -> dict[str, Any]:
    if crash is None:
        return {"id": name, "outcome": "left"}
    told = [{"defect": one.defect.name, "reasons": list(one.reasons)} for one in proposals]
    about = {"folder": str(crash.folder), "size": len(crash.data()), "proposals": told}
    return {"id": crash.id, "outcome": "filed", **about}


def _proposals(crash: Crash, records: list[Defect], say: Callable[[str], None]) -> list[Proposal]:
    """The proposals for a finding that was filed, said with the command that decides."""
    found = defect_proposals.propose(crash, records, crashes.crashes())
    for one in found:
        say(f"  perhaps the defect {one.defect.name} ({one.defect.severity}): {'; '.join(one.reasons)}")
        say(f"    if so: harness triage defect {crash.id} {one.defect.name}")
    if not found:
        say(f"  no defect record fits: write crashes/{defects.FOLDER}/NAME.toml (docs/triage.md)")
    return found


def _print_groups() -> None:
    """Print groups of findings without a record that are probably one defect seen through several entry points."""
    groups: dict[str, list[str]] = {}
    for crash in defects.unclaimed(crashes.crashes(), defects.defects()):
        groups.setdefault(filing.group(crash.signature), []).append(f"{crash.id} ({crash.target})")
    for members in groups.values():
        if len(members) > 1:
            click.echo(f"  probably one defect: {', '.join(members)}")


def _chosen(folders: tuple[Path, ...]) -> list[Path]:
    return [store.campaign_at(folder) for folder in folders] or store.campaigns()


@command.command(
    epilog="Example: harness triage verdict header.padding-1b2c3d4e by-design --why 'Kept for old files' --rule old-padding"
)
@click.argument("name", metavar="ID")
@click.argument("status", type=click.Choice(_VERDICTS))
@click.option("--why", required=True, metavar="TEXT", help="The reason, stored in finding.toml and in the rule.")
@click.option("--severity", type=click.Choice(list(SEVERITIES)), help="Correct the severity, too.")
@click.option(
    "--rule",
    "rule_name",
    is_flag=False,
    flag_value="",
    metavar="[NAME]",
    help="Add a verdict rule to verdicts.toml, for all findings like it. Put this option last, or name the rule.",
)
@click.option(
    "--sentence", default="", metavar="TEXT", help="The text the rule rests on. Default: the finding's sentence."
)
@click.option("--target", metavar="GLOB", help="Targets of the rule. Default: all, if the parser itself is at fault.")
@click.option("--kind", metavar="GLOB", help="Kinds of the rule. Default: the finding's.")
@click.option("--rule-glob", metavar="GLOB", help="Rule names that the rule matches. Default: the finding's.")
@click.option("--aspect", metavar="GLOB", help="Aspects of the rule. Default: the finding's.")
@_options.campaigns("Campaign to match the rule against; may be repeated. Default: all in build/campaigns.")
@click.option("--dry-run", is_flag=True, help="Print the matches of the rule, and write nothing.")
@_options.as_json()
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
    """Record a verdict on a finding; with --rule, on all findings like it.

    A filed finding has its status (open, fixed, by-design, disputed) and severity in its finding.toml. Only a disputed
    record makes a finding disputed. A rule (by-design, wont-fix,
    duplicate) can come from any finding, filed or not. Exit status 2: the rule would hide another finding filed as a bug, or
    more than 1 % of the executions of a campaign.
    """
    if not why.strip():
        raise HarnessError("a verdict needs a reason", hint='--why "the sentence it rests on"')
    globs = {"target": target, "kind": kind, "rule": rule_glob, "aspect": aspect}
    if rule_name is None:
        if dry_run or sentence or folders or any(value is not None for value in globs.values()):
            raise HarnessError("these options need a rule", hint="add --rule [NAME]")
        if status not in crashes.STATUSES:
            raise HarnessError(f"{status} is a verdict of a rule", hint="add --rule [NAME]")
        crash = crashes.named(name)
        owner = _owner(name, status)
        _decide(crash, status, why, severity)
        if as_json:
            told = {"id": name, "was": crash.status, "status": status, "rule": None, "written": False}
            _options.print_json(told | {"defect": owner and owner.name})
            return 0
        click.echo(f"{name}: {crash.status} -> {status}")
        if owner is not None and status == crashes.BY_DESIGN:
            click.echo(f"the defect {owner.name} still names it: take it out of {owner.path}")
        return 0
    if status not in verdicts.VERDICTS:
        raise HarnessError(f"{status} is no verdict of a rule", hint=f"use one of {', '.join(verdicts.VERDICTS)}")
    campaigns = _chosen(folders)
    found = verdict_proposals.decided(name, campaigns)
    rule = verdict_proposals.draft(found, status, why, name=rule_name, sentence=sentence, globs=globs)
    (matches,) = verdict_proposals.matches([rule], campaigns)
    if not as_json:
        click.echo(_rule_line(rule))
        for line in _match_lines(matches):
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
        _options.print_json(told | {"rule": _as_json(rule, matches, verdicts.place())})
    else:
        click.echo("nothing is written" if dry_run else f"{name}: {was} -> {now}; the rule is in {verdicts.place()}")
    return 0


def _owner(name: str, status: str) -> Defect | None:
    """The record that names a finding. Raises HarnessError where it does not quote both sides of a disputed one."""
    owner = defects.owner(name, defects.defects())
    if status == crashes.DISPUTED and (owner is None or not owner.disputed):
        raise HarnessError(
            f"no disputed record names {name}",
            hint="write a record with `disputed = true` that quotes both sides (docs/triage.md)",
        )
    return owner


def _decide(crash: Crash, status: str, why: str, severity: str | None) -> None:
    crashes.write_about(replace(crash, status=status, verdict=why, severity=severity or crash.severity), crash.folder)


@command.command(epilog="Example: harness triage defect metadata-1b2c3d4e duplicate-names")
@click.argument("finding", metavar="ID")
@click.argument("name", metavar="NAME")
@_options.as_json()
def defect(finding: str, name: str, as_json: bool) -> int:
    """Add a filed finding to a defect record, crashes/defects/NAME.toml.

    The rest of the record stays as it is. Exit status 2: there is no such record or finding, or a record names the finding
    already.
    """
    path = defect_proposals.claim(finding, name)
    if as_json:
        _options.print_json({"id": finding, "defect": name, "record": str(path)})
    else:
        click.echo(f"{finding}: now in {path}")
    return 0


@command.command(name="defects", epilog="Example: harness triage defects --json")
@_options.as_json()
def list_defects(as_json: bool) -> int:
    """List the defect records, the worst first, with their findings."""
    records = defects.defects()
    if as_json:
        _options.print_json([record.about(one) for one in records])
        return 0
    click.echo(f"{len(records)} records, {sum(one.counts for one in records)} of them defects of the release")
    for one in records:
        marks = ["disputed"] * one.disputed + ["checked builds only"] * (not one.wheel) + ["fix"] * bool(one.edits)
        click.echo(f"{one.severity:<8}  {one.harm:<18}{one.name}" + (f" ({', '.join(marks)})" if marks else ""))
        click.echo(f"          {one.title}")
        click.echo(f"          {one.places[0]}; since {record.since(one)}; {', '.join(one.findings)}")
    if left := defects.unclaimed(crashes.crashes(), records):
        more = f" and {len(left) - _LISTED} more" if len(left) > _LISTED else ""
        click.echo(f"{len(left)} open findings have no record: {', '.join(one.id for one in left[:_LISTED])}{more}")
    return 0


@command.command(name="rules", epilog="Example: harness triage rules --campaign build/campaigns/main --strict")
@_options.campaigns("Campaign to count matches in; may be repeated. Default: all in build/campaigns.")
@click.option("--strict", is_flag=True, help="Exit status 1 when a rule is stale.")
@_options.as_json()
def list_rules(folders: tuple[Path, ...], strict: bool, as_json: bool) -> int:
    """List the verdict rules with their matches in crashes/ and in campaigns.

    A stale rule matches nothing, although a campaign drove its target: its defect is fixed, or its signature has changed.
    """
    campaigns = _chosen(folders)
    own, packaged = verdicts.own_rules(), verdicts.packaged_rules()
    chosen = own + packaged
    found = verdict_proposals.matches(chosen, campaigns)
    sources = [str(verdicts.place())] * len(own) + ["harness/findings/verdicts.toml"] * len(packaged)
    stale = any(_stale(rule, one) for rule, one in zip(chosen, found, strict=True))
    if as_json:
        _options.print_json([_as_json(*row) for row in zip(chosen, found, sources, strict=True)])
        return int(strict and stale)
    click.echo(f"rules: {len(chosen)}; campaigns looked at: {len(campaigns)}")
    for rule, one, source in zip(chosen, found, sources, strict=True):
        for line in _listed(rule, one, source):
            click.echo(line)
    return int(strict and stale)


def _rule_line(rule: VerdictRule) -> str:
    """A rule in one line."""
    return f"{rule.name}: {rule.verdict}, {rule.target}|{rule.kind}|{rule.rule}|{rule.aspect}"


def _match_lines(found: Matches) -> Iterator[str]:
    """Matches of a rule, as lines."""
    if found.filed:
        yield f"  filed: {', '.join(f'{crash.id} ({crash.status})' for crash in found.filed)}"
    for one in found.met:
        if one.ids:
            share = f", {100 * one.share:.2f} % of executions" if one.executions else ""
            times = "once" if one.count == 1 else f"{one.count:,} times"
            yield f"  in {one.campaign.name}: {', '.join(one.ids)} (seen {times}{share})"
    if found.nothing:
        yield f"  nothing in crashes/ and in {_number(len(found.met))}"


def _number(count: int) -> str:
    return f"{count} campaign" + "s" * (count != 1)


def _listed(rule: VerdictRule, found: Matches, source: str) -> Iterator[str]:
    """A rule with its matches and warnings, as lines."""
    yield f"{_rule_line(rule)}  ({source})"
    if _stale(rule, found):
        yield f"  STALE: it matches nothing in crashes/ and in {_number(len(found.met))}"
    elif found.nothing:
        yield "  not tried: it matches nothing in crashes/, and no campaign drove its target"
    else:
        yield from _match_lines(found)
    if bugs := _contradicted(rule, found):
        yield f"  TOO WIDE: it covers {', '.join(bugs)}, filed as bugs"
    if (most := found.too_wide()) is not None:
        yield f"  TOO WIDE: it covers {100 * most.share:.1f} % of the executions of {most.campaign.name}"


def _contradicted(rule: VerdictRule, found: Matches) -> list[str]:
    """Ids of filed bugs that the rule calls by-design; a duplicate or a wont-fix may be a bug."""
    return found.bugs() if rule.verdict == crashes.BY_DESIGN else []


def _drove(rule: VerdictRule, found: Matches) -> bool:
    """Whether one of the campaigns drove a target of the rule."""
    return any(fnmatchcase(target, rule.target) for one in found.met for target in one.targets)


def _stale(rule: VerdictRule, found: Matches) -> bool:
    """Whether a rule matches nothing although a campaign drove its target."""
    return found.nothing and _drove(rule, found)


def _as_json(rule: VerdictRule, found: Matches, source: Path | str) -> dict[str, Any]:
    """A rule and its matches, as plain types."""
    return {
        **asdict(rule),
        "source": str(source),
        "filed": [{"id": crash.id, "status": crash.status} for crash in found.filed],
        "campaigns": [
            {"campaign": str(one.campaign), "findings": list(one.ids)}
            | {"count": one.count, "executions": one.executions, "share": round(one.share, 6)}
            for one in found.met
        ],
        "matched": len(found.filed) + len({name for one in found.met for name in one.ids}),
        "stale": _stale(rule, found),
        "driven": _drove(rule, found),
        "bugs": _contradicted(rule, found),
        "too_wide": found.too_wide() is not None,
    }


@command.command(epilog="Example: harness triage rewrite raise-bb43e5ed   (without an ID: all)")
@click.argument("names", metavar="[ID]...", nargs=-1)
@_options.as_json()
def rewrite(names: tuple[str, ...], as_json: bool) -> int:
    """Write reproducers of filed findings anew, after a change of their summary or of the harness.

    A script with the line "# By hand." stays as it is.
    """
    filed = {crash.id: crash for crash in crashes.crashes()}
    if unknown := set(names) - filed.keys():
        raise HarnessError(
            f"no filed finding is called {min(unknown)!r}", hint="the folders of crashes/ are their names"
        )
    rows = {name: filing.rewrite(filed[name]) for name in names or filed}
    if as_json:
        _options.print_json([{"id": name, "rewritten": written} for name, written in rows.items()])
    else:
        click.echo(
            f"{sum(rows.values())} reproducers written, {len(rows) - sum(rows.values())} left as written by hand"
        )
    return 0
