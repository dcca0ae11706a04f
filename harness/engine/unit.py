"""Runs one unit of work in a process of its own.

A campaign runs its units in processes of this machine (:mod:`harness.engine.campaign.supervisor`). A scheduler for several
machines gives each of them a unit and a folder:

    python -m harness.engine.unit UNIT.json RESULT.json [FOLDER] [--store URL] [--id ID]

The result names inputs in ``FOLDER/corpus/<target>/<sha1>`` and findings in ``FOLDER/findings/<id>/``. The default of
``FOLDER`` is the folder of the result. With ``--store`` the unit shares inputs, findings and guards with all hosts that name the
same store, and its result is there, too, as ``results/ID.json``. A unit with a result there is not run again.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from harness.engine.campaign import shared_unit
from harness.engine.campaign.main import run_unit
from harness.engine.campaign.units import Unit
from harness.errors import HarnessError
from harness.processes import end_with_parent


def main(arguments: list[str]) -> int:
    """Run the unit in the first file and write its result to the second. Returns the exit status."""
    parser = argparse.ArgumentParser("python -m harness.engine.unit")
    parser.add_argument("unit", type=Path, metavar="UNIT.json")
    parser.add_argument("result", type=Path, metavar="RESULT.json")
    parser.add_argument("folder", type=Path, nargs="?", metavar="FOLDER")
    parser.add_argument("--store", metavar="URL", help="a folder or s3://BUCKET/PREFIX that hosts share")
    parser.add_argument("--id", default="", help="id of the unit in the store")
    parser.add_argument(
        "--patience", type=float, default=shared_unit.PATIENCE_S, help="seconds that a store may be away at the end"
    )
    parser.add_argument("--parent", type=int, metavar="PID", help="end, as after SIGTERM, when this process ends")
    given = parser.parse_args(arguments)
    if given.parent and not end_with_parent(given.parent, signal.SIGTERM):
        return HarnessError.exit_status
    folder = given.folder or given.result.parent
    try:
        unit = Unit.load(given.unit)
        if given.store:
            done = shared_unit.run(unit, folder, given.store, given.id, patience=given.patience, say=say)
        else:
            done = run_unit(unit, folder)
        done.save(given.result)
    except HarnessError as error:
        print(f"error: {error}\nhint: {error.hint}", file=sys.stderr)
        return error.exit_status
    if done.problem:
        print(f"error: {done.problem}", file=sys.stderr)
    return HarnessError.exit_status if done.problem else 0


def say(words: str) -> None:
    """Print the state of the store."""
    print(f"store: {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
