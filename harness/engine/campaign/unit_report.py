"""The figures of one running unit as JSON, for the view and the ledger of a campaign on another machine.

They are those of one worker, summed over all processes of the unit. Times are those of the host's monotonic clock; ``now`` tells
the reader its difference from the own clock.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.engine.campaign.figures import ledger_entry
from harness.engine.campaign.progress import Progress
from harness.engine.worker import species
from harness.engine.worker.status import Moment, WorkerStatus
from harness.files import write_atomic
from harness.replay import replay

#: The file in a unit's folder.
REPORT = "report.json"
_EVERY_S = 2.0
# Most bytes of a table of species.
_SPECIES = 1 << 26
_NAMES = {"isolated": "forked"}


class Reporter:
    """Writes the report of a unit to ``path`` while it runs. Call it with the progress. ``store`` gives the state of the exchange."""

    def __init__(self, target: str, path: Path, store: Callable[[], Mapping[str, Any]]) -> None:
        self._target, self._path, self._store = target, path, store
        self._written = 0.0
        self._progress: Progress | None = None

    def __call__(self, progress: Progress) -> None:
        """Write the report, unless the last one is young."""
        self._progress = progress
        if time.monotonic() - self._written >= _EVERY_S:
            self._written = time.monotonic()
            write_atomic(self._path, json.dumps(self._report(progress)), durable=False)

    def last(self) -> dict[str, Any]:
        """The report at the end, with the counts of species."""
        if self._progress is None:
            return {}
        counts = self._progress.discovery.counts(self._target).to_bytes()
        return self._report(self._progress) | {"species": base64.b64encode(zlib.compress(counts)).decode()}

    def _report(self, progress: Progress) -> dict[str, Any]:
        state = self._store()
        return {
            "now": time.monotonic(),
            "status": json.loads(status_of(progress, self._target).to_json()),
            "waiting": state["waiting"],
            "lag_seconds": state["lag_seconds"],
            "replay_cpu_seconds": replay.cpu_seconds(),
            "passed_over": progress.passed_over.get(self._target, 0),
            "wheel": progress.wheel,
        }


def status_of(progress: Progress, target: str) -> WorkerStatus:
    """The status of all workers of a target as if they were one, deaths and findings of replays included."""
    figures = progress.targets.get(target)
    points = progress.discovery.summary(target)["curve"]
    moments = [
        Moment(progress.began + point["seconds"], *(point[name] for name in Moment._fields[1:])) for point in points
    ]
    entry = figures.summary() if figures is not None else {}
    names = {name: _NAMES.get(name, name) for name in ledger_entry(WorkerStatus())}
    values = {attribute: entry[name] for name, attribute in names.items() if name in entry}
    last = progress.active[-1].status if progress.active else WorkerStatus()
    return dataclasses.replace(
        WorkerStatus(**values),
        findings=progress.findings,
        moments=moments,
        mutating=target in progress.fuzzed,
        since_exec=progress.elapsed,
        ready_seconds=last.ready_seconds,
    )


def read_status(report: Mapping[str, Any]) -> WorkerStatus:
    """The status in a report of another machine, its moments on the clock of this one. Raises ValueError where it is none."""
    try:
        status = WorkerStatus.from_json(json.dumps(report["status"]).encode())
        if not _sound(status):
            raise TypeError("fields of other types")
        shift = time.monotonic() - float(report["now"])
        return dataclasses.replace(status, moments=[m._replace(clock=m.clock + shift) for m in status.moments])
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise ValueError(f"no report of a unit: {error}") from error


def _sound(status: WorkerStatus) -> bool:
    """Whether all fields have the types of a worker's own."""
    own = WorkerStatus()
    for one in dataclasses.fields(WorkerStatus):
        value, kind = getattr(status, one.name), type(getattr(own, one.name))
        if not _number(value) if kind in (int, float) else type(value) is not kind:
            return False
    found = [
        isinstance(entry, dict)
        and all(isinstance(entry.get(name), str) for name in ("known", "signature"))
        and all(_number(entry.get(name)) for name in ("count", "size"))
        for entry in status.findings.values()
    ]
    return all(found) and all(map(_number, (value for moment in status.moments for value in moment)))


def _number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def read_species(report: Mapping[str, Any]) -> bytes:
    """The table of species in the last report of a unit, b"" without one. Raises ValueError where it is none."""
    try:
        unpack = zlib.decompressobj()
        raw = unpack.decompress(base64.b64decode(report.get("species", "")), _SPECIES)
    except (zlib.error, TypeError) as error:
        raise ValueError(f"no table of species: {error}") from error
    return raw if species.of_bytes(raw) is not None else b""
