"""A real driver with many simulated hosts, which say again and again what one real unit said.

The driver, its plan, its view, its ledger and its store are real. Dask is not there: its own cost per unit comes on top.
"""

from __future__ import annotations

import dataclasses
import json
import resource
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.bench.runner import Say, seed_dirs
from harness.engine.campaign.main import Campaign, CampaignSettings
from harness.engine.campaign.progress import Progress
from harness.engine.campaign.units import Unit
from harness.engine.cluster import host
from harness.engine.cluster.drive import begin
from harness.engine.cluster.host import Task, UnitTask
from harness.engine.cluster.mirror import Mirror
from harness.engine.cluster.supervisor import ClusterSupervisor
from harness.engine.ui.view import line
from harness.errors import EngineError
from harness.parsers.registry import Parser
from harness.store import records
from harness.store.objects import Objects, open_store

# Seconds between two reports of a host, as real ones have them.
_REPORT_S = 2.0
_RECORDED_S = 10.0


@dataclasses.dataclass(eq=False)
class _Simulated:
    """A unit that ends at a time of the monotonic clock."""

    task: Task
    ends: float
    stored: bool = False

    def done(self) -> bool:
        """Whether its result is stored."""
        return self.stored

    def words(self) -> str:
        """Never needed: each unit has a result."""
        return ""


class SimulatedHosts:
    """``count`` hosts, whose units take ``seconds`` each. They stand in for :class:`harness.engine.cluster.placing.Hosts`."""

    def __init__(self, objects: Objects, recorded: dict[str, Any], count: int, seconds: float) -> None:
        self._objects, self._recorded, self._count, self._seconds = objects, recorded, count, seconds
        #: The report of a running unit: its table of species comes at its end.
        self.report = {name: value for name, value in recorded["report"].items() if name != "species"}
        self._units: list[_Simulated] = []
        self._take: Callable[[dict[str, Any]], object] = lambda _: None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def slots(self) -> int:
        """The number of units at a time."""
        return self._count

    def submit(self, task: Task) -> _Simulated:
        """Begin a unit. The first ones of all hosts end one after another."""
        early = self._seconds * (len(self._units) % self._count) / self._count
        unit = _Simulated(task, time.monotonic() + self._seconds - (early if len(self._units) < self._count else 0))
        self._units.append(unit)
        return unit

    def free(self) -> bool:
        """Whether a host has no unit."""
        return sum(not unit.stored for unit in self._units) < self._count

    def runs(self, placed: _Simulated) -> bool:
        """Whether a unit may still store its result."""
        return not placed.done()

    def cancel(self, placed: list[_Simulated]) -> None:
        """End all units now."""
        for unit in self._units:
            unit.ends = 0.0

    def listen(self, topic: str, take: Callable[[dict[str, Any]], object]) -> None:
        """Send reports to ``take``."""
        self._take = take

    def look(self) -> str:
        """Nothing is ever wrong."""
        return ""

    def close(self) -> None:
        """End all hosts."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        told = 0.0
        while not self._over.wait(0.05):
            now = time.monotonic()
            running = [unit for unit in self._units if not unit.stored]
            for unit in running:
                if now >= unit.ends:
                    records.put_result(self._objects, unit.task.id, self._recorded)
                    unit.stored = True
            if now - told >= _REPORT_S:
                told = now
                for unit in running:
                    self._take({"unit": unit.task.id, "host": "simulated", "report": self.report | {"now": now}})


def record(target: str, parser: Parser) -> dict[str, Any]:
    """The result of one real unit. Raises EngineError where it fails."""
    with tempfile.TemporaryDirectory(prefix="harness-bench-") as folder:
        store = f"{folder}/store"
        unit = dataclasses.asdict(Unit(target, parser.name, 1, seed_dirs(target), seconds=_RECORDED_S))
        task = UnitTask("recorded", store, parser.name, parser.content, "", unit, time.time() + 600)
        (Path(folder) / "slot").mkdir()
        status, words = host.run_in(task, Path(folder) / "slot", lambda: True, lambda _: None)
        found = records.get_result(open_store(store), "recorded")
        if status or found is None:
            raise EngineError(f"the recorded unit ended with {status}: {words}")
    # The inputs are those of one host, the others bring none.
    return found | {"corpus": [], "new": []}


def drive(
    target: str, parser: Parser, count: int, seconds: float, unit_s: float, recorded: dict[str, Any]
) -> dict[str, Any]:
    """Drive ``count`` simulated hosts for ``seconds``. Returns the driver's costs, in all and per unit."""
    with tempfile.TemporaryDirectory(prefix="harness-bench-") as folder:
        objects, theirs = (open_store(f"{folder}/store") for _ in range(2))
        mirror = Mirror(objects, Path(folder) / "campaign", parser, "driver")
        mirror.join((target,))
        settings = CampaignSettings(Path(folder) / "campaign", (target,), parser.name, seconds, workers=count)
        begin(mirror, settings)
        hosts = SimulatedHosts(theirs, recorded, count, unit_s)
        began, at = time.thread_time(), time.monotonic()

        def make(*given: Any, **named: Any) -> ClusterSupervisor:
            nonlocal began, at
            made = ClusterSupervisor(*given, **named).on(hosts, mirror, "unit-simulated")  # type: ignore[arg-type]
            objects.requests.clear()
            began, at = time.thread_time(), time.monotonic()
            return made

        try:
            outcome = Campaign(settings, _shown, make).run()
        finally:
            hosts.close()
        spent, took = time.thread_time() - began, time.monotonic() - at
    units = outcome.session["workers_started"]
    return {
        "hosts": count,
        "units": units,
        "executions": outcome.session["executions"],
        "seconds": round(took, 1),
        "cpu_share": round(spent / took, 4),
        "cpu_ms_per_unit": round(1000 * spent / units, 2),
        "requests_per_unit": {name: round(value / units, 2) for name, value in objects.requests.items()},
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        "report_bytes": len(json.dumps(hosts.report)),
        "result_bytes": len(json.dumps(recorded)),
    }


def _shown(progress: Progress) -> None:
    """Make the line of a view without a terminal."""
    line(progress)


def scale(target: str, parser: Parser, counts: tuple[int, ...], seconds: float, say: Say) -> list[dict[str, Any]]:
    """Drive each number of hosts in ``counts``. Units take a minute."""
    recorded, rows = record(target, parser), []
    for count in counts:
        rows.append(drive(target, parser, count, seconds, 60.0, recorded))
        row = rows[-1]
        say(
            f"  {count} hosts: {100 * row['cpu_share']:.1f} % of a core, {row['cpu_ms_per_unit']} ms per unit, "
            f"requests per unit {row['requests_per_unit']}, {row['peak_mb']} MB"
        )
    return rows
