"""Targets of a third party, found through their entry points: they read files like deserialize, until one word comes."""

from __future__ import annotations

import os
import signal
from types import ModuleType

from harness.finding import Finding
from harness.observation import Observation, Run
from harness.targets.deserialize import Deserialize

WORD = b"F8_E8M0"


class Deadly(Deserialize):
    """Dies of the word."""

    name = "deadly"
    description = "deserialize that dies of one word"

    def open(self, safetensors: ModuleType | None) -> Run:
        run = super().open(safetensors)

        def deadly(data: bytes) -> Observation:
            if WORD in data:
                os.kill(os.getpid(), signal.SIGABRT)
            return run(data)

        return deadly


class Broken(Deserialize):
    """Brings an oracle that fails on the word: a defect of the harness, not of the parser."""

    name = "broken"
    description = "deserialize with a broken oracle"

    def check(self, data: bytes, observation: Observation) -> list[Finding]:
        if WORD in data:
            raise ZeroDivisionError("the oracle is broken")
        return []


deadly = Deadly()
broken = Broken()
