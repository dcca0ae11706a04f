"""Drives a campaign whose units run on the hosts of a Dask cluster, and whose corpus and findings are in a store."""

from __future__ import annotations

import dataclasses
import os
import secrets
import socket
from collections.abc import Callable

from harness.engine.campaign import folder
from harness.engine.campaign.main import Campaign, CampaignSettings, Outcome
from harness.engine.campaign.progress import Progress
from harness.engine.cluster import placing
from harness.engine.cluster.host import FOLDER
from harness.engine.cluster.mirror import Mirror
from harness.engine.cluster.placing import needs_dask, shared_address
from harness.engine.cluster.supervisor import ClusterSupervisor
from harness.errors import HarnessError
from harness.parsers import registry
from harness.store.objects import open_store
from harness.targets.registry import get_target


def run(
    settings: CampaignSettings,
    view: Callable[[Progress], None],
    cluster: str,
    store: str,
    say: Callable[[str], object],
) -> Outcome:
    """Run a campaign on ``cluster``, an address or ``local:N``, with the store at the address ``store``.

    The folder of the settings mirrors the store. ``say`` gets warnings. Raises HarnessError: no scheduler, no host that can run
    units, a store that cannot be used or that belongs to another campaign.
    """
    needs_dask()
    if settings.fresh:
        raise HarnessError("a store cannot be started over", hint="name an empty prefix as --store in place of --fresh")
    store = shared_address(store)
    parser = registry.find(settings.parser)
    mirror = Mirror(open_store(store), settings.folder, parser, socket.gethostname())
    mirror.join(settings.targets)
    # Hosts of this machine have their folders beside the campaign's.
    os.environ.setdefault(FOLDER, str(settings.folder / "hosts"))
    with placing.hosts(cluster, settings.workers, parser.content, store, say) as hosts:
        begin(mirror, settings)
        settings = dataclasses.replace(settings, workers=hosts.slots())
        outcome = Campaign(settings, view, lambda *given, **named: ClusterSupervisor(*given, **named).on(
            hosts, mirror, f"unit-{secrets.token_hex(4)}")).run()  # fmt: skip
        mirror.sessions()
    return outcome


def begin(mirror: Mirror, settings: CampaignSettings) -> None:
    """Store parser and seeds, and get what the store has, before the time of the campaign begins. Raises HarnessError."""
    with folder.locked(settings.folder):
        mirror.sessions()
        seeds = {}
        for name in settings.targets:
            seeds[name] = folder.seed_dirs(settings.folder, name, empty=settings.empty)
            folder.seeds(seeds[name], name, own=get_target(name).seeds(), empty=settings.empty)
        mirror.begin(seeds)
