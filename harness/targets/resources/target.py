"""The target ``resources``: one call of the library on growing, large or small files, its cost counted in a child process.

Its inputs are programs of three words, ``COST CALL FAMILY``, for example ``bytes slice-column rows`` or ``copies numpy.save
data``. A campaign draws words. Each cost of a call is measured once in a process, so the number of measurements is bounded. The
call is also made once in the process itself, on a small file, where the fuzzer sees it. ``harness bench resources`` measures
all programs.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Hashable, Iterable
from functools import cache
from pathlib import Path
from types import ModuleType

from harness.errors import HarnessError
from harness.findings.crashes import Crash
from harness.findings.finding import Finding
from harness.mutate.growth import FAMILIES
from harness.observation import ACCEPT, REJECT, Observation, Run
from harness.oracles.oracle import Execution, oracle
from harness.parsers import runtime
from harness.targets import scratch
from harness.targets.base import PROGRAM, Mutate, Target
from harness.targets.resources import kernel, meter_child, script
from harness.targets.resources.calls import CALLS
from harness.targets.resources.kernel import SETTINGS, Comparison
from harness.targets.resources.meter import Measurement, measure
from harness.targets.resources.oracle import BYTES, COST, COSTS, judge

TARGET = "resources"


def program(cost: str, call: str, family: str) -> bytes:
    """The input that stands for these."""
    return f"{cost} {call} {family}".encode()


def families(cost: str) -> tuple[str, ...]:
    """The families of files of a cost, and the settings of a cost that the kernel counts."""
    return SETTINGS.get(cost) or tuple(FAMILIES)


def calls(cost: str) -> tuple[str, ...]:
    """The calls that have a cost."""
    return kernel.measured_calls(cost) if cost in SETTINGS else tuple(CALLS)


def words(data: bytes) -> tuple[str, str, str] | None:
    """The cost, call and family of a program; None where it is none."""
    parts = data.decode("ascii", "replace").split(" ")
    if len(parts) != 3 or parts[0] not in (*COSTS, *SETTINGS):
        return None
    cost, call, family = parts
    return (cost, call, family) if call in calls(cost) and family in families(cost) else None


@oracle(COST)
def check(execution: Execution) -> list[Finding]:
    """The growth of one cost, or its limits: see :mod:`harness.targets.resources.oracle` and ``kernel``."""
    measured = execution.observation[2]
    if isinstance(measured, Comparison):
        return kernel.judge(measured)
    if not isinstance(measured, Measurement):
        return []
    grows = FAMILIES[measured.family].words
    return judge(measured.call, measured.family, grows, measured.cost, measured.points)


#: Costs that a campaign draws. Instructions need valgrind and a plain build.
_DRAWN = (BYTES, *SETTINGS)


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Another program: a new cost, call or family, and the others as they were where they fit."""
    draw = random.Random(seed)
    cost, call, family = words(data) or ("", "", "")
    part = draw.randrange(3)
    if part == 0 or cost not in _DRAWN:
        cost = draw.choice(_DRAWN)
    if part == 1 or call not in calls(cost):
        call = draw.choice(calls(cost))
    if part == 2 or family not in families(cost):
        family = draw.choice(families(cost))
    return program(cost, call, family)[:max_size]


class Resources(Target):
    """Counts the costs of calls in child processes."""

    name = TARGET
    drives = (
        (
            "size thread",
            "deserialize serialize serialize_file numpy.* safe_open safe_open.get_* safe_open.*keys safe_open.metadata",
        ),
        ("size", "TensorSpec PySafeSlice.__getitem__ PySafeSlice.get_shape"),
    )
    description = "what one call costs: allocations, copies, memory and standstills of other threads"
    max_len = 64
    memory_mb = 4096
    input_kind = PROGRAM
    oracles = (check,)
    #: Findings are repeated and filed on these builds: their costs are the users'.
    flavours = ("wheel",)
    timeout_s = 300.0

    def open(self, safetensors: ModuleType | None) -> Run:
        """Prepare to count calls of this build."""
        assert safetensors is not None
        site = Path(str(safetensors.__file__)).resolve().parents[1]
        parser = runtime.loaded()
        if parser is not None and parser.site.resolve() != site:
            parser = None  # a stand-in for the library
        instrumented = parser.name if parser is not None and parser.flavour != "wheel" else ""
        small = _Small()

        @cache
        def compared(cost: str, call: str) -> dict[str, Comparison]:
            return {one.setting: one for one in kernel.compare(site, parser, cost, [call])}

        @cache
        def measured(cost: str, call: str) -> dict[str, Measurement]:
            pairs = [(call, family) for family in FAMILIES]
            return {one.family: one for one in measure(site, cost, pairs, instrumented)}

        def run(data: bytes) -> Observation:
            chosen = words(data)
            if chosen is None:
                return REJECT, "not a program: COST CALL FAMILY", None
            cost, call, family = chosen
            small.call(call, family)
            if cost in SETTINGS:
                return ACCEPT, "", compared(cost, call)[family]
            if cost not in _DRAWN and instrumented:
                return REJECT, "instructions of an instrumented build are not the users'", None
            return ACCEPT, "", measured(cost, call)[family]

        return run

    def mutator(self) -> Mutate:
        """Words for words: see :func:`mutate`."""
        return mutate

    def seeds(self) -> dict[str, bytes]:
        """Each call whose copies or standstill a text limits, and a program for each other cost."""
        limited = {kernel.COPIES: tuple(kernel.HELD), kernel.STANDSTILL: tuple(kernel.STILL)}
        each = {
            f"{cost} of {call}": program(cost, call, "data")
            for cost, limits in limited.items()
            for call in calls(cost)
            if call in limits
        }
        return {
            "bytes": program(BYTES, "deserialize", "tensors"),
            "space": program(kernel.SPACE, "safe_open", "header"),
            **each,
        }

    def features(self, observation: Observation) -> Iterable[Hashable]:
        """Which call was measured at which cost and on which files, and its end."""
        measured = observation[2]
        if isinstance(measured, Comparison):
            return [(measured.cost, measured.call, measured.setting, measured.taken[-1].end)]
        if isinstance(measured, Measurement):
            return [(measured.cost, measured.call, measured.family, measured.ends[-1])]
        return []

    def explain(self, data: bytes) -> str:
        """A program in words."""
        return describe(data)

    def reproducer(self, crash: Crash, data: bytes) -> str:
        """The reproducer of a growing cost."""
        chosen = words(data)
        if chosen is None or crash.rule.check != "cost" or chosen[0] in SETTINGS:
            return ""
        cost, call, family = chosen
        return script.reproducer(crash, cost, call, family)


class _Small:
    """Calls in this process, on the smallest file of each family."""

    def __init__(self) -> None:
        self._folder = scratch.folder(TARGET)
        self._files: dict[str, tuple[Path, str]] = {}

    def call(self, name: str, family: str) -> None:
        """Make one call. Its end is no matter: the child process has it too."""
        family = family if family in FAMILIES else "rows"
        if family not in self._files:
            grown = FAMILIES[family].make(FAMILIES[family].sizes[0])
            path = self._folder / f"{family}.safetensors"
            path.write_bytes(grown.data)
            self._files[family] = path, grown.name
        path, tensor = self._files[family]
        job = {"setup": CALLS[name].setup, "code": CALLS[name].code, "path": str(path), "name": tensor}
        with contextlib.suppress(Exception):  # a setup that is refused
            meter_child.make(meter_child.prepare(job))


def describe(data: bytes) -> str:
    """A program in words, for people. Raises HarnessError where it is none."""
    chosen = words(data)
    if chosen is None:
        raise HarnessError(
            f"{data[:60]!r} is no program of target resources", hint="COST CALL FAMILY: harness bench resources --help"
        )
    cost, call, family = chosen
    code = CALLS[call].code
    if cost in SETTINGS:
        return f"the {cost} of {code}, over {kernel.WORDS[family]}\n"
    grows = FAMILIES[family]
    return f"the {cost} of {code}, over files with {', '.join(f'{n:,}' for n in grows.sizes)} {grows.words}\n"
