"""The arguments of calls: every form of a path, and open files."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from harness.targets.paths.program import CONTENTS, FILES, Scene
from harness.targets.paths.world import World


class PathLike:
    """A path by ``__fspath__``, which returns or raises the value."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __fspath__(self) -> Any:
        """The value, or its error."""
        if isinstance(self._value, BaseException):
            raise self._value
        return self._value


class OwnError(Exception):
    """Raised by ``__fspath__``."""


class Subclass(str):
    """A path of a subclass of str."""

    __slots__ = ()


class Argument(NamedTuple):
    """The argument of a call. ``plain`` is the same path for the system. ``open`` is to be closed after the call.

    A number as ``plain`` is a descriptor. None means that no file is named.
    """

    value: Any
    plain: Any
    open: io.IOBase | None = None


def argument(scene: Scene, world: World) -> Argument | None:
    """The argument of the call; None where it cannot be made."""
    path = world.path
    if scene.call == "handle" or scene.spelling in ("descriptor-path", "file", "int"):
        if world.pipe or os.path.isdir(path):
            return None  # nothing that a file object can hold
        try:
            number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return None
        return _opened(scene, world, number)
    below = path.removeprefix(world.base + "/")
    values: dict[str, Callable[[], Any]] = {
        "Path": lambda: Path(path), "PathLike": lambda: PathLike(path), "subclass": lambda: Subclass(path),
        "relative": lambda: below, "dotted": lambda: f"{world.base}/.//../{os.path.basename(world.base)}/{below}",
        "slash": lambda: path + "/", "empty": lambda: "", "nul": lambda: path + "\0x", "surrogate": lambda: path + "\ud800",
        "raises": lambda: PathLike(OwnError("raised")), "bytes": lambda: os.fsencode(path),
        "PathLike-bytes": lambda: PathLike(os.fsencode(path)), "PathLike-int": lambda: PathLike(1), "None": lambda: None,
    }  # fmt: skip
    value = values.get(scene.spelling, lambda: path)()
    return Argument(value, None if scene.spelling in ("raises", "PathLike-int", "None") else value)


def _opened(scene: Scene, world: World, number: int) -> Argument:
    """An open file, or its number, or the path of its number."""
    if scene.call != "handle" and scene.spelling != "file":
        file = io.FileIO(number)
        value = number if scene.spelling == "int" else f"/proc/self/fd/{number}"
        return Argument(value, None if scene.spelling == "int" else value, file)
    if scene.form == "descriptor":
        file = io.FileIO(number)
    else:
        file = io.FileIO(world.path, opener=lambda *_: number)
    if scene.form in ("moved", "replaced"):
        os.rename(world.path, world.root + "/moved")
        if scene.form == "replaced":
            Path(world.path).write_bytes(FILES[(scene.content + 1) % len(CONTENTS)])
    return Argument(file, number, file)


def fair(scene: Scene) -> tuple[type[BaseException], ...]:
    """The errors that the form of the argument may raise beside those of the library."""
    if scene.spelling in ("nul", "surrogate"):
        return (ValueError,)
    if scene.spelling == "raises" and scene.call != "handle":
        return (OwnError,)
    return () if scene.annotated and scene.form != "descriptor" else (TypeError,)
