"""Files and folders in memory for one process, which go when the process does.

A process that may die at any time cannot clean up. Its supervisor names a folder of its own (:func:`supervised`) in the
environment and removes it. Where the supervisor was killed, the next supervisor removes it. Elsewhere the folder is removed when
the interpreter ends.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

from harness.programs import guarded

VARIABLE = "HARNESS_SCRATCH"
_SUPERVISED = "harness-replay-"


def root() -> str:
    """A memory file system where there is one, else the folder for temporary files."""
    shared = "/dev/shm"  # noqa: S108 - a memory file system, each folder is private to its user
    return shared if os.access(shared, os.W_OK) else tempfile.gettempdir()


def place() -> str:
    """The parent of a target's folders: the one that the supervisor names, else :func:`root`."""
    return os.environ.get(VARIABLE) or root()


def folder(name: str) -> Path:
    """A new private folder for a target."""
    made = Path(tempfile.mkdtemp(prefix=f"safetensors-harness-{name}-", dir=place()))
    if VARIABLE not in os.environ:
        atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def supervised() -> str:
    """A new private folder for a child of this process, to be named in its environment and removed after it.

    Folders of processes that no longer run are removed.
    """
    shared = Path(root())
    for left in shared.glob(_SUPERVISED + "*-*"):
        pid = left.name.removeprefix(_SUPERVISED).partition("-")[0]
        if pid.isdecimal() and not Path("/proc", pid).exists():
            shutil.rmtree(left, ignore_errors=True)
    return tempfile.mkdtemp(prefix=f"{_SUPERVISED}{os.getpid()}-", dir=shared)


class OpenFiles:
    """Readers of files in memory, which stay open by the files' content. Past :data:`MOST` the least recently used one goes.

    In guarded memory (:mod:`harness.programs.guarded`) none is kept. A reader orders empty tensors by chance, and two runs with
    two readers of their own would seem to differ by their memory.
    """

    MOST = 256

    def __init__(self) -> None:
        self._readers: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable) -> Any:
        """The open reader of ``key``, or None."""
        if guarded.current() is not None:
            return None
        if key in self._readers:
            self._readers.move_to_end(key)
        return self._readers.get(key)

    def add(self, key: Hashable, content: bytes, read: Callable[[str], Any]) -> Any:
        """Keep and return ``read`` of the path to a file of that ``content``. Errors of ``read`` pass through."""
        descriptor = os.memfd_create("input")
        try:
            os.pwrite(descriptor, content, 0)
            guarded.tail(descriptor)
            reader = read(f"/proc/self/fd/{descriptor}")
        finally:
            # A reader has a mapping, or a descriptor of its own.
            os.close(descriptor)
        if guarded.current() is not None:
            return reader
        if len(self._readers) >= self.MOST:
            self._readers.popitem(last=False)
        self._readers[key] = reader
        return reader
