"""What a target is, and what running one yields.

A target drives one entry point of the parser with one input. It opens once per process (``open`` gets the loaded
``safetensors`` package) and hands back a function that is called for every input; everything that can be prepared
is prepared in ``open``, because that function runs a hundred thousand times a second.

Third parties add targets through the entry-point group ``safetensors_harness.targets``: each entry point names an
object that satisfies :class:`Target`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, Protocol

from harness.errors import HarnessError

# The outcomes a run inside one process can have. A child that dies, hangs or runs out of memory is seen by its
# parent (triage.replay), which adds "crash", "hang" and "memory".
ACCEPT = "accept"
REJECT = "reject"
RAISE = "raise"
PANIC = "panic"

ENTRY_POINTS = "safetensors_harness.targets"


@dataclass(slots=True)
class Reading:
    """What the parser says a file holds, in one form for every target.

    ``tensors`` pairs each name with ``{"dtype": str, "shape": list[int], "data": bytes-like}``, the form
    ``safetensors.deserialize`` itself returns. ``metadata`` is ``NOT_READ`` where the entry point does not give it.
    ``offset_keys`` are the names by offset, or ``None`` where the entry point has no such call.
    ``partial`` names tensors that the entry point refused on its own (an unsupported dtype), with the reason.
    """

    tensors: list[tuple[str, dict[str, Any]]]
    metadata: dict[str, str] | None | object
    offset_keys: list[str] | None = None
    partial: dict[str, str] | None = None


NOT_READ = object()

#: ``(outcome, error, value)``: the error is "" or "Type: message"; the value is a Reading (or a target's own form,
#: see ``Target.reading``) when accepted, otherwise the exception.
Observation = tuple[str, str, Any]
Run = Callable[[bytes], Observation]


class Target(Protocol):
    """One entry point under test."""

    name: str
    description: str
    #: Largest input worth trying, in bytes, and the resident memory one worker may use, in MB.
    max_len: int
    memory_mb: int
    #: False for a target that does not run the parser (``model``).
    uses_parser: bool

    def open(self, safetensors: ModuleType | None) -> Run:
        """Prepare to run inputs in this process."""

    def reading(self, value: Any) -> Reading:
        """The neutral form of an accepted run's value."""


def describe(error: BaseException) -> str:
    """``Type: message`` of an exception, as observations carry it."""
    return f"{type(error).__name__}: {error}"


def classify(error: BaseException, documented: tuple[type[BaseException], ...]) -> Observation:
    """The observation of a run that ended in ``error``.

    A Rust panic reaches Python as ``pyo3_runtime.PanicException``, a BaseException; interrupts are let through.
    """
    if isinstance(error, documented):
        return REJECT, describe(error), error
    if type(error).__name__ == "PanicException":
        return PANIC, describe(error), error
    if not isinstance(error, Exception):
        raise error
    return RAISE, describe(error), error


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
