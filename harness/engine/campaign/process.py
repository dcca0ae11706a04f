"""One worker process, as its supervisor sees it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.engine.campaign.campaign_corpus import CampaignCorpus, CorpusSync
from harness.engine.worker import memory, slot, status
from harness.engine.worker.libfuzzer_log import Figures, LibFuzzerLog
from harness.engine.worker.opening import is_open
from harness.engine.worker.settings import WorkerSettings
from harness.engine.worker.status import WorkerStatus
from harness.errors import EngineError, HarnessError
from harness.parsers import registry, runtime
from harness.processes import fixed_addresses, signal_name
from harness.programs import guarded
from harness.targets import scratch
from harness.targets.registry import get_target

# libFuzzer's own exit statuses (FuzzerFlags.def): a timeout, memory, a deadly signal it caught.
_LIBFUZZER = {70: "hang", 71: "memory", 77: "crash"}
#: The file in a campaign's log folder with the inputs that left its corpus, replaced by smaller ones.
REPLACED = "replaced.txt"


class WorkerProcess:
    """Starts one worker, reads its status, keeps its corpus in step, and tells its exit reason."""

    def __init__(self, settings: WorkerSettings, corpus: CampaignCorpus | None = None) -> None:
        """Start it. ``corpus`` is its target's corpus in the campaign's folder."""
        self.settings = settings
        self.target = get_target(settings.target)
        self.started = time.monotonic()
        self.status = WorkerStatus()
        #: Time of the last new input in its corpus, on the monotonic clock.
        self.last_new = self.started
        self._log = LibFuzzerLog(settings.log)
        self._status_at = 0
        self._alive = self.started
        self._status_file = str(settings.memory / status.FILE)
        self._open = False
        self._edges = 0
        replaced = settings.campaign / "log" / REPLACED
        self.corpus_sync = CorpusSync(settings.memory, corpus or CampaignCorpus(self._corpus), replaced)
        self._newest = ""
        path = settings.memory / "settings.json"
        settings.save(path)
        environment = os.environ | {
            scratch.VARIABLE: str(settings.memory),
            "PYTHONHASHSEED": "0",
            "RUST_BACKTRACE": "0",
            "PYTHONUNBUFFERED": "1",
            **guarded.environment(),
        }
        if self.target.uses_parser:
            # AddressSanitizer needs its libraries first in the process.
            environment |= runtime.environment(registry.find(settings.parser), mutator=True)
        # A program that reads freed memory can only be repeated where that memory is at the same address.
        with settings.log.open("ab") as log, fixed_addresses() if settings.runs else contextlib.nullcontext():
            self._process = subprocess.Popen(
                [sys.executable, "-m", "harness.engine.worker.main", str(path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                # In a group of its own: Ctrl-C reaches the supervisor alone, which then asks the workers to finish.
                start_new_session=True,
            )

    def poll(self) -> int | None:
        """The exit status, or None while it runs. Reads status and log either way."""
        code = self._process.poll()
        with contextlib.suppress(OSError, ValueError):
            written = os.stat(self._status_file).st_mtime_ns
            if written != self._status_at:
                with open(self._status_file, "rb") as file:
                    before, self.status = self.status, WorkerStatus.from_json(file.read())
                self._status_at, self._alive = written, time.monotonic()
                if self.status.corpus > before.corpus:
                    self.last_new = self._alive
                self._log.read()
        if code is not None:
            self._log.read()
        if code:
            # A status is up to a second old. The next worker runs the rest, which must not depend on that.
            executions = slot.execution(self.settings.memory / "slot", self.status.executions)
            self.status = replace(self.status, executions=executions)
        return code

    @property
    def engine(self) -> Figures:
        """LibFuzzer's last figures."""
        return self._log.figures

    @property
    def seeded(self) -> Figures | None:
        """LibFuzzer's figures once the seeds had run; None before."""
        return self._log.seeded

    def sync(self, *, ended: bool = False) -> dict[str, bytes]:
        """Copy new inputs to the campaign's folder; returns them by name. ``ended``: the worker finished cleanly."""
        moments = self.status.moments
        if moments and not self._edges:
            self.corpus_sync.start_with(moments[0].edges)
        self._edges = moments[-1].edges if moments else 0
        fresh = self.corpus_sync.sync(self._edges, self._status_at, last=self._process.returncode is not None)
        if ended:
            self.corpus_sync.sync(self._edges, self._status_at)
        self._newest = max(fresh, default=self._newest)
        return fresh

    @property
    def _corpus(self) -> Path:
        return self.settings.campaign / "corpus" / self.settings.target

    def newest(self) -> bytes | None:
        """One of the newest inputs, once each; None where there is none, or libFuzzer has replaced it."""
        name, self._newest = self._newest, ""
        try:
            return (self._corpus / name).read_bytes() if name else None
        except OSError:
            return None

    def ask_to_stop(self) -> None:
        """Ask it to finish cleanly."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it now."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def failure(self, code: int) -> HarnessError | None:
        """The error that the worker reported (set-up, start-up check, a full disk), if it ended with ``code`` for one."""
        try:
            found = json.loads((self.settings.memory / memory.FAILURE).read_text())
        except (OSError, ValueError):
            if code not in (HarnessError.exit_status, EngineError.exit_status):
                return None
            # The worker had no room for its report.
            place = self.settings.memory
            found = {"problem": f"cannot write {place}: no memory left", "hint": f"free some room in {place.parent}"}
        kind = EngineError if code == EngineError.exit_status else HarnessError
        return kind(found["problem"], found["hint"] or "run `harness doctor`")

    def death(self, code: int) -> tuple[str, str]:
        """Kind (crash, hang, memory) and words of a death with exit status ``code``."""
        if code < 0:
            name = signal_name(-code)
            return ("memory" if name == "SIGKILL" else "crash"), name
        return _LIBFUZZER.get(code, "crash"), f"exit status {code}"

    def late(self) -> bool:
        """Whether it takes too long to open its target."""
        return not self.opened() and time.monotonic() - self.started > self.target.start_s

    def silent_s(self) -> float:
        """Seconds since its last status; 0 before it has opened its target."""
        if not self.opened():
            self._alive = time.monotonic()
        return time.monotonic() - self._alive

    def opened(self) -> bool:
        """Whether it has opened its target."""
        self._open = self._open or is_open(self.settings.memory)
        return self._open

    def bloat_mb(self) -> int:
        """Resident memory in MB beyond a bound: the first value plus half of the rest that its target allows."""
        history = self.status.rss_history
        if not history:
            return 0
        first = int(history[0][1])
        bound = first + max(self.target.memory_mb - first, 0) // 2
        return max(self.status.rss_mb - bound, 0)

    def last_input(self) -> tuple[bytes | None, int]:
        """The last input and the number of its last call, from shared memory."""
        return slot.read(self.settings.memory / "slot")

    def log_tail(self, lines: int = 15) -> str:
        """The end of the worker's log, for an error message."""
        try:
            text = self.settings.log.read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def clear(self) -> None:
        """Remove the memory folder."""
        memory.remove(self.settings.memory)


def new_settings(**values: Any) -> WorkerSettings:
    """Settings with a new memory folder and a new log."""
    campaign: Path = values["campaign"]
    folder = memory.create(campaign, values["target"])
    logs = campaign / "log"
    logs.mkdir(parents=True, exist_ok=True)
    number = len(list(logs.glob(f"{values['target']}-*.log")))
    return WorkerSettings(memory=folder, log=logs / f"{values['target']}-{number:03d}.log", **values)
