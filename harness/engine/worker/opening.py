"""Loads the parser, opens the target, and prepares Python's garbage collector.

A target may be another package's, or a framework's whose installation is broken. Its failure is found before the fuzzing starts
and names the target, so that the campaign goes on without it. A worker that has opened its target writes a file. A worker
without that file after :attr:`harness.targets.base.Target.start_s` seconds hangs.
"""

from __future__ import annotations

import gc
import importlib
import itertools
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.errors import EngineError, HarnessError
from harness.observation import ACCEPT, PANIC, RAISE, REJECT, Run, describe
from harness.parsers import registry, runtime
from harness.targets.base import Target

_OPENED = "opened"
# New objects before Python's collector looks for cycles among them; its default is 700.
_YOUNG = 10_000


def load(parser: registry.Parser, target: Target) -> tuple[Any, Any]:
    """Load atheris with its own libFuzzer in the global scope, then the parser with its Python layer instrumented."""
    runtime.prepare(mutator=True)
    import atheris
    from atheris import instrument_bytecode

    _number(instrument_bytecode.Instruction)
    if not target.uses_parser:
        with atheris.instrument_imports(include=["harness.format"]):
            _reimport("harness.format")
        return atheris, None
    with atheris.instrument_imports(include=["safetensors"]):
        module = runtime.load(parser, mutator=True)
    return atheris, module


def _number(instruction: type) -> None:
    """Hash atheris' instructions by a running number, in place of their address.

    It numbers the counters of a function in the order of a set of instructions. By address that order would differ from one
    process to the next, and so would the features that libFuzzer sees.
    """
    numbers = itertools.count()

    def number(self: Any) -> int:
        fields = vars(self)
        if "_number" not in fields:
            fields["_number"] = next(numbers)
        return int(fields["_number"])

    instruction.__hash__ = number  # type: ignore[method-assign,assignment]


def _reimport(package: str) -> None:
    """Import a package anew so that the import hook in force sees it."""
    for name in [n for n in sys.modules if n == package or n.startswith(package + ".")]:
        del sys.modules[name]
    importlib.import_module(package + ".judge")


def open_target(target: Target, module: ModuleType | None, atheris: Any) -> Run:
    """The target's run, with the parser's Python files that it imports instrumented.

    Raises EngineError with the target's name when it does not open, fails on its first input, or gives no observation.
    """
    hint = "mend or uninstall the package that provides it, or name other targets: harness fuzz --target NAME"
    try:
        with atheris.instrument_imports(include=["safetensors"]):
            run = target.open(module)
        answer = run(b"")
    except HarnessError as error:
        raise EngineError(f"target {target.name}: {error}", hint=error.hint) from error
    except BaseException as error:  # another package's code may raise anything
        if isinstance(error, KeyboardInterrupt):
            raise
        raise EngineError(f"target {target.name} cannot be used: {describe(error)}", hint=hint) from error
    if not (isinstance(answer, tuple) and len(answer) == 3 and answer[0] in (ACCEPT, REJECT, RAISE, PANIC)):
        raise EngineError(f"target {target.name} gives no observation but {answer!r:.100}", hint=hint)
    return run


def mark_open(memory: Path) -> None:
    """Note in the worker's memory folder that its target is open."""
    (memory / _OPENED).touch()


def is_open(memory: Path) -> bool:
    """Whether the worker with that memory folder has opened its target."""
    return (memory / _OPENED).exists()


def collect_seldom(*, by_count: bool = False) -> None:
    """Make Python's collector pass over the objects that exist now, and look at new objects less often.

    ``by_count`` switches the collector off: the session collects after fixed numbers of executions
    (:data:`harness.engine.worker.session.COLLECT_EVERY`), so that a run of N executions repeats. Executions make few
    cycles: the usual thresholds cost ``writers`` a tenth or more of its CPU time (docs/measured.md).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 50, 100)
    if by_count:
        gc.disable()
