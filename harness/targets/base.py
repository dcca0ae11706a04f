"""What a target is, and what running one yields.

A target drives one entry point of the parser with one input. It opens once per process (``open`` gets the loaded
``safetensors`` package) and hands back a function that is called for every input; everything that can be prepared
is prepared in ``open``, because that function runs a hundred thousand times a second.

Third parties add targets through the entry-point group ``safetensors_harness.targets``: each entry point names an
object that satisfies :class:`Target`.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, Protocol

from harness.errors import HarnessError
from harness.observation import (
    ACCEPT,
    NOT_READ,
    PANIC,
    RAISE,
    REJECT,
    Observation,
    Reading,
    Run,
    classify,
    describe,
)

__all__ = [
    "ACCEPT",
    "NOT_READ",
    "PANIC",
    "RAISE",
    "REJECT",
    "Observation",
    "Reading",
    "Run",
    "Target",
    "classify",
    "describe",
    "get",
    "targets",
]

ENTRY_POINTS = "safetensors_harness.targets"


class Target(Protocol):
    """One entry point under test."""

    name: str
    description: str
    #: Largest input worth trying, in bytes, and the resident memory one worker may use, in MB.
    max_len: int
    memory_mb: int
    #: False for a target that does not run the parser (``model``).
    uses_parser: bool
    #: False where inputs are no files but programs that make them: such a target brings its own oracle as ``check``.
    judged: bool

    def open(self, safetensors: ModuleType | None) -> Run:
        """Prepare to run inputs in this process."""

    def reading(self, value: Any) -> Reading:
        """The neutral form of an accepted run's value."""


def _builtin() -> dict[str, Target]:
    from harness.targets.deserialize import Deserialize
    from harness.targets.huge import Huge
    from harness.targets.model import Model
    from harness.targets.safe_open import SafeOpen

    targets: list[Target] = [Deserialize(), SafeOpen(), Model(), Huge()]
    return {target.name: target for target in targets}


def targets() -> dict[str, Target]:
    """All targets by name: our own, then those of installed packages."""
    found = _builtin()
    for point in entry_points(group=ENTRY_POINTS):
        target: Target = point.load()
        found.setdefault(target.name, target)
    return found


def get(name: str) -> Target:
    """The target of that name. Raises HarnessError naming the known ones."""
    known = targets()
    if name not in known:
        raise HarnessError(f"no target is called {name!r}", hint=f"targets: {', '.join(known)}")
    return known[name]
