"""Opening a target: it may be another package's, or a framework's that is installed and broken.

What is wrong with it is found before the fuzzing starts and named: then the campaign goes on without that target. A worker that
has opened its target says so by a file; one that has not after :func:`harness.targets.base.start_s` seconds hangs.
"""

from __future__ import annotations

import gc
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.errors import HarnessError
from harness.observation import ACCEPT, PANIC, RAISE, REJECT, Run, describe
from harness.targets.base import Target

OPENED = "opened"
# New objects until Python's collector looks for cycles among them: 700 unless told.
_YOUNG = 10_000


def open_target(target: Target, module: ModuleType | None, atheris: Any) -> Run:
    """The target's run, with the parser's Python files that it imports instrumented.

    Raises HarnessError naming the target when it does not open, fails on its first input, or gives no observation.
    """
    hint = "mend or uninstall what provides it, or name other targets: harness fuzz --target NAME"
    try:
        with atheris.instrument_imports(include=["safetensors"]):
            run = target.open(module)
        answer = run(b"")
    except HarnessError as error:
        raise HarnessError(f"target {target.name}: {error}", hint=error.hint) from error
    except BaseException as error:  # whatever another package's code does
        if isinstance(error, KeyboardInterrupt):
            raise
        raise HarnessError(f"target {target.name} cannot be used: {describe(error)}", hint=hint) from error
    if not (isinstance(answer, tuple) and len(answer) == 3 and answer[0] in (ACCEPT, REJECT, RAISE, PANIC)):
        raise HarnessError(f"target {target.name} gives no observation but {answer!r:.100}", hint=hint)
    return run


def opened(memory: Path) -> None:
    """Say that the target is open: written by its worker."""
    (memory / OPENED).touch()


def collect_seldom() -> None:
    """Let Python's collector pass over what is there, which stays till the end, and look at new objects less often.

    What is executed makes few cycles: a tenth or more of the CPU time of ``writers`` went into looking for them (docs/measured.md).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 50, 100)


def is_open(memory: Path) -> bool:
    """Whether the worker with that memory folder has opened its target."""
    return (memory / OPENED).exists()
