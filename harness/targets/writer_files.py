"""Where programs of target ``writers`` write: files of one run, in memory, gone when it ends."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

#: What an existing file holds before it is written over, and its permissions.
OLD, OLD_MODE = b"something else", 0o640


class BytesLike:
    """A path whose ``__fspath__`` gives bytes, as the protocol allows."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __fspath__(self) -> bytes:
        """The path, encoded."""
        return os.fsencode(self._path)


class Destination(NamedTuple):
    """A file to write to: what is handed over, where it should be, and the errors that are documented for it beside the library's.

    ``wanted`` are the permissions that it should have.
    """

    value: Any
    place: str
    fair: tuple[type[BaseException], ...]
    wanted: int

    def read(self) -> bytes | None:
        """What was written; None where nothing is there."""
        try:
            with open(self.place, "rb") as file:
                return file.read()
        except OSError:
            return None

    def mode(self) -> tuple[int, int] | None:
        """Its permissions, and those it should have; None where nothing is there."""
        try:
            return stat.S_IMODE(os.stat(self.place).st_mode), self.wanted
        except OSError:
            return None


class Files:
    """The files of one run. :meth:`clear` them after each that ``used`` some; what is not asked for costs nothing."""

    def __init__(self) -> None:
        self.used = False
        shared = Path("/dev/shm")  # noqa: S108 - a memory file system; the folder is private to its user
        root = shared if os.access(shared, os.W_OK) else Path(tempfile.gettempdir())
        self._folder = str(root / f"safetensors-writers-{os.getpid()}")
        self._made = False
        self._known: set[str] = set()
        self._count = 0
        self._descriptors: list[int] = []
        umask = os.umask(0o022)
        os.umask(umask)
        self._new_mode = 0o666 & ~umask

    def clear(self) -> int:
        """Remove the files of a run: how many there were that nobody asked for."""
        self.used = False
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()
        left = 0
        if self._made:
            self._made = False
            self._count = 0
            for name in os.listdir(self._folder):
                left += name not in self._known
                path = f"{self._folder}/{name}"
                if os.path.isdir(path) and not os.path.islink(path):
                    os.rmdir(path)
                else:
                    os.unlink(path)
            os.rmdir(self._folder)
            self._known.clear()
        return left

    def memory(self, content: bytes) -> str:
        """The path of a memory file of that content."""
        self.used = True
        descriptor = os.memfd_create("writers-input")
        self._descriptors.append(descriptor)
        os.pwrite(descriptor, content, 0)
        return f"/proc/self/fd/{descriptor}"

    def path(self, kind: str) -> Destination:
        """A new path of that kind (:data:`harness.programs.writers.PATHS`)."""
        self.used = True
        if not self._made:
            with contextlib.suppress(FileExistsError):  # of a process of this number that was killed
                os.mkdir(self._folder, 0o700)
            self._made = True
        self._count += 1
        name = f"{self._count}.safetensors"
        if kind in ("unicode", "undecodable", "surrogate", "nul", "too-long"):
            name = _ODD_NAMES[kind] + name
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
        return Destination(_HANDED.get(kind, _same)(place), place, _FAIR.get(kind, ()), wanted)

    @staticmethod
    def _put(place: str, mode: int) -> None:
        with open(place, "wb") as file:
            file.write(OLD)
        os.chmod(place, mode)


_ODD_NAMES = {
    "unicode": "é\U0001f917",
    "undecodable": "\udcff",
    "surrogate": "\ud800",
    "nul": "a\0",
    "too-long": "x" * 300,
}
#: Errors that Python documents for a path of another type, or one that no file can have.
_FAIR: dict[str, tuple[type[BaseException], ...]] = {
    "bytes": (TypeError,), "bytes-like": (TypeError,), "int": (TypeError,), "None": (TypeError,),
    "surrogate": (ValueError,), "nul": (ValueError,),
}  # fmt: skip


def _same(place: str) -> Any:
    return place


_HANDED: dict[str, Any] = {
    "Path": Path,
    "relative": os.path.relpath,
    "bytes": os.fsencode,
    "bytes-like": BytesLike,
    "empty": lambda _: "",
    "int": lambda _: 1 << 20,
    "None": lambda _: None,
}
