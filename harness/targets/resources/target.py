"""The target ``resources``: one call of the library on one family of growing files, its cost counted in a child process.

Its inputs are programs of three words, ``COST CALL FAMILY``, for example ``bytes slice-column rows``. It is listed nowhere,
because there is nothing in them to fuzz: ``harness bench resources`` runs them all. Its findings are stored, repeated and
filed like any others.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from harness.errors import HarnessError
from harness.findings.crashes import Crash
from harness.findings.finding import Finding
from harness.mutate.growth import FAMILIES
from harness.observation import ACCEPT, REJECT, Observation, Run
from harness.oracles.oracle import Execution, oracle
from harness.targets.base import PROGRAM, Target
from harness.targets.resources import script
from harness.targets.resources.calls import CALLS
from harness.targets.resources.meter import Measurement, measure
from harness.targets.resources.oracle import COST, COSTS, judge

TARGET = "resources"


def program(cost: str, call: str, family: str) -> bytes:
    """The input that stands for these."""
    return f"{cost} {call} {family}".encode()


def words(data: bytes) -> tuple[str, str, str] | None:
    """The cost, call and family of a program; None where it is none."""
    parts = data.decode("ascii", "replace").split(" ")
    if len(parts) != 3 or parts[0] not in COSTS or parts[1] not in CALLS or parts[2] not in FAMILIES:
        return None
    return parts[0], parts[1], parts[2]


@oracle(COST)
def check(execution: Execution) -> list[Finding]:
    """The growth of one cost: see :mod:`harness.targets.resources.oracle`."""
    measured = execution.observation[2]
    if not isinstance(measured, Measurement):
        return []
    grows = FAMILIES[measured.family].words
    return judge(measured.call, measured.family, grows, measured.cost, measured.points)


class Resources(Target):
    """Counts; never runs the library in its own process."""

    name = TARGET
    description = "what one call costs on files that grow in one thing"
    max_len = 64
    memory_mb = 4096
    input_kind = PROGRAM
    listed = False
    oracles = (check,)
    #: The only builds whose costs are the users', and that run outside the fuzzer.
    flavours = ("wheel",)
    timeout_s = 300.0

    def open(self, safetensors: ModuleType | None) -> Run:
        """Prepare to count calls of this build. Raises HarnessError for an instrumented one."""
        assert safetensors is not None
        site = Path(str(safetensors.__file__)).resolve().parents[1]

        def run(data: bytes) -> Observation:
            chosen = words(data)
            if chosen is None:
                return REJECT, "not a program: COST CALL FAMILY", None
            cost, call, family = chosen
            (measured,) = measure(site, cost, [(call, family)])
            return ACCEPT, "", measured

        return run

    def explain(self, data: bytes) -> str:
        """A program in words."""
        return describe(data)

    def reproducer(self, crash: Crash, data: bytes) -> str:
        """The reproducer of a growing cost."""
        chosen = words(data)
        if chosen is None or crash.rule.check != "cost":
            return ""
        cost, call, family = chosen
        return script.reproducer(crash, cost, call, family)


def describe(data: bytes) -> str:
    """A program in words, for people. Raises HarnessError where it is none."""
    chosen = words(data)
    if chosen is None:
        raise HarnessError(
            f"{data[:60]!r} is no program of target resources", hint="COST CALL FAMILY: harness bench resources --help"
        )
    cost, call, family = chosen
    code, grows = CALLS[call].code, FAMILIES[family]
    return f"the {cost} of {code}, over files with {', '.join(f'{n:,}' for n in grows.sizes)} {grows.words}\n"
