"""A folder in memory for the files of one process, which goes when the process does.

A process that may die at any time cannot clean up: whoever supervises it names a folder of its own in the environment and
removes that. Elsewhere the folder is removed when the interpreter ends.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

VARIABLE = "HARNESS_SCRATCH"


def root() -> str:
    """A memory file system where there is one, else the folder for temporary files."""
    shared = "/dev/shm"  # noqa: S108 - a memory file system, each folder is private to its user
    return shared if os.access(shared, os.W_OK) else tempfile.gettempdir()


def folder(name: str) -> Path:
    """A new private folder for a target."""
    given = os.environ.get(VARIABLE)
    made = Path(tempfile.mkdtemp(prefix=f"safetensors-harness-{name}-", dir=given or root()))
    if not given:
        atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made
