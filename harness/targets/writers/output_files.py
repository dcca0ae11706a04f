"""The output files of programs of target ``writers``: in memory, for one run."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import Any, NamedTuple

from harness.programs import guarded
from harness.targets import scratch

#: The content and the permissions of an existing file.
OLD, OLD_MODE = b"something else", 0o640


class BytesLike:
    """A path whose ``__fspath__`` returns bytes, as the protocol allows."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __fspath__(self) -> bytes:
        """The path, encoded."""
        return os.fsencode(self._path)


class Destination(NamedTuple):
    """An output file: the argument of the call, its place, and the documented errors beside those of the library.

    ``wanted`` are the expected permissions.
    """

    value: Any
    place: str
    fair: tuple[type[BaseException], ...]
    wanted: int

    def read(self) -> tuple[bytes | None, tuple[int, int] | None]:
        """The written bytes, and the actual and the expected permissions; None for each where there is no readable file."""
        try:
            descriptor = os.open(self.place, os.O_RDONLY)
        except OSError:
            return None, None
        try:
            about = os.fstat(descriptor)
            return os.read(descriptor, about.st_size), (stat.S_IMODE(about.st_mode), self.wanted)
        except OSError:  # it is a folder
            return None, None
        finally:
            os.close(descriptor)


class Files:
    """The files of one run. Call :meth:`clear` after each run that ``used`` some.

    Runs share the folder and the memory files: making new ones takes as long as writing. Each process has a folder of its
    own, because a fork that dies in a run leaves files behind.
    """

    def __init__(self) -> None:
        self.used = False
        self._shared = str(scratch.folder("writers"))
        self._folder = ""
        self._pid = 0
        self._known: set[str] = set()
        self._count = 0
        self._memory: list[int] = []
        self._memory_used = 0
        umask = os.umask(0o022)
        os.umask(umask)
        self._new_mode = 0o666 & ~umask

    def __del__(self) -> None:
        for descriptor in self._memory:
            os.close(descriptor)

    def clear(self) -> int:
        """Remove the files of a run. Returns the number of unexpected ones; a folder counts as one."""
        self.used = False
        self._memory_used = 0
        left = 0
        if self._count:
            self._count = 0
            try:
                for name in os.listdir(self._folder):
                    left += name not in self._known
                    path = f"{self._folder}/{name}"
                    try:
                        os.unlink(path)
                    except IsADirectoryError:
                        shutil.rmtree(path)
            finally:
                self._known.clear()
        return left

    def memory(self, content: bytes) -> str:
        """The path of a new memory file with that content."""
        self.used = True
        if self._memory_used == len(self._memory):
            self._memory.append(os.memfd_create("writers-input"))
        descriptor = self._memory[self._memory_used]
        self._memory_used += 1
        os.ftruncate(descriptor, len(content))
        os.pwrite(descriptor, content, 0)
        guarded.tail(descriptor)
        return f"/proc/self/fd/{descriptor}"

    def path(self, kind: str) -> Destination:
        """A new path of that kind (:data:`harness.targets.writers.program.PATHS`)."""
        if os.getpid() != self._pid:
            self._enter_folder()
        self.used = True
        self._count += 1
        name = f"{_ODD_NAMES.get(kind, '')}{self._count}.safetensors"
        place = f"{self._folder}/{name}"
        self._known.add(name)
        wanted = self._new_mode
        if kind in ("existing", "read-only"):
            wanted = OLD_MODE if kind == "existing" else 0o440
            self._put(place, wanted)
        elif kind == "symlink":
            self._put(place + ".target", OLD_MODE)
            self._known.add(name + ".target")
            os.symlink(place + ".target", place)
            wanted = OLD_MODE
        elif kind == "directory":
            os.mkdir(place)
        elif kind == "missing-folder":
            place = f"{self._folder}/missing/{name}"
        return Destination(_ARGUMENTS[kind](place) if kind in _ARGUMENTS else place, place, _FAIR.get(kind, ()), wanted)

    def _enter_folder(self) -> None:
        """Make the folder of this process, and remove the folders of ended processes."""
        pid = os.getpid()
        own = f"{pid:07}"  # the width of the largest on Linux, so that all paths have one length
        for name in os.listdir(self._shared):
            if name == own or not os.path.exists(f"/proc/{int(name)}"):
                shutil.rmtree(f"{self._shared}/{name}", ignore_errors=True)
        os.mkdir(f"{self._shared}/{own}")
        self._folder, self._pid = f"{self._shared}/{own}", pid

    @staticmethod
    def _put(place: str, mode: int) -> None:
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        os.write(descriptor, OLD)
        os.fchmod(descriptor, mode)  # whatever the umask is
        os.close(descriptor)


_ODD_NAMES = {
    "unicode": "é\U0001f917",
    "undecodable": "\udcff",
    "surrogate": "\ud800",
    "nul": "a\0",
    "too-long": "x" * 300,
}
#: Errors that Python documents for a path of a wrong type, or for an impossible path.
_FAIR: dict[str, tuple[type[BaseException], ...]] = {
    "bytes": (TypeError,), "bytes-like": (TypeError,), "int": (TypeError,), "None": (TypeError,),
    "surrogate": (ValueError,), "nul": (ValueError,),
}  # fmt: skip
_ARGUMENTS: dict[str, Any] = {
    "Path": Path,
    "relative": os.path.relpath,
    "bytes": os.fsencode,
    "bytes-like": BytesLike,
    "empty": lambda _: "",
    "int": lambda _: 1 << 20,
    "None": lambda _: None,
}
