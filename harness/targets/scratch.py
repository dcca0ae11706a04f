"""A folder in memory for the files of one process, which goes when the process does.

A process that may die at any time cannot clean up: whoever supervises it names a folder of its own (:func:`supervised`) in the
environment and removes that; where the supervisor was killed itself, the next one does. Elsewhere the folder is removed when
the interpreter ends.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

VARIABLE = "HARNESS_SCRATCH"
_SUPERVISED = "harness-replay-"


def root() -> str:
    """A memory file system where there is one, else the folder for temporary files."""
    shared = "/dev/shm"  # noqa: S108 - a memory file system, each folder is private to its user
    return shared if os.access(shared, os.W_OK) else tempfile.gettempdir()


def place() -> str:
    """Where a target's folders go: below that of whoever supervises this process, else where :func:`root` says."""
    return os.environ.get(VARIABLE) or root()


def folder(name: str) -> Path:
    """A new private folder for a target."""
    made = Path(tempfile.mkdtemp(prefix=f"safetensors-harness-{name}-", dir=place()))
    if VARIABLE not in os.environ:
        atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def supervised() -> str:
    """A new private folder for a child of this process, to be named in its environment and removed after it.

    Those that processes left which are no more are removed.
    """
    shared = Path(root())
    for left in shared.glob(_SUPERVISED + "*-*"):
        pid = left.name.removeprefix(_SUPERVISED).partition("-")[0]
        if pid.isdecimal() and not Path("/proc", pid).exists():
            shutil.rmtree(left, ignore_errors=True)
    return tempfile.mkdtemp(prefix=f"{_SUPERVISED}{os.getpid()}-", dir=shared)
