"""Decides which inputs of a worker run in the fork server."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from harness.engine.worker.fork_server import AGE, ForkServer
from harness.engine.worker.native import NativeCounters
from harness.engine.worker.session import Session
from harness.engine.worker.settings import WorkerSettings
from harness.engine.worker.slot import Slot
from harness.findings import store
from harness.observation import Run
from harness.parsers.registry import Parser
from harness.programs import progress
from harness.targets.base import Target


def hazards(target: Target, *, everything: bool | None = None) -> Callable[[bytes], str] | None:
    """A function that names the hazard of an input, "" where none is known. None where no input runs in the fork server.

    ``everything`` overrides the target: all inputs run there, or none.
    """
    if everything is False:
        return None
    return target.foresees() or ((lambda _: "") if everything or target.runs_in_fork_server else None)


class ForkRouter:
    """Sends inputs that may kill the process to a fork server. ``everything``: all inputs go there.

    Make it before the target is opened: it tells the target where to count its calls.
    """

    def __init__(self, settings: WorkerSettings, target: Target, parser: Parser, slot: Slot) -> None:
        self._settings = settings
        self._hazard = hazards(target, everything=settings.fork_server)
        self.everything = bool(self._hazard) and bool(settings.fork_server or target.runs_in_fork_server)
        self._server: ForkServer | None = None
        progress.use(slot.cell)
        if self._hazard is not None:
            counters = NativeCounters(target.instrumented(parser)) if target.uses_parser else None
            # A run of N executions repeats, so no clock ends its children.
            age = inf if settings.runs else AGE
            self._server = ForkServer(target, counters, slot, settings.memory, age=age, patience=settings.patience)

    def opened(self, run: Run) -> None:
        """Tell the fork server the ``run`` of the opened target."""
        if self._server is not None:
            self._server.open(run)

    def cpu_seconds(self) -> float:
        """CPU seconds of the fork server's processes."""
        return self._server.cpu_seconds() if self._server is not None else 0.0

    def wrap(self, session: Session, execute: Callable[[bytes], None]) -> Callable[[bytes], None]:
        """``execute``, but inputs that may kill the process go to the fork server."""
        server, hazard_of = self._server, self._hazard
        if server is None or hazard_of is None:
            return execute
        server.prepare()
        run_forked, tally, every = session.run_forked, session.tally, self.everything

        def keep_report() -> None:
            """Store the sanitizer's report on the child's death with the finding."""
            if server.report and session.latest is not None:
                store.set_report(self._settings.campaign, session.latest.id, server.report)
                server.report = ""

        def route(data: bytes) -> None:
            if session.over:
                return
            hazard = hazard_of(data)
            if not hazard and not every:
                execute(data)
            elif server.wanted(data, hazard):
                run_forked(data, lambda given: server(given, hazard), keep_report)
            else:
                tally.guarded += 1

        return route
