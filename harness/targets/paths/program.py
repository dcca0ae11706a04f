"""The language of target ``paths``: kinds of files at a path, ways to name it, rights, and an act of another process.

Steps set the scene. Each call then meets a fresh folder of that scene. An act is for the next call alone: the other process
acts before the file system call of number ``point`` of that call (:mod:`harness.targets.paths.tracer`).
"""

from __future__ import annotations

import errno
from functools import lru_cache
from typing import Any, NamedTuple

from harness.format.encode import pack
from harness.programs import arrays
from harness.programs.arrays import BACKENDS, NUMPY_NAMES
from harness.programs.steps import Kind, Vocabulary

#: The kinds of files at the path.
THINGS = (
    "file", "absent", "empty", "cut", "sparse", "hard-link", "symlink", "dangling", "loop", "directory", "symlink-directory",
    "fifo", "fed-fifo", "socket", "null", "zero", "full", "proc", "mem", "symlink-null", "symlink-fifo", "through",
)  # fmt: skip
#: Things whose reader, or writer, may wait for a process at the other end.
PIPES = frozenset(("fifo", "fed-fifo", "symlink-fifo"))
#: Names below the folder. The last two are lengths of the whole path: the longest one, and one past it.
NAMES = ("plain", "unicode", "undecodable", "space", "hidden", "longest-name", "long-name", "longest-path", "long-path")
#: Forms of the argument. From ANNOTATED on, the annotation (str or os.PathLike of str) does not cover them.
SPELLINGS = (
    "str", "Path", "PathLike", "subclass", "relative", "dotted", "slash", "descriptor-path", "empty", "nul", "surrogate", "raises",
    "bytes", "PathLike-bytes", "PathLike-int", "int", "None", "file",
)  # fmt: skip
ANNOTATED = SPELLINGS.index("bytes")
#: Forms that name the path under test.
SAME_PATH = ("str", "Path", "PathLike", "subclass", "relative", "dotted", "descriptor-path", "bytes", "PathLike-bytes")
FILE_MODES = (0o644, 0o600, 0o444, 0o400, 0o200, 0o000, 0o666)
FOLDER_MODES = (0o755, 0o555, 0o777, 0o1777, 0o300, 0o500, 0o000)
#: Acts of another process on the path, its folder, or unknown files in the folder; then failures of the system call.
MOVES = ("replace", "unlink", "away", "to-symlink", "to-directory", "to-fifo", "forbid", "forbid-folder", "sweep")
IN_PLACE = ("overwrite", "append", "truncate")
FAULTS = {
    "ENOENT": errno.ENOENT, "EACCES": errno.EACCES, "EMFILE": errno.EMFILE, "EIO": errno.EIO, "ENOSPC": errno.ENOSPC,
    "EINTR": errno.EINTR, "short": 0,
}  # fmt: skip
_OPENING = ("open", "openat", "openat2")
_MOVING = ("rename", "renameat", "renameat2", "unlink", "unlinkat", "link", "linkat")
_WRITING = ("write", "pwrite", "writev", "pwritev")
_READING = ("read", "pread", "readv", "preadv")
#: The system calls whose manual page lists the failure. A fault at another call does nothing.
FAILING = {
    "ENOENT": (*_OPENING, *_MOVING), "EACCES": (*_OPENING, *_MOVING, "mmap"), "EMFILE": _OPENING,
    "EIO": (*_READING, *_WRITING, "ftruncate", "fsync", "close", "unlink", "unlinkat", "link", "linkat"),
    "ENOSPC": (*_OPENING, *_WRITING, "rename", "renameat", "renameat2", "close"),
    "EINTR": (*_OPENING, *_READING, *_WRITING, "ftruncate", "fsync", "close"),
    "short": ("read", "pread", "write", "pwrite"),
}  # fmt: skip
ACTS = (*MOVES, *IN_PLACE, *FAULTS)
HANDLES = ("open", "descriptor", "moved", "replaced")
FRAMEWORKS = ("numpy", "pt", "paddle")

#: The contents by number. The first two differ in values alone, and so do the next two, which are longer than a page.
CONTENTS: tuple[arrays.Tensors, ...] = (
    (("a", "F32", (4,), 0),),
    (("a", "F32", (4,), 1),),
    (("a", "F32", (3000,), 2), ("b", "U8", (5,), 3)),
    (("a", "F32", (3000,), 4), ("b", "U8", (5,), 5)),
    (("b", "I64", (2, 2), 6), ("c", "F16", (3,), 7), ("d", "BOOL", (2,), 8)),
    (),
)
#: The size of the tensor of the sparse file, in bytes: all of its pages are holes.
HOLE = 1 << 20
#: Contents to save whose data, or whose header, is longer than the buffer of the writers: name, dtype, shape and bytes of a tensor.
_LENGTH = HOLE + 5
LARGE = (("a", "U8", (_LENGTH,), bytes(_LENGTH)), ("n" * _LENGTH, "U8", (1,), b"\1"))
#: The file of each content; the large ones come last.
FILES = (*map(arrays.file, CONTENTS), *(pack([tensor]) for tensor in LARGE))
SPARSE = pack([("a", "U8", (HOLE,), bytes(HOLE))])

_CONTENT = range(len(CONTENTS))
_POINTS = range(10)
_LARGE = (*[0] * 6, 1, 2)
VOCABULARY = Vocabulary(
    [
        Kind("thing", 5, (range(len(THINGS)), (0, 0, 2, 4)), default_values=((0, 0, 5, 6), (0, 2))),
        Kind("name", 2, (range(len(NAMES)),), default_values=((0, 1, 2),)),
        Kind("spelling", 3, (range(len(SPELLINGS)),), default_values=((0, 1, 2),)),
        Kind("user", 2, (range(2),)),
        Kind("rights", 2, (range(len(FILE_MODES)), range(3)), default_values=((0,), (0,))),
        Kind("folder", 2, (range(len(FOLDER_MODES)), range(3)), default_values=((0,), (0,))),
        Kind("act", 5, (range(len(ACTS)), _POINTS, _CONTENT)),
        # paddle is at fewer places than the others.
        Kind("open", 4, ((*range(4), *range(6)),)),
        Kind("load_file", 2, ((*range(4), *range(6)),)),
        Kind("handle", 2, (range(len(HANDLES)), range(2))),
        Kind("save_file", 4, ((0, 0, 0, 1, 1, 2), _CONTENT, _LARGE)),
        Kind("serialize_file", 2, (range(1), _CONTENT, _LARGE)),
        Kind("load_model", 2, (range(2),)),
        Kind("save_model", 2, (range(1), _CONTENT)),
    ],
    max_steps=10,
)
READERS = frozenset(("open", "load_file", "handle", "load_model"))
#: Calls of torch alone.
MODULES = frozenset(("load_model", "save_model"))
#: Forms of a path that are no str: the annotation of ``save_model`` does not cover them.
_NO_STR = frozenset(("Path", "PathLike", "raises"))


class Act(NamedTuple):
    """An act of another process before file system call ``point`` (from 0) of a call; ``content`` is the file it brings."""

    name: str
    point: int
    content: int


class Scene(NamedTuple):
    """One call, and the scene that it meets.

    ``content`` is the number of the file at the path, ``given`` of the content to save. ``owner`` and ``folder_owner`` select the
    user of the call (0), root (1) or a third one (2).
    """

    call: str
    framework: str = "numpy"
    backend: str = "mmap"
    form: str = ""
    given: int = 0
    thing: str = "file"
    content: int = 0
    name: str = "plain"
    spelling: str = "str"
    dropped: bool = False
    mode: int = 0o644
    owner: int = 1
    folder_mode: int = 0o755
    folder_owner: int = 0
    act: Act | None = None

    @property
    def reads(self) -> bool:
        """Whether the call reads."""
        return self.call in READERS

    @property
    def annotated(self) -> bool:
        """Whether the annotation of the call covers the form of its argument."""
        covered = SPELLINGS.index(self.spelling) < ANNOTATED
        return covered and not (self.call == "save_model" and self.spelling in _NO_STR)

    @property
    def in_place(self) -> bool:
        """Whether the act changes the bytes of the very file."""
        return self.act is not None and self.act.name in IN_PLACE

    @property
    def faulty(self) -> bool:
        """Whether the act is a failure of a system call."""
        return self.act is not None and self.act.name in FAULTS

    @property
    def hazard(self) -> str:
        """``SIGBUS/CALL`` where a mapped file is cut under the reader, else ""."""
        cut = self.act is not None and self.act.name == "truncate"
        return f"SIGBUS/{self.call}" if self.reads and self.backend == "mmap" and cut else ""


Program = tuple[Scene, ...]


@lru_cache(1 << 10)
def decode(program: bytes) -> Program:
    """The calls of a program, each with its scene; never raises."""
    scene = Scene("")
    calls: list[Scene] = []
    for step in VOCABULARY.decode(program):
        kind = VOCABULARY.kinds[step.kind].name
        a, b, c = step.a, step.b, step.c
        match kind:
            case "thing":
                scene = scene._replace(thing=THINGS[a % len(THINGS)], content=b % len(CONTENTS))
            case "name":
                scene = scene._replace(name=NAMES[a % len(NAMES)])
            case "spelling":
                scene = scene._replace(spelling=SPELLINGS[a % len(SPELLINGS)])
            case "user":
                scene = scene._replace(dropped=not a % 2)
            case "rights":
                scene = scene._replace(mode=FILE_MODES[a % len(FILE_MODES)], owner=(1, 0, 2)[b % 3])
            case "folder":
                scene = scene._replace(folder_mode=FOLDER_MODES[a % len(FOLDER_MODES)], folder_owner=b % 3)
            case "act":
                scene = scene._replace(act=Act(ACTS[a % len(ACTS)], b % len(_POINTS), c % len(CONTENTS)))
            case _:
                made = scene._replace(call=kind, **_arguments(kind, a, b))
                if kind in ("save_file", "serialize_file") and c % 4 in (1, 2) and scene.thing not in PIPES:
                    made = made._replace(given=len(CONTENTS) - 1 + c % 4)
                calls.append(made)
                scene = scene._replace(act=None)
    return tuple(calls)


def _arguments(kind: str, a: int, b: int) -> dict[str, Any]:
    backend = BACKENDS[b % 2]
    if kind == "handle":
        # Its argument is an open file.
        return {"form": HANDLES[a % len(HANDLES)], "backend": backend, "spelling": "str"}
    if kind in READERS:
        return {
            "framework": "pt" if kind in MODULES else FRAMEWORKS[a // 2 % len(FRAMEWORKS)],
            "backend": BACKENDS[a % 2],
        }
    of_kind = {"save_file": FRAMEWORKS[a % len(FRAMEWORKS)], "save_model": "pt"}
    return {"framework": of_kind.get(kind, "numpy"), "given": b % len(CONTENTS)}


Tensors = dict[str, tuple[str, tuple[int, ...], bytes]]


@lru_cache(len(FILES))
def tensors(number: int) -> Tensors:
    """A content: dtype of numpy, shape and bytes of each tensor, by name."""
    if number >= len(CONTENTS):
        name, dtype, shape, raw = LARGE[number - len(CONTENTS)]
        return {name: (NUMPY_NAMES[dtype], shape, raw)}
    return {
        name: (NUMPY_NAMES[dtype], shape, arrays.content(dtype, shape, salt))
        for name, dtype, shape, salt in CONTENTS[number]
    }


#: The tensors of each valid file, by its bytes.
READINGS: dict[bytes, Tensors] = {
    **{raw: tensors(number) for number, raw in enumerate(FILES)},
    SPARSE: {"a": ("uint8", (HOLE,), bytes(HOLE))},
}


def explain(program: Program) -> str:
    """The calls of a program in words, a line each."""
    return "".join(f"{told(scene)}\n" for scene in program)


def told(scene: Scene) -> str:
    """One call and its scene in words."""
    content = f" of content {scene.content}" if scene.thing in ("file", "hard-link", "symlink", "fed-fifo") else ""
    words = [f"{scene.thing}{content}"]
    words += [f"name: {scene.name}"] if scene.name != "plain" else []
    words += [f"mode {scene.mode:o}"] if scene.mode != 0o644 else []
    words += [f"folder of mode {scene.folder_mode:o}"] if scene.folder_mode != 0o755 else []
    words += [f"owners {scene.owner} and {scene.folder_owner}"] if scene.owner != 1 or scene.folder_owner else []
    words += ["without root's rights"] if scene.dropped else []
    if scene.act is not None:
        brings = f" (content {scene.act.content})" if scene.act.name in ("replace", "to-symlink", "overwrite") else ""
        words.append(f"{scene.act.name}{brings} before file system call {scene.act.point}")
    more = f", {scene.framework}, {scene.backend}" if scene.reads else f", {scene.framework}, content {scene.given}"
    form = f", {scene.form} file" if scene.form else ""
    return f"{scene.call}({scene.spelling}{form}{more})  # {'; '.join(words)}"
