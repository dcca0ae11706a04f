"""What should come of calls on files that open, close, move and shrink: a small model of files, handles and slices.

What it holds the parser to: a closed handle refuses (``SafetensorError``); an open one gives what its file held when it was
opened, wherever the file's name has gone; a file that another name points to now is another file; arrays are the
caller's own. It is silent where nobody has promised anything: what a handle gives after its file was overwritten in
place, and whether a slice that was kept outlives its handle.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy

from harness.targets.lifecycle.kit import CONTENTS, FILES, METADATA, SPECS

#: How a call should end: with a value; with the documented error; with either; with a value, TypeError or AttributeError.
#: Any other end is the name of the only exception that is right.
VALUE, REFUSED, ANY, TYPE = "value", "refused", "any", "type"
#: What a process dies of that reads a mapping past the end of its file.
BUS = "SIGBUS"
#: States of a handle that was made from a file object whose file has another name by now, or none.
ELSEWHERE, NOWHERE = "elsewhere", "nowhere"
#: In place of a value that is not known.
UNKNOWN: Final = object()


class Call(NamedTuple):
    """One call: an expression, the name its value is kept under ("" for none), how it should end, and with what value.

    ``wanted`` is an expression, "" where nothing is known of the value. ``state`` says in what state of things the call was
    made, in few words: what a defect most probably depends on, for signatures. ``hazard`` is the signal that the call may well
    end with.
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
    """What an expression of :attr:`Call.wanted` stands for."""
    # The text comes from the tables of the language, never from outside.
    known = {"CONTENTS": CONTENTS, "METADATA": METADATA, "numpy": numpy}
    return eval(wanted, known) if wanted else UNKNOWN  # noqa: S307


class Program(NamedTuple):
    """The calls, and the first hazard among them as ``signal/call``, "" where there is none."""

    calls: tuple[Call, ...]
    hazard: str


@dataclass(slots=True, eq=False)
class Inode:
    """A file apart from its names. ``size`` is -1 where it is not known; ``laid_out`` is false where the parser wrote it.

    ``version`` counts changes of its bytes in place, and ``changed`` says that they are none of ours any more.
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
        """One of its bytes becomes another."""
        self.version += 1
        self.changed = True

    def rewrite(self, content: int) -> None:
        """It gets another content."""
        self.content, self.laid_out, self.valid, self.changed = content, True, True, False
        self.size = len(FILES[content])
        self.version += 1

    def cut(self, keep: float) -> bool:
        """It loses its end; false where nothing is left to lose."""
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
    """A handle or a kept slice, with what its file was when it was opened. ``origin`` is "" or how the file's name had moved."""

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
    """All names, and the calls so far."""

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
        # The last path has no file at first.
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
        """One of the names of a sort that are in use; "" where there is none."""
        tables: dict[str, dict[str, Any]] = {"a": self.arrays, "f": self.objects, "e": self.errors}
        names = sorted(name for name in tables.get(prefix, self.views) if name[0] == prefix)
        return names[number % len(names)] if names else ""

    def forget(self, name: str) -> None:
        """A name is in use no more."""
        tables: tuple[dict[str, Any], ...] = (self.views, self.arrays, self.objects, self.errors)
        for table in tables:
            table.pop(name, None)

    def held(self, path: str) -> str:
        """Whether a path names a file that a handle has open, for the call that puts another there."""
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
            return  # the parser looks at the name, and what is there now is no matter of this file's
        elif not inode.valid:
            self.call(kind, source, REFUSED, state="cut")
        else:
            origin = moved if moved in (ELSEWHERE, NOWHERE) else ""
            self.call(kind, source, VALUE, bind=name, state=f"{origin or 'open'}/{backend}")
            self.views[name] = View(inode, backend, inode.content, inode.laid_out, inode.version, inode.changed, origin)

    def _moved_on(self, view: View) -> bool:
        return view.blurred or view.version != view.inode.version

    def reach(self, view: View, tensors: list[int]) -> str:
        """Where the bytes of these tensors are: whole, changed, gone (past the last page), zeroed (on it), or unknown."""
        inode = view.inode
        if self.cuts and view.origin:
            # Where the parser took another file for this one, it is that which may be cut.
            return "unknown"
        if inode.valid and not self._moved_on(view):
            return "whole"
        if inode.valid and not inode.laid_out:
            # Nobody cut it, whatever its length.
            return "changed"
        if not view.laid_out or inode.size < 0:
            return "unknown"
        begin = 8 + int.from_bytes(FILES[view.content][:8], "little")
        end = 0
        for number, (_, dtype, _, shape, _) in enumerate(SPECS[view.content][0]):
            begin += _size(dtype, shape)
            if number in tensors and _size(dtype, shape):
                end = begin
        if end <= inode.size:
            return "changed" if self._moved_on(view) else "whole"
        last = -(-inode.size // mmap.PAGESIZE) * mmap.PAGESIZE
        return "gone" if last < end else "changed" if self._moved_on(view) else "zeroed"

    def deadly(self, view: View, tensors: list[int]) -> bool:
        """Whether a read of these tensors may well be one of a mapping past the end of its file."""
        return view.backend == "mmap" and self.reach(view, tensors) in ("gone", "unknown")

    def whole(self, view: View) -> bool:
        """Whether all that a handle can give is known, beyond doubt."""
        return view.closed or (
            not view.origin and self.reach(view, list(range(len(SPECS[view.content][0])))) == "whole"
        )

    def ask(self, kind: str, number: int, source: str, wanted: str) -> None:
        """A question that the header answers."""
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
        names = [spec[0] for spec in SPECS[view.content][0]]
        if tensor is None:
            self._bytes(kind, name, source.format(name), f"CONTENTS[{view.content}]", list(range(len(names))), bind)
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
            # What is gone from the file cannot be given.
            self.call(kind, source, REFUSED, state=state)
        else:
            self.call(kind, source, ANY, state=state, hazard=self.deadly(view, tensors))

    def keep_slice(self, number: int, tensor: int, bind: str) -> None:
        """Keep a slice object."""
        name = self.pick("h", number)
        if not name:
            return
        view = self.views[name]
        names = [spec[0] for spec in SPECS[view.content][0]]
        if view.closed or not names or tensor % 4 == 3:
            source = f"{name}.get_slice({names[0] if names and view.closed else 'zz'!r})"
            self.call("get_slice", source, REFUSED, state="closed" if view.closed else "missing")
            return
        place = tensor % 4 % len(names)
        self.call("get_slice", f"{name}.get_slice({names[place]!r})", VALUE, bind=bind, state=self.state(name))
        self.views[bind] = View(
            view.inode, view.backend, view.content, view.laid_out, view.version, view.blurred, view.origin, owner=view, tensor=place
        )  # fmt: skip

    def read_slice(self, name: str, index: str) -> None:
        """Read from a slice that was kept."""
        view = self.views[name]
        wanted = f"CONTENTS[{view.content}][{SPECS[view.content][0][view.tensor][0]!r}][{index}]"
        if index != "..." and self.reach(view, [view.tensor]) not in ("whole", "changed"):
            # A part of what is gone may be there still.
            index, wanted = "...", wanted.replace(f"[{index}]", "[...]")
        self._bytes("read", name, f"{name}[{index}]", wanted, [view.tensor])

    def simple(self, name: str, way: str) -> tuple[str, str]:
        """A call on a handle that is open, and what it gives, for calls that are made beside others."""
        content = self.views[name].content
        names = [spec[0] for spec in SPECS[content][0]]
        if way == "exit":
            return f"{name}.__exit__(None, None, None)", "None"
        if way == "keys" or not names:
            return f"sorted({name}.keys())", f"sorted(CONTENTS[{content}])"
        call = f"{name}.get_tensor({names[0]!r})" if way == "get_tensor" else f"{name}.get_slice({names[0]!r})[...]"
        return call, f"CONTENTS[{content}][{names[0]!r}]"


_WIDTHS = {"F32": 4, "U8": 1, "F64": 8, "I64": 8, "F16": 2, "BOOL": 1}


def _size(dtype: str, shape: tuple[int, ...]) -> int:
    size = _WIDTHS[dtype]
    for dimension in shape:
        size *= dimension
    return size
