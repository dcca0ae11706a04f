"""One worker process as its supervisor sees it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from harness.engine.campaign.campaign_corpus import Kept, Mirror
from harness.engine.worker import memory, slot
from harness.engine.worker.libfuzzer_log import EDGES, Pulse
from harness.engine.worker.opening import is_open
from harness.engine.worker.settings import WorkerSettings
from harness.errors import EngineError, HarnessError
from harness.parsers import registry, runtime
from harness.targets import scratch
from harness.targets.registry import get_target

# libFuzzer's own exit statuses (FuzzerFlags.def): a timeout, memory, a deadly signal it caught.
_LIBFUZZER = {70: "hang", 71: "memory", 77: "crash"}
REPLACED = "replaced.txt"
"""In a campaign's folder of logs: the inputs that left its corpus because a smaller one does the same."""


class WorkerProcess:
    """Starts one worker, reads its status, keeps its corpus in step, and says how it ended."""

    def __init__(self, settings: WorkerSettings, kept: Kept | None = None) -> None:
        """Start it. ``kept`` is its target's corpus in the campaign's folder."""
        self.settings = settings
        self.target = get_target(settings.target)
        self.started = time.monotonic()
        self.status: dict[str, Any] = {}
        self._pulse = Pulse(settings.log)
        self.engine = self._pulse.figures
        #: The same once the seeds had run.
        self.seeded = self._pulse.seeded
        self._status_at = 0
        self._alive = self.started
        self._status_file = str(settings.memory / "status.json")
        self._open = False
        self._edges = 0
        kept = kept or Kept(self._corpus)
        self.mirror = Mirror(settings.memory, kept, settings.campaign / "log" / REPLACED)
        self._newest = ""
        path = settings.memory / "settings.json"
        settings.save(path)
        environment = os.environ | {
            scratch.VARIABLE: str(settings.memory),
            "PYTHONHASHSEED": "0",
            "RUST_BACKTRACE": "0",
            "PYTHONUNBUFFERED": "1",
        }
        if self.target.uses_parser:
            # AddressSanitizer wants its libraries first in the process.
            environment |= runtime.environment(registry.find(settings.parser), mutator=True)
        with settings.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "harness.engine.worker.main", str(path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                # Its own group: Ctrl-C reaches the supervisor alone, which then asks the workers to finish.
                start_new_session=True,
            )

    def poll(self) -> int | None:
        """The exit status once it ended; refreshes status and engine figures either way."""
        code = self._process.poll()
        with contextlib.suppress(OSError, ValueError):
            written = os.stat(self._status_file).st_mtime_ns
            if written != self._status_at:
                with open(self._status_file, "rb") as file:
                    self.status = json.loads(file.read())
                self._status_at, self._alive = written, time.monotonic()
                self._pulse.read()
        if code is not None:
            self._pulse.read()
        return code

    def sync(self, *, ended: bool = False) -> dict[str, bytes]:
        """Copy new corpus members to the campaign's folder; they are returned. ``ended``: it finished as it should."""
        moments = self.status.get("moments")
        if moments and not self._edges:
            self.mirror.knows(moments[0][EDGES])
        self._edges = moments[-1][EDGES] if moments else 0
        fresh = self.mirror.sync(self._edges, self._status_at, last=self._process.returncode is not None)
        if ended:
            self.mirror.sync(self._edges, self._status_at)
        self._newest = max(fresh, default=self._newest)
        return fresh

    @property
    def _corpus(self) -> Path:
        return self.settings.campaign / "corpus" / self.settings.target

    def newest(self) -> bytes | None:
        """One of the members that came last, once; None where there is none, or libFuzzer has replaced it."""
        name, self._newest = self._newest, ""
        try:
            return (self._corpus / name).read_bytes() if name else None
        except OSError:
            return None

    def ask_to_stop(self) -> None:
        """Let it finish cleanly."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it now."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def failure(self, code: int) -> dict[str, Any] | None:
        """What the worker itself said was wrong (set-up, start-up check, a full disk) when it ended with ``code``."""
        try:
            problem: dict[str, Any] = json.loads((self.settings.memory / "failure.json").read_text())
        except (OSError, ValueError):
            if code not in (HarnessError.exit_status, EngineError.exit_status):
                return None
            # Its own decision to end, and no room to say why.
            problem = {"problem": f"cannot write {self.settings.memory}: no memory left", "status": code}
            problem["hint"] = f"free some room in {self.settings.memory.parent}"
        return problem

    def death(self, code: int) -> tuple[str, str]:
        """Kind (crash, hang, memory) and words for an end that was not the worker's own."""
        if code < 0:
            name = signal.Signals(-code).name
            return ("memory" if name == "SIGKILL" else "crash"), name
        return _LIBFUZZER.get(code, "crash"), f"exit status {code}"

    def late(self) -> bool:
        """Whether it should have opened its target by now and has not."""
        return not self.opened() and time.monotonic() - self.started > self.target.start_s

    def silent_s(self) -> float:
        """Seconds since it opened its target or last showed a sign of life; 0 before."""
        if not self.opened():
            self._alive = time.monotonic()
        return time.monotonic() - self._alive

    def opened(self) -> bool:
        """Whether it has opened its target."""
        self._open = self._open or is_open(self.settings.memory)
        return self._open

    def bloat_mb(self) -> int:
        """Resident memory in MB beyond the bound: half of what its target allows over what it held at first."""
        history = self.status.get("rss_history")
        if not history:
            return 0
        first = int(history[0][1])
        bound = first + max(self.target.memory_mb - first, 0) // 2
        return max(int(self.status["rss_mb"]) - bound, 0)

    def last_input(self) -> bytes | None:
        """The input that was running, from shared memory."""
        return slot.read_slot(self.settings.memory / "slot")

    def last_call(self) -> int:
        """The number of the call that its program was at."""
        return slot.read(self.settings.memory / "slot")[1]

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
    """Settings with a fresh memory folder and a log of their own."""
    campaign: Path = values["campaign"]
    folder = memory.create(campaign, values["target"])
    logs = campaign / "log"
    logs.mkdir(parents=True, exist_ok=True)
    number = len(list(logs.glob(f"{values['target']}-*.log")))
    return WorkerSettings(memory=folder, log=logs / f"{values['target']}-{number:03d}.log", **values)
