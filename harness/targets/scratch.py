"""Files and folders in memory that go with the process that owns them.

A process that may die at any time cannot clean up. Its parent names a folder in its environment (:data:`VARIABLE`) and removes it
at the child's end, so a target makes folders only below :func:`place`. The name of a folder holds its owner. Where the owner was
killed, the next process that makes such a folder removes it.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Any

from harness.processes import started
from harness.programs import guarded

VARIABLE = "HARNESS_SCRATCH"
_OWNED = "harness-owned-"


def root() -> str:
    """A memory file system where there is one, else the folder for temporary files."""
    shared = "/dev/shm"  # noqa: S108 - a memory file system, each folder is private to its user
    return shared if os.access(shared, os.W_OK) else tempfile.gettempdir()


def base() -> str:
    """The parent of the folders of processes: the folder that the own parent names, where it is there, else :func:`root`."""
    named = os.environ.get(VARIABLE, "")
    return named if os.path.isdir(named) else root()


def place() -> str:
    """The parent of a target's folders: the folder that the parent names, else one that goes with this process."""
    return os.environ.get(VARIABLE) or _own()


@functools.cache
def _own() -> str:
    made, owner = make(), os.getpid()

    def leave() -> None:
        # A fork that ends in the ordinary way runs this, too.
        if os.getpid() == owner:
            remove(made)

    atexit.register(leave)
    return made


def folder(name: str) -> Path:
    """A new private folder for a target."""
    return Path(tempfile.mkdtemp(prefix=f"safetensors-harness-{name}-", dir=place()))


@contextlib.contextmanager
def for_child() -> Iterator[dict[str, str]]:
    """The environment that gives a child a folder of its own, which is removed at the end."""
    made = make()
    try:
        yield {VARIABLE: made}
    finally:
        remove(made)


def make() -> str:
    """A new private folder of this process. Folders of processes that no longer run are removed."""
    sweep()
    return tempfile.mkdtemp(prefix=_owned_name(), dir=base())


def _owned_name() -> str:
    pid = os.getpid()
    return f"{_OWNED}{pid}-{started(pid)}-{_namespace()}-"


@functools.cache
def _namespace() -> int:
    """The number of the namespace of process ids. Containers may share a memory file system, and have the same process ids."""
    return os.stat("/proc/self/ns/pid").st_ino


def sweep() -> None:
    """Remove the folders of processes of this namespace that no longer run."""
    for left in Path(base()).glob(_OWNED + "*-*-*-*"):
        owner, born, namespace, _ = left.name.removeprefix(_OWNED).split("-", 3)
        # The system gives a process id again; the start time tells the processes apart.
        if (
            owner.isdecimal()
            and born.isdecimal()
            and namespace == str(_namespace())
            and started(int(owner)) != int(born)
        ):
            remove(left)


def remove(path: str | Path) -> None:
    """Delete a folder, also where a program took its permissions away, or where the child of a killed process still writes."""
    path = Path(path)
    # Under another name, nobody finds it. This process owns it, so what stays goes with the next sweep.
    doomed = path.with_name(f"{_owned_name()}{path.name}")
    with contextlib.suppress(OSError):
        path = path.rename(doomed)
    shutil.rmtree(path, ignore_errors=True)
    if path.is_dir():
        _open_up(path)
        for inner, folders, _ in os.walk(path):
            for name in folders:
                _open_up(os.path.join(inner, name))
        shutil.rmtree(path, ignore_errors=True)


def _open_up(folder: str | Path) -> None:
    with contextlib.suppress(OSError):
        if not os.path.islink(folder):
            os.chmod(folder, 0o700)


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
