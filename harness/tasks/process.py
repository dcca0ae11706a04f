"""Does one task on a store in a process of its own, as hosts run it.

    python -m harness.tasks.process KIND WHAT --store URL --id ID --parser NAME --campaign HASH

``WHAT`` is a target, or the id of a finding. The result goes to the store as ``results/ID.json``. A task with a result there is
not done again. Exit status: 0, or that of the error.
"""

from __future__ import annotations

import argparse
import signal
import socket
import sys

from harness.errors import HarnessError
from harness.parsers import registry
from harness.processes import end_with_parent
from harness.store import records
from harness.store.objects import open_store
from harness.tasks.kinds import KINDS, Place


def main(arguments: list[str]) -> int:
    """Do the task. Returns the exit status."""
    parser = argparse.ArgumentParser("python -m harness.tasks.process")
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("what", metavar="WHAT", help="a target, or the id of a finding")
    for name in ("--store", "--id", "--parser", "--campaign"):
        parser.add_argument(name, required=True)
    parser.add_argument("--parent", type=int, metavar="PID", help="end, as after SIGTERM, when this process ends")
    given = parser.parse_args(arguments)
    # With all that is left to tidy up: child processes and temporary folders.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    if given.parent and not end_with_parent(given.parent, signal.SIGTERM):
        return HarnessError.exit_status
    try:
        objects = open_store(given.store)
        if records.get_result(objects, given.id) is None:
            place = Place(objects, registry.find(given.parser), given.campaign, socket.gethostname())
            records.put_result(objects, given.id, KINDS[given.kind](place, given.what))
    except HarnessError as error:
        print(f"{error}" + (f" ({error.hint})" if error.hint else ""), file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
