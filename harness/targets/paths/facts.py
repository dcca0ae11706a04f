"""The facts of one call of target ``paths``, as the operating system tells them before and after."""

from __future__ import annotations

from dataclasses import dataclass

from harness.targets.paths.program import Scene
from harness.targets.paths.world import Look, Plain

_NOTHING = Plain()
_ABSENT = Look("absent")


class Saved:
    """The value of a writer that returned."""


@dataclass(slots=True)
class Facts:
    """The ``name`` of the path, the path and the other file ``before`` and ``after``, and the ``names`` in the folder.

    ``read_before`` and ``read_after`` are plain reads of a reader's argument. ``plain`` is a plain write of a writer's content into
    a twin of the folder, and ``twin`` shows the path and the other file there afterwards. ``calls`` are the file system calls of a traced
    call; ``acted`` says that the other process acted; ``waited`` counts the waits for the other end of a pipe. ``piped`` are the bytes that
    came through a pipe.
    """

    scene: Scene
    name: str
    before: tuple[Look, Look]
    names: frozenset[str]
    after: tuple[Look, Look] = (_ABSENT, _ABSENT)
    names_after: frozenset[str] = frozenset()
    read_before: Plain = _NOTHING
    read_after: Plain = _NOTHING
    plain: Plain | None = None
    twin: tuple[Look, Look] | None = None
    calls: tuple[str, ...] = ()
    acted: bool = False
    waited: int = 0
    piped: bytes = b""
