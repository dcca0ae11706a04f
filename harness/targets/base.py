"""What a target is, and what running one yields.

A target drives one entry point of the parser with one input. It opens once per process (``open`` gets the loaded
``safetensors`` package) and hands back a function that is called for every input; everything that can be prepared
is prepared in ``open``, because that function runs a hundred thousand times a second.

Third parties add targets through the entry-point group ``safetensors_harness.targets``: each entry point names an
object that satisfies :class:`Target`.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Hashable, Iterable
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, Protocol

from harness.errors import HarnessError
from harness.findings.finding import Finding
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
from harness.programs.steps import Vocabulary

__all__ = [
    "ACCEPT",
    "NOT_READ",
    "PANIC",
    "RAISE",
    "REJECT",
    "UNCAUGHT",
    "Observation",
    "Reading",
    "Run",
    "Target",
    "about_another",
    "broken",
    "call_names",
    "classify",
    "core",
    "describe",
    "explain",
    "features",
    "get",
    "hazard",
    "install",
    "isolated",
    "missing",
    "note",
    "oracles",
    "packages",
    "script",
    "seeds",
    "start_s",
    "targets",
    "timeout_s",
    "unforeseen",
    "unit",
    "vocabulary",
]

ENTRY_POINTS = "safetensors_harness.targets"
#: How a process ended that aborted over an exception of C++ which nobody caught, as it said itself.
UNCAUGHT = "SIGABRT in C++"


#: Judges one run of an input: everything that is wrong with it.
Oracle = Callable[[bytes, Observation], list[Finding]]


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


#: Our own targets, each in a module of its own that is imported when the target is asked for: a framework is slow to load.
_BUILTIN = {
    "deserialize": "harness.targets.files.deserialize:Deserialize",
    "safe_open": "harness.targets.files.safe_open:SafeOpen",
    "model": "harness.targets.files.model:Model",
    "huge": "harness.targets.huge.target:Huge",
    "slices": "harness.targets.slices.target:Slices",
    "backends": "harness.targets.loaders.backends:Backends",
    "numpy": "harness.targets.loaders.numpy:Numpy",
    "torch": "harness.targets.loaders.torch:Torch",
    "parallel": "harness.targets.parallel.target:Parallel",
    "quantized": "harness.targets.quantized.target:Quantized",
    "shards": "harness.targets.shards.target:Shards",
    "writers": "harness.targets.writers.target:Writers",
    "torch_writers": "harness.targets.torch_writers.target:TorchWriters",
    "lifecycle": "harness.targets.lifecycle.target:Lifecycle",
    "flax": "harness.targets.loaders.flax:Flax",
    "tensorflow": "harness.targets.loaders.tensorflow:Tensorflow",
    "paddle": "harness.targets.loaders.paddle:Paddle",
    "mlx": "harness.targets.loaders.mlx:Mlx",
    "device": "harness.targets.device.target:Device",
}


def targets() -> dict[str, Target]:
    """All targets by name: our own, then those of installed packages. One that does not load is left out: :func:`broken`."""
    return _load()[0]


def broken() -> dict[str, str]:
    """Entry points of other packages that are no target, with the reason: they raised, or lack what a target has."""
    return _load()[1]


def _load() -> tuple[dict[str, Target], dict[str, str]]:
    found: dict[str, Target] = {name: _builtin(name) for name in _BUILTIN}
    wrong: dict[str, str] = {}
    for point in entry_points(group=ENTRY_POINTS):
        try:
            target: Target = point.load()
            lacking = [name for name in _REQUIRED if not hasattr(target, name)]
        except BaseException as error:  # whatever another package's module does when it is imported
            if isinstance(error, KeyboardInterrupt):
                raise
            wrong[point.name] = f"{point.value} cannot be imported: {describe(error)}"
            continue
        if lacking or not isinstance(target.name, str):
            wrong[point.name] = f"{point.value} is no target: it lacks {', '.join(lacking) or 'a name'}"
        else:
            found.setdefault(target.name, target)
    return found, wrong


_REQUIRED = ("name", "description", "max_len", "memory_mb", "uses_parser", "judged", "open", "reading")


def _builtin(name: str) -> Target:
    module, _, kind = _BUILTIN[name].partition(":")
    target: Target = getattr(importlib.import_module(module), kind)()
    return target


def get(name: str) -> Target:
    """The target of that name. Raises HarnessError naming the known ones, or saying why it does not load."""
    if name in _BUILTIN:
        return _builtin(name)
    known, wrong = _load()
    if name in wrong:
        raise HarnessError(f"target {name} does not load: {wrong[name]}", hint="mend or uninstall its package")
    if name not in known:
        raise HarnessError(f"no target is called {name!r}", hint=f"targets: {', '.join(known)}")
    return known[name]


# What a target may have beside the attributes of the protocol, and what is taken where it has not.


def missing(target: Target, data: bytes | None = None) -> str:
    """Why ``target`` cannot run here (or not all of the program ``data``), as a clause ("torch is not installed"), or "".

    From its attribute ``needs``, names of modules, and its method ``needs_for``; a module that is there and does not work
    shows when it is opened.
    """
    needs: tuple[str, ...] = getattr(target, "needs", ())
    if data is not None and hasattr(target, "needs_for"):
        needs += tuple(target.needs_for(data))
    absent = [name for name in needs if importlib.util.find_spec(name) is None]
    return f"{' and '.join(absent)} {'is' if len(absent) == 1 else 'are'} not installed" if absent else ""


def install(target: Target) -> str:
    """How to get what it needs: the extra of its attribute ``extra``, else of its own name."""
    return f"pip install 'safetensors-harness[{getattr(target, 'extra', target.name)}]'"


def note(target: Target) -> str:
    """What of it cannot be driven here, as a sentence, or ""; from its method ``note``."""
    own = getattr(target, "note", None)
    return "" if own is None else str(own())


def packages(target: Target) -> tuple[str, ...]:
    """What a reproducer has to have installed beside safetensors; from its attribute ``packages``, else from ``needs``."""
    return tuple(getattr(target, "packages", getattr(target, "needs", ())))


def core(target: Target) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The targets that it stands on, so that what is known of them is not found again, and the names of its own calls.

    From its attributes ``core``, a name or several, and ``calls``; ``((), ())`` where it stands on none.
    """
    below: str | tuple[str, ...] = getattr(target, "core", ())
    return (below,) if isinstance(below, str) else below, tuple(getattr(target, "calls", ()))


def unit(target: Target) -> int:
    """Bytes of one step where inputs are programs made of steps, from its attribute ``unit``; 0 where they are files."""
    return int(getattr(target, "unit", 0))


def vocabulary(target: Target) -> Vocabulary | None:
    """The language of its programs (:mod:`harness.programs.steps`), from its attribute ``vocabulary``, if it has one."""
    found: Vocabulary | None = getattr(target, "vocabulary", None)
    return found


def timeout_s(target: Target) -> float:
    """Seconds that one run may take, from its attribute ``timeout_s``; 10 where it has none."""
    return float(getattr(target, "timeout_s", 10.0))


def start_s(target: Target) -> float:
    """Seconds that opening it may take, from its attribute ``start_s``; 120 where it has none: a framework loads slowly."""
    return float(getattr(target, "start_s", 120.0))


def oracles(target: Target) -> tuple[Oracle, ...]:
    """The oracles that judge its runs, from its attribute ``oracles``."""
    return tuple(getattr(target, "oracles", ()))


def about_another(target: Target, signature: str) -> str:
    """The other implementation that a finding of this signature is about; "" where it is about the parser.

    From its attribute ``others``: each other one's name with what the calls, rules and aspects that are its own begin with,
    one word or several.
    """
    others: dict[str, str | tuple[str, ...]] = getattr(target, "others", {})
    words = signature.split("|")[2:]
    return next((name for name, prefix in others.items() if any(word.startswith(prefix) for word in words)), "")


def features(target: Target, observation: Observation) -> Iterable[Hashable]:
    """What a run showed beside edges, to be paid for in libFuzzer's currency; from its method ``features``."""
    own = getattr(target, "features", None)
    return () if own is None else own(observation)


def seeds(target: Target) -> dict[str, bytes]:
    """Programs to start from, by a word that says what each is; from its method ``seeds``. Empty where it has none."""
    own = getattr(target, "seeds", None)
    return {} if own is None else dict(own())


def explain(target: Target, data: bytes) -> str:
    """A program in words, or as the Python it stands for; from its method ``explain``. "" for files."""
    own = getattr(target, "explain", None)
    return "" if own is None else str(own(data))


def call_names(target: Target, data: bytes) -> list[str] | None:
    """The kinds of the calls of a program, in order, from its method ``call_names``. None where it has none."""
    own = getattr(target, "call_names", None)
    return None if own is None else list(own(data))


def isolated(target: Target) -> bool:
    """Whether every input runs in a child under limits, from its attribute ``isolated``: some may kill the process."""
    return bool(getattr(target, "isolated", False))


def hazard(target: Target) -> Callable[[bytes], str] | None:
    """Its method ``hazard``, which says what an input may well kill the process with (``SIGBUS/get_tensor``), "" for most.

    Those inputs run in a child under limits, all others in process. None where it has none.
    """
    own: Callable[[bytes], str] | None = getattr(target, "hazard", None)
    return own


def unforeseen(target: Target, data: bytes, number: int, sign: str) -> bool:
    """Whether a program ended at its call ``number`` (0: before any) with a signal that the target foresees, but not there.

    From its method ``unforeseen``; false where it has none.
    """
    own: Callable[[bytes, int, str], bool] | None = getattr(target, "unforeseen", None)
    return own is not None and own(data, number, sign)


def script(target: Target, data: bytes) -> str:
    """Source of a generator ``calls()`` for a reproducer (:mod:`harness.programs.scripts`); from its method ``script``.

    "" for targets whose inputs are files.
    """
    own = getattr(target, "script", None)
    return "" if own is None else str(own(data))
