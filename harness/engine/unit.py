"""Runs one unit of work in a process of its own.

A campaign runs its units in processes of this machine (:mod:`harness.engine.campaign.supervisor`). A scheduler for several
machines gives each of them a unit and a folder. Later it collects the result with its inputs and findings:

    python -m harness.engine.unit UNIT.json RESULT.json [FOLDER]

The result names inputs in ``FOLDER/corpus/<target>/<sha1>`` and findings in ``FOLDER/findings/<id>/``. The default of
``FOLDER`` is the folder of the result.
"""

from __future__ import annotations

import sys
from pathlib import Path

from harness.engine.campaign.main import run_unit
from harness.engine.campaign.units import Unit
from harness.errors import HarnessError


def main(arguments: list[str]) -> int:
    """Run the unit in the first file and write its result to the second. Returns the exit status."""
    if len(arguments) not in (2, 3):
        print("usage: python -m harness.engine.unit UNIT.json RESULT.json [FOLDER]", file=sys.stderr)
        return HarnessError.exit_status
    result = Path(arguments[1])
    try:
        done = run_unit(Unit.load(Path(arguments[0])), Path(arguments[2]) if len(arguments) == 3 else result.parent)
        done.save(result)
    except HarnessError as error:
        print(f"error: {error}\nhint: {error.hint}", file=sys.stderr)
        return error.exit_status
    if done.problem:
        print(f"error: {done.problem}", file=sys.stderr)
    return HarnessError.exit_status if done.problem else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
