"""A target of a third party, found through its entry point: it reads files like deserialize, and some kill it."""

from __future__ import annotations

import os
import signal
from types import ModuleType
from typing import Any

from harness.observation import Observation, Reading, Run
from harness.targets.deserialize import Deserialize


class Deadly(Deserialize):
    name = "deadly"
    description = "deserialize that dies of one word"

    def open(self, safetensors: ModuleType | None) -> Run:
        run = super().open(safetensors)

        def deadly(data: bytes) -> Observation:
            if b"F8_E8M0" in data:
                os.kill(os.getpid(), signal.SIGKILL if b"KILL" in data else signal.SIGABRT)
            return run(data)

        return deadly

    def reading(self, value: Any) -> Reading:
        return super().reading(value)


target = Deadly()
