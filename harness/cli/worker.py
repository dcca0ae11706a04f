"""``harness worker``: take units of a campaign on this machine."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from harness import paths
from harness.cli import _options


@click.command(epilog="Example: harness worker tcp://10.0.0.1:8786 --store s3://fuzz/night --workers 8")
@click.argument("address")
@click.option("--store", required=True, metavar="URL", help="Folder or s3://BUCKET/PREFIX of the campaign.")
@click.option("--workers", type=click.IntRange(1, 256), help="Units at a time. Default: one per core.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="Folder of this host. Keep it: results that did not reach the store are there. Default: build/host.",
)
@_options.as_json("Print each change of the state as a JSON object in a line.")
def command(address: str, store: str, workers: int | None, folder: Path | None, as_json: bool) -> None:
    """Run units of `harness fuzz --cluster ADDRESS` on this machine, until a signal ends it.

    Credentials of the store come from the environment (AWS_*). A lost scheduler may come back within two minutes.
    """
    from harness.engine.cluster import worker

    place = (folder or paths.build_dir() / "host").resolve()
    cores = len(os.sched_getaffinity(0))

    def say(text: str) -> None:
        click.echo(json.dumps({"scheduler": address, "state": text}) if as_json else text, err=not as_json)

    worker.serve(address, store, place, workers or cores, say)
