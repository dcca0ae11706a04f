"""The expected results of calls on files that open, close, move and shrink: a small model of files, handles and slices.

A closed handle must refuse (``SafetensorError``). An open handle must return the content of its file at the time of opening,
also after a rename. A replaced file is another file. Arrays belong to the caller. Nothing is promised of a handle whose file
was overwritten in place, nor of a slice after its handle closed: there the model expects nothing.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy

from harness.targets.lifecycle.kit import CONTENTS, FILES, METADATA

#: The expected end of a call: a value; the documented error; either; a value, TypeError or AttributeError. Any other end is
#: the name of the only right exception.
VALUE, REFUSED, ANY, TYPE = "value", "refused", "any", "type"
#: The signal of a read from a mapping beyond the end of its file.
BUS = "SIGBUS"
#: States of a handle from a file object whose file was renamed, or removed.
ELSEWHERE, NOWHERE = "elsewhere", "nowhere"
#: Stands for an unknown value.
UNKNOWN: Final = object()


class Call(NamedTuple):
    """One call: an expression, the variable for its value ("" for none), its expected end, and the expected value.

    ``wanted`` is an expression, "" for an unknown value. ``state`` is the state of files and handles in few words: a defect
    most probably depends on it, so signatures contain it. ``hazard`` is a signal that may end the call.
    """

    kind: str
    source: str
    bind: str = ""
    end: str = VALUE
    wanted: str = ""
    state: str = ""
    hazard: str = ""


@lru_cache(1 << 10)
def value(wanted: str) -> Any:
    """The value of an expression of :attr:`Call.wanted`."""
    known = {"CONTENTS": CONTENTS, "METADATA": METADATA, "numpy": numpy}
    return eval(wanted, known) if wanted else UNKNOWN  # noqa: S307 - text of the language's tables


@dataclass(slots=True, eq=False)
class Inode:
    """A file without its names. ``size`` is -1 where unknown; ``laid_out`` is false where the parser wrote the file.

    ``version`` counts changes of its bytes in place. ``changed`` says that the content is no longer known.
    """

    content: int
    laid_out: bool = True
    size: int = -1
    version: int = 0
    valid: bool = True
    changed: bool = False

    def __post_init__(self) -> None:
        self.size = len(FILES[self.content]) if self.laid_out else -1

    def change(self) -> None:
        """One byte changes."""
        self.version += 1
        self.changed = True

    def rewrite(self, content: int) -> None:
        """Replace the content."""
        self.content, self.laid_out, self.valid, self.changed = content, True, True, False
        self.size = len(FILES[content])
        self.version += 1

    def cut(self, keep: float) -> bool:
        """Cut off the end; false where it was cut before."""
        if not self.valid:
            return False
        if self.laid_out:
            self.size = self.size - 1 if keep < 0 else int(self.size * keep)
        else:
            self.version += 1
        self.valid = False
        return True


@dataclass(slots=True, eq=False)
class View:
    """A handle or a slice, with the state of its file at the time of opening. ``origin`` is "", ELSEWHERE or NOWHERE."""

    inode: Inode
    backend: str
    content: int
    laid_out: bool
    version: int
    blurred: bool
    origin: str = ""
    closed: bool = False
    owner: View | None = None
    tensor: int = 0


@dataclass(slots=True)
class Model:
    """All variables and files, and the calls so far."""

    paths: int
    calls: list[Call] = field(default_factory=list)
    hazard: str = ""
    files: dict[str, Inode] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)
    arrays: dict[str, str] = field(default_factory=dict)
    objects: dict[str, tuple[Inode, str]] = field(default_factory=dict)
    errors: dict[str, None] = field(default_factory=dict)
    cuts: bool = False

    def __post_init__(self) -> None:
        # At first the last path has no file.
        self.files = {f"p{number}": Inode(number) for number in range(self.paths - 1)}

    def call(
        self,
        kind: str,
        source: str,
        end: str = VALUE,
        wanted: str = "",
        *,
        bind: str = "",
        state: str = "",
        hazard: bool = False,
    ) -> None:
        """Add a call."""
        sign = f"{BUS}/{kind}" if hazard else ""
        self.hazard = self.hazard or sign
        self.calls.append(Call(kind, source, bind, end, wanted, state, sign))

    def pick(self, prefix: str, number: int) -> str:
        """One of the variables with this first letter; "" where there is none."""
        tables: dict[str, dict[str, Any]] = {"a": self.arrays, "f": self.objects, "e": self.errors}
        names = sorted(name for name in tables.get(prefix, self.views) if name[0] == prefix)
        return names[number % len(names)] if names else ""

    def forget(self, name: str) -> None:
        """Delete a variable."""
        tables: tuple[dict[str, Any], ...] = (self.views, self.arrays, self.objects, self.errors)
        for table in tables:
            table.pop(name, None)

    def held(self, path: str) -> str:
        """Whether a handle has the file of a path open: the state of a call that replaces the file."""
        inode = self.files.get(path)
        return "held" if any(view.inode is inode for view in self.views.values()) else "free"

    def state(self, name: str) -> str:
        """The state of a handle or slice, for signatures."""
        view = self.views[name]
        owner = view.owner or view
        if view.closed:
            return "closed"
        state = "open" if view.inode in self.files.values() else "unlinked"
        if view.origin:
            state = view.origin
        elif self._moved_on(view):
            state = "changed"
        elif not view.inode.valid:
            state = "cut"
        return f"{state}{'-closed' if owner.closed else ''}/{view.backend}"

    def open(self, kind: str, source: str, name: str, inode: Inode | None, backend: str, moved: str) -> None:
        """Open ``inode`` as the handle ``name``."""
        if inode is None:
            self.call(kind, source, "FileNotFoundError", state=moved)
        elif not inode.valid and moved in (ELSEWHERE, NOWHERE):
            return  # the parser opens the path, and another file is there now
        elif not inode.valid:
            self.call(kind, source, REFUSED, state="cut")
        else:
            origin = moved if moved in (ELSEWHERE, NOWHERE) else ""
            self.call(kind, source, VALUE, bind=name, state=f"{origin or 'open'}/{backend}")
            self.views[name] = View(inode, backend, inode.content, inode.laid_out, inode.version, inode.changed, origin)

    def _moved_on(self, view: View) -> bool:
        return view.blurred or view.version != view.inode.version

    def reach(self, view: View, tensors: list[int]) -> str:
        """The state of the bytes of these tensors: whole, changed, gone (beyond the last page), zeroed (on it), or unknown."""
        inode = view.inode
        if self.cuts and view.origin:
            # The parser may have opened another file, and that one may be cut.
            return "unknown"
        if inode.valid and not self._moved_on(view):
            return "whole"
        if inode.valid and not inode.laid_out:
            return "changed"
        if not view.laid_out or inode.size < 0:
            return "unknown"
        begin = 8 + int.from_bytes(FILES[view.content][:8], "little")
        end = 0
        for number, array in enumerate(CONTENTS[view.content].values()):
            begin += array.nbytes
            if number in tensors and array.nbytes:
                end = begin
        if end <= inode.size:
            return "changed" if self._moved_on(view) else "whole"
        last = -(-inode.size // mmap.PAGESIZE) * mmap.PAGESIZE
        return "gone" if last < end else "changed" if self._moved_on(view) else "zeroed"

    def deadly(self, view: View, tensors: list[int]) -> bool:
        """Whether a read of these tensors may reach beyond the end of a mapped file."""
        return view.backend == "mmap" and self.reach(view, tensors) in ("gone", "unknown")

    def whole(self, view: View) -> bool:
        """Whether the model knows all results of a handle."""
        return view.closed or (not view.origin and self.reach(view, _all(view)) == "whole")

    def ask(self, kind: str, number: int, source: str, wanted: str) -> None:
        """A call that the header answers."""
        name = self.pick("h", number)
        if name:
            view = self.views[name]
            if view.closed:
                self.call(kind, source.format(name), REFUSED, state="closed")
            else:
                self.call(kind, source.format(name), VALUE, wanted.format(view.content), state=self.state(name))

    def read(self, kind: str, number: int, tensor: int | None, source: str, bind: str = "") -> None:
        """Read one tensor of a handle, or all."""
        name = self.pick("h", number)
        if not name:
            return
        view = self.views[name]
        names = list(CONTENTS[view.content])
        if tensor is None:
            self._bytes(kind, name, source.format(name), f"CONTENTS[{view.content}]", _all(view), bind)
            return
        place = tensor % 4
        if not names or place == 3:
            self.call(kind, source.format(name, "zz"), REFUSED, state="closed" if view.closed else "missing")
            return
        place %= len(names)
        wanted = f"CONTENTS[{view.content}][{names[place]!r}]"
        self._bytes(kind, name, source.format(name, names[place]), wanted, [place], bind)

    def _bytes(self, kind: str, name: str, source: str, wanted: str, tensors: list[int], bind: str = "") -> None:
        """A call that reads the bytes of ``tensors``."""
        view, state = self.views[name], self.state(name)
        owner = view.owner or view
        if view.closed:
            self.call(kind, source, REFUSED, state=state)
            return
        where = self.reach(view, tensors)
        mapped = view.backend == "mmap"
        if where == "whole":
            end = ANY if owner.closed else VALUE
            self.call(kind, source, end, wanted, bind=bind if end == VALUE else "", state=state)
            if bind and end == VALUE:
                self.arrays[bind] = wanted
        elif where == "zeroed" or (where == "gone" and not mapped and not self._moved_on(view)):
            self.call(kind, source, REFUSED, state=state)
        else:
            self.call(kind, source, ANY, state=state, hazard=self.deadly(view, tensors))

    def keep_slice(self, number: int, tensor: int, bind: str) -> None:
        """Get a slice object for later."""
        name = self.pick("h", number)
        if not name:
            return
        view = self.views[name]
        names = list(CONTENTS[view.content])
        if view.closed or not names or tensor % 4 == 3:
            source = f"{name}.get_slice({names[0] if names and view.closed else 'zz'!r})"
            self.call("get_slice", source, REFUSED, state="closed" if view.closed else "missing")
            return
        place = tensor % 4 % len(names)
        self.call("get_slice", f"{name}.get_slice({names[place]!r})", VALUE, bind=bind, state=self.state(name))
        self.views[bind] = replace(view, owner=view, tensor=place)

    def read_slice(self, name: str, index: str) -> None:
        """Read from a slice object."""
        view = self.views[name]
        wanted = f"CONTENTS[{view.content}][{list(CONTENTS[view.content])[view.tensor]!r}][{index}]"
        if index != "..." and self.reach(view, [view.tensor]) not in ("whole", "changed"):
            # A part of missing bytes may still exist.
            index, wanted = "...", wanted.replace(f"[{index}]", "[...]")
        self._bytes("read", name, f"{name}[{index}]", wanted, [view.tensor])

    def simple(self, name: str, way: str) -> tuple[str, str]:
        """A call on an open handle for another thread or process, and its expected value."""
        content = self.views[name].content
        names = list(CONTENTS[content])
        if way == "exit":
            return f"{name}.__exit__(None, None, None)", "None"
        if way == "keys" or not names:
            return f"sorted({name}.keys())", f"sorted(CONTENTS[{content}])"
        call = f"{name}.get_tensor({names[0]!r})" if way == "get_tensor" else f"{name}.get_slice({names[0]!r})[...]"
        return call, f"CONTENTS[{content}][{names[0]!r}]"


def _all(view: View) -> list[int]:
    return list(range(len(CONTENTS[view.content])))
