"""The folder that one call meets: a file of some kind at a path, with rights; and looks at it by the operating system alone."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
from pathlib import Path
from typing import Any, NamedTuple

from harness.targets import scratch
from harness.targets.paths.program import FILES, HOLE, SPARSE, Scene

#: Users by number: the user of calls without root's rights, root, a third one.
USERS = (65534, 0, 1)
_PATH_MAX = 4096
_STEMS = {
    "plain": "x.safetensors", "unicode": "é\U0001f917.safetensors", "undecodable": "\udcff\udce9.safetensors",
    "space": " a\n'b\".safetensors", "hidden": ".tmp.safetensors", "longest-name": "x" * 255, "long-name": "x" * 256,
    "longest-path": "x", "long-path": "x",
}  # fmt: skip
_NODES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7)}
_PROC = {"proc": "/proc/self/status", "mem": "/proc/self/mem"}
#: The name of the other file: the target of a link, the second name of a file.
OTHER = "other"


class Look(NamedTuple):
    """A name as lstat tells it: the kind of file (``absent``, ``file``, ``link``, ``fifo``, ...), inode, device number, mode, owner.

    ``content`` are the bytes of the regular file behind the name, else None. ``to`` is the target of a link.
    """

    kind: str
    inode: int = 0
    device: int = 0
    mode: int = 0
    owner: int = 0
    content: bytes | None = None
    to: str = ""


class Plain(NamedTuple):
    """The end of a plain read or write of a path: the name of Python's error, or the bytes of a regular file.

    ``special`` says that there is a file that is not regular.
    """

    error: str = ""
    content: bytes | None = None
    special: bool = False


class World:
    """A folder for one call. ``path`` is the path under test, ``base`` its folder. All of it goes with :meth:`remove`."""

    def __init__(self, root: str, scene: Scene) -> None:
        self.root = root
        self._ends: list[int] = []
        self._sockets: list[socket.socket] = []
        os.mkdir(root)
        os.chmod(root, 0o755)  # noqa: S103 - whatever the umask is
        self.base = os.path.join(root, "d")
        os.mkdir(self.base)
        if scene.name == "longest-path":
            self._deepen()
        stem = _STEMS[scene.name]
        self.path = f"{self.base}/{stem}"
        if scene.name == "long-path":
            # Too long by its relative form, too.
            self.path = f"{self.base}/{'../d/' * (_PATH_MAX // 5 + 1)}{stem}"
        # Beside the longest path there is room for a name of one letter.
        self.other = f"{self.base}/{OTHER[:1] if scene.name == 'longest-path' else OTHER}"
        #: The pipe of the scene, or "".
        self.pipe = ""
        with contextlib.suppress(OSError):  # a name that is too long names nothing
            self._make(scene)
        if scene.thing == "through":
            self.path += "/below"
        os.chmod(self.base, scene.folder_mode)
        _own(self.base, scene.folder_owner)

    def _deepen(self) -> None:
        """Folders below ``base``, until a name of one letter makes the longest path."""
        left = _PATH_MAX - 1 - len(self.base) - len("/x")
        while left > 1:
            step = min(left - 1, 250)
            step -= left - 1 - step == 1  # no folder has an empty name
            os.mkdir(f"{self.base}/{'y' * step}")
            self.base += "/" + "y" * step
            left -= step + 1

    def _make(self, scene: Scene) -> None:
        path, raw = self.path, FILES[scene.content]
        match scene.thing:
            case "file" | "through":
                put(path, raw)
            case "empty":
                put(path, b"")
            case "cut":
                put(path, raw[: len(raw) // 2])
            case "sparse":
                put(path, SPARSE[:-HOLE])
                os.truncate(path, len(SPARSE))
            case "hard-link":
                put(self.other, raw)
                os.link(self.other, path)
            case "symlink" | "dangling":
                if scene.thing == "symlink":
                    put(self.other, raw)
                os.symlink(os.path.basename(self.other), path)
            case "loop":
                os.symlink(os.path.basename(path), path)
            case "directory" | "symlink-directory":
                os.mkdir(path if scene.thing == "directory" else self.other)
                if scene.thing == "symlink-directory":
                    os.symlink(os.path.basename(self.other), path)
            case "fifo" | "fed-fifo" | "symlink-fifo":
                pipe = self.other if scene.thing == "symlink-fifo" else path
                os.mkfifo(pipe)
                self.pipe = pipe
                if pipe == self.other:
                    os.symlink(os.path.basename(self.other), path)
            case "socket":
                self._sockets.append(socket.socket(socket.AF_UNIX))
                with _inside(self.base):  # the path of a socket is short
                    self._sockets[0].bind(os.path.basename(path)[:100])
            case "proc" | "mem":
                os.symlink(_PROC[scene.thing], path)
            case "null" | "zero" | "full" | "symlink-null":
                place = self.other if scene.thing == "symlink-null" else path
                node(place, scene.thing.removeprefix("symlink-"))
                if place == self.other:
                    os.symlink(os.path.basename(self.other), path)
        for one in (path, self.other):
            if (look := _lstat(one)) and not stat.S_ISLNK(look.st_mode):
                os.chmod(one, scene.mode)
                _own(one, scene.owner)

    def hold_pipe(self) -> None:
        """Hold the far end of the pipe, so that a writer need not wait."""
        if self.pipe:
            self._ends.append(os.open(self.pipe, os.O_RDWR | os.O_NONBLOCK))

    def from_pipe(self) -> bytes:
        """The bytes that came through the held pipe."""
        try:
            return os.read(self._ends[0], 1 << 20) if self._ends else b""
        except BlockingIOError:
            return b""

    def look(self) -> tuple[Look, Look]:
        """The path and the other file."""
        return look(self.path), look(self.other)

    def names(self) -> frozenset[str]:
        """The names in the folder; none where there is no folder any more."""
        try:
            return frozenset(os.listdir(self.base))
        except OSError:
            return frozenset()

    def remove(self) -> None:
        """Remove all of it."""
        for end in self._ends:
            os.close(end)
        for one in self._sockets:
            one.close()
        remove(self.root)


def remove(root: str) -> None:
    """Remove a tree, whatever its modes are."""
    if os.geteuid():
        os.chmod(root, 0o700)
        for folder, names, _ in os.walk(root):
            for name in names:
                if not os.path.islink(path := os.path.join(folder, name)):
                    os.chmod(path, 0o700)
    shutil.rmtree(root)


def put(path: str, content: bytes) -> None:
    """A new file."""
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    os.write(number, content)
    os.close(number)


def node(path: str, kind: str) -> None:
    """A device node of our own. Raises OSError where that is not allowed."""
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(*_NODES[kind]))


@contextlib.contextmanager
def _inside(folder: str) -> Any:
    here = os.open(".", os.O_RDONLY)
    os.chdir(folder)
    try:
        yield
    finally:
        os.fchdir(here)
        os.close(here)


def _own(path: str, owner: int) -> None:
    if os.geteuid() == 0:
        os.chown(path, USERS[owner], USERS[owner], follow_symlinks=False)


def _lstat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (OSError, ValueError):
        return None


_KINDS = {
    stat.S_IFREG: "file", stat.S_IFLNK: "link", stat.S_IFDIR: "directory", stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
}  # fmt: skip


def look(path: str) -> Look:
    """A name as the system tells it."""
    about = _lstat(path)
    if about is None:
        return Look("absent")
    kind = _KINDS.get(stat.S_IFMT(about.st_mode), "unknown")
    to = os.readlink(path) if kind == "link" else ""
    mode = stat.S_IMODE(about.st_mode)
    return Look(kind, about.st_ino, about.st_rdev, mode, about.st_uid, plain_read(path).content, to)


def plain_read(path: Any) -> Plain:
    """Read a path, or a descriptor, as Python's ``open(path, "rb")`` does, without waiting."""
    try:
        number = os.dup(path) if isinstance(path, int) else os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        return Plain(type(error).__name__)
    try:
        about = os.fstat(number)
        if stat.S_ISDIR(about.st_mode):
            return Plain("IsADirectoryError")
        if not stat.S_ISREG(about.st_mode) or (not about.st_size and about.st_dev == _proc_device()):
            return Plain(special=True)
        return Plain(content=os.pread(number, about.st_size, 0))
    finally:
        os.close(number)


def _proc_device() -> int:
    return os.stat("/proc").st_dev


def plain_write(path: Any, content: bytes) -> Plain:
    """Write a path as Python's ``open(path, "wb")`` does, without waiting."""
    number = -1
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK, 0o666)
        os.write(number, content)
    except (OSError, ValueError) as error:
        return Plain(type(error).__name__)
    finally:
        if number >= 0:
            os.close(number)
    return Plain()


@contextlib.contextmanager
def as_user(dropped: bool) -> Any:
    """Give up root's rights for a while. Elsewhere than as root nothing changes."""
    if not dropped or os.geteuid() != 0:
        yield
        return
    os.setegid(USERS[0])
    os.seteuid(USERS[0])
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def enterable(folder: Path) -> bool:
    """Let all users pass through a private folder, and its parents below the place for temporary files. Whether that suffices."""
    if os.geteuid() == 0:
        for one in (folder, *folder.parents):
            if not one.is_relative_to(scratch.root()) or str(one) == scratch.root():
                break
            one.chmod(stat.S_IMODE(one.stat().st_mode) | 0o011)
    with as_user(dropped=True):
        return os.access(folder, os.X_OK, effective_ids=True)


def why_no_nodes(folder: str) -> str:
    """Why device nodes cannot be made and opened in ``folder``, or ""."""
    path = os.path.join(folder, "node")
    try:
        node(path, "null")
        os.close(os.open(path, os.O_RDONLY))
    except OSError as error:
        return error.strerror or str(error)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(path)
    return ""
