"""Targets of a third party, found through their entry points: they read files like deserialize, until one word comes."""

from __future__ import annotations

import itertools
import os
import signal
import time
from types import ModuleType

from harness.findings.finding import Finding
from harness.findings.rule import Rule
from harness.findings.severity import WRONG_DATA
from harness.observation import REJECT, Observation, Run
from harness.oracles.oracle import Execution, oracle
from harness.targets.files.deserialize import Deserialize
from harness.targets.slices.target import Slices

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


BROKEN = Rule("broken", "broken", "differential", WRONG_DATA, title="Never reported", why="The oracle fails before.")


@oracle(BROKEN)
def fail(execution: Execution) -> list[Finding]:
    """Fails on the word."""
    if WORD in execution.data:
        raise ZeroDivisionError("the oracle is broken")
    return []


class Broken(Deserialize):
    """Brings an oracle that fails on the word: a defect of the harness, not of the parser."""

    name = "broken"
    description = "deserialize with a broken oracle"

    oracles = (fail,)


class Unopened(Deserialize):
    """Says that something is missing when it is opened."""

    name = "unopened"

    def open(self, safetensors: ModuleType | None) -> Run:
        raise OSError("libcudart.so.13: cannot open shared object file")


class Hanging(Deserialize):
    """Never opens."""

    name = "hanging"
    start_s = 3

    def open(self, safetensors: ModuleType | None) -> Run:
        time.sleep(3600)
        raise AssertionError


class Slow(Hanging):
    """Loads for ever, and is let."""

    name = "slow"
    start_s = 3600


class Nonsense(Deserialize):
    """Gives something that is no observation."""

    name = "nonsense"

    def open(self, safetensors: ModuleType | None) -> Run:
        return lambda data: "fine"  # type: ignore[return-value] # that is the point


class Unreached(Deserialize):
    """Refuses everything by itself."""

    name = "unreached"

    def open(self, safetensors: ModuleType | None) -> Run:
        return lambda data: (REJECT, "refused by the target", None)


class Late(Deserialize):
    """Hands its inputs to the parser, but for the first 499."""

    name = "late"

    def open(self, safetensors: ModuleType | None) -> Run:
        run, number = super().open(safetensors), itertools.count(1)
        return lambda data: run(data) if next(number) > 499 else (REJECT, "refused by the target", None)


class Afar(Slices):
    """Takes programs, and runs none."""

    name = "afar"

    def open(self, safetensors: ModuleType | None) -> Run:
        return lambda data: (REJECT, "refused by the target", None)


class Stillborn(Deserialize):
    """Takes its process down when it is opened."""

    name = "stillborn"

    def open(self, safetensors: ModuleType | None) -> Run:
        os._exit(9)


deadly = Deadly()
unopened, hanging, slow, nonsense, stillborn = Unopened(), Hanging(), Slow(), Nonsense(), Stillborn()
unreached, late, afar = Unreached(), Late(), Afar()
broken = Broken()


class Bloated(Deserialize):
    """Grows by a megabyte each time, and by no more than a hundred a second."""

    name = "bloated"
    memory_mb = 400

    def open(self, safetensors: ModuleType | None) -> Run:
        run = super().open(safetensors)
        kept: list[bytes] = []

        def bloated(data: bytes) -> Observation:
            kept.append(b"x" * (1 << 20))
            time.sleep(0.01)
            return run(data)

        return bloated


bloated = Bloated()
