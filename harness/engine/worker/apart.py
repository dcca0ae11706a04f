"""Which inputs of a worker run in the forked child, and what becomes of what they show."""

from __future__ import annotations

from collections.abc import Callable

from harness.engine.worker.fork_server import Isolation, chooser
from harness.engine.worker.native import NativeCounters
from harness.engine.worker.session import Session
from harness.engine.worker.settings import WorkerSettings
from harness.engine.worker.slot import Slot
from harness.findings import store
from harness.observation import Run
from harness.parsers.registry import Parser
from harness.programs import progress
from harness.targets.base import Target


class Apart:
    """Made before the target is opened: it says where the target counts its calls. ``everything``: all inputs run apart."""

    def __init__(self, settings: WorkerSettings, target: Target, parser: Parser, slot: Slot) -> None:
        self._settings = settings
        self._hazard = chooser(target, everything=settings.isolated)
        self.everything = bool(self._hazard) and bool(settings.isolated or target.runs_in_fork_server)
        self._isolation: Isolation | None = None
        progress.use(slot.cell)
        if self._hazard is not None:
            counters = NativeCounters(parser.module) if target.uses_parser else None
            self._isolation = Isolation(target, counters, slot, settings.memory)

    def opened(self, run: Run) -> None:
        """The target was opened as ``run``."""
        if self._isolation is not None:
            self._isolation.open(run)

    def wrap(self, session: Session, execute: Callable[[bytes], None]) -> Callable[[bytes], None]:
        """``execute``, with those inputs that may kill the process run in a child instead."""
        isolation, hazard_of = self._isolation, self._hazard
        if isolation is None or hazard_of is None:
            return execute
        apart, tally, every = session.apart, session.tally, self.everything

        def keep_report() -> None:
            """Put what the sanitizer said of the child's death beside the finding."""
            if isolation.report and session.latest is not None:
                store.set_report(self._settings.campaign, session.latest.id, isolation.report)
                isolation.report = ""

        def choose(data: bytes) -> None:
            if session.over:
                return
            hazard = hazard_of(data)
            if not hazard and not every:
                execute(data)
            elif isolation.wanted(data, hazard):
                apart(data, lambda given: isolation(given, hazard), keep_report)
            else:
                tally.guarded += 1

        return choose
