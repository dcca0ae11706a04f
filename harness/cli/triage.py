"""``harness triage``: from a campaign's findings to folders in crashes/, and verdicts on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from harness import paths
from harness.cli._progress import shrinking
from harness.errors import HarnessError
from harness.triage import crashes, filing, store
from harness.triage.severity import SEVERITIES
from harness.triage.store import known


@click.group(
    invoke_without_command=True,
    epilog="Example: harness triage --campaign build/campaigns/main   (or: harness triage verdict ID by-design --why TEXT)",
)
@click.option("--campaign", type=click.Path(path_type=Path), metavar="DIR", help="Default: the latest campaign.")
@click.option("--no-minimize", is_flag=True, help="File inputs as they were found.")
@click.pass_context
def command(ctx: click.Context, campaign: Path | None, no_minimize: bool) -> int | None:
    """File a campaign's new findings into crashes/.

    Each is repeated in fresh processes on every build, minimised, described and stored with a reproducer of its own.
    One that does not show again is reported and left where it is. Ends with 1 when something new was filed, else with 0.
    """
    if ctx.invoked_subcommand is not None:
        return None
    folder = store.campaign_at(campaign)
    filed = 0
    done: set[str] = set()
    # Filing one may show another, on the release wheel.
    while waiting := [stored for stored in store.findings(folder) if stored.id not in done]:
        stored = waiting[0]
        done.add(stored.id)
        covered = known(stored.signature)
        if covered is not None:
            click.echo(f"{stored.id}: known ({covered})")
            continue
        with shrinking(stored.id) as progress:
            crash = filing.file_finding(stored, folder, shrink=not no_minimize, say=click.echo, progress=progress)
        filed += crash is not None
    click.echo(f"{filed} of {len(done)} findings filed into {paths.home() / 'crashes'}")
    _print_groups()
    return int(filed > 0)


def _print_groups() -> None:
    """Which of the filed findings are probably one defect seen through several entry points."""
    groups: dict[str, list[str]] = {}
    for crash in crashes.crashes():
        groups.setdefault(filing.group(crash.signature), []).append(f"{crash.id} ({crash.target})")
    for members in groups.values():
        if len(members) > 1:
            click.echo(f"  probably one defect: {', '.join(members)}")


@command.command(epilog="Example: harness triage verdict header.padding-1b2c3d4e by-design --why 'Kept for old files'")
@click.argument("name", metavar="ID")
@click.argument("status", type=click.Choice(crashes.STATUSES))
@click.option("--why", required=True, metavar="TEXT", help="The reason; it is kept in finding.toml.")
@click.option("--severity", type=click.Choice(list(SEVERITIES)), help="How bad it is, where the first guess was wrong.")
def verdict(name: str, status: str, why: str, severity: str | None) -> int:
    """Set the status of a filed finding, and how bad it is, and say why."""
    if not why.strip():
        raise HarnessError("a verdict needs a reason", hint='--why "the sentence it stands on, and who decided"')
    crash = next((one for one in crashes.crashes() if one.id == name), None)
    if crash is None:
        raise HarnessError(
            f"no filed finding is called {name!r}", hint=f"they are the folders of {paths.crashes_dir()}"
        )
    crashes.write_about(replace(crash, status=status, verdict=why, severity=severity or crash.severity), crash.folder)
    click.echo(f"{name}: {crash.status} -> {status}")
    return 0
