"""The minimiser's passes over the tree of a header: members, values, names, numbers, the layout and what is wrong with it."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Sequence

from harness.format.dtypes import DTYPE_BITS
from harness.triage.jsontree import Box, Entry, Node, Raw, boxes, parse, raws, render
from harness.triage.layout import Layout
from harness.triage.search import LENGTH, Search, T, below, remove_most

_CHARACTER = re.compile(rb"\\u[0-9A-Fa-f]{4}|\\.|[\x00-\x7f]|[\x80-\xff][\x80-\xbf]*", re.DOTALL)
_SIMPLE = (b"0", b"1", b'""', b'"a"', b"{}", b"[]")
_NAMES = (b'""', *(b'"%c"' % letter for letter in b"abcdefgh"))
_U64 = 1 << 64


class _File:
    """A file that is being made smaller: length prefix, tree of the header, padding, buffer.

    ``excess`` is by how much the prefix is wrong; it stays wrong by as much.
    """

    def __init__(self, search: Search) -> None:
        data = search.best
        self.search = search
        self.root: Box | None = None
        if len(data) < LENGTH:
            return
        size = struct.unpack_from("<Q", data)[0]
        header = data[LENGTH : LENGTH + size]
        found = parse(header)
        if found is None:
            return
        self.root, end = found
        self.excess = size - len(header)
        self.pad = header[end:]
        self.buffer = data[LENGTH + len(header) :]

    def bytes(self) -> bytes:
        assert self.root is not None
        header = render(self.root) + self.pad
        return struct.pack("<Q", (len(header) + self.excess) % _U64) + header + self.buffer

    def attempt(self, change: Callable[[], Callable[[], None]], *, layout: bool = True) -> bool:
        """Make a change (which returns how to take it back); keep it when the file still shows the finding.

        Where the layout can follow the change, that is tried first; then the change alone.
        """
        assert self.root is not None
        before = Layout(self.root, self.buffer) if layout else None
        undo = change()
        if before is not None and self.follow(before):
            return True
        if self.search.offer(self.bytes()):
            return True
        undo()
        return False

    def follow(self, layout: Layout) -> bool:
        """Write the offsets that ``layout`` asks for; keep them when the file still shows the finding."""
        repaired = layout.repair()
        if repaired is None:
            return False
        buffer, undo = repaired
        old, self.buffer = self.buffer, buffer
        if self.search.offer(self.bytes()):
            return True
        self.buffer = old
        undo()
        return False


def shrink(search: Search) -> None:
    """Passes over the tree of the header, until none of them gets further."""
    file = _File(search)
    if file.root is None:
        return
    before = None
    while before != search.best:
        before = search.best
        _entries(file)
        _hoist(file)
        _white_space(file)
        _padding_and_buffer(file)
        _values(file)
        _dtypes(file)
        _faults(file)
        _strings(file)
        _numbers(file)
        _names(file)


def _set(thing: object, name: str, value: object) -> Callable[[], Callable[[], None]]:
    def change() -> Callable[[], None]:
        old = getattr(thing, name)
        setattr(thing, name, value)
        return lambda: setattr(thing, name, old)

    return change


def _white_space(file: _File) -> None:
    assert file.root is not None
    places: list[tuple[object, str]] = []
    for box in boxes(file.root):
        places += [(box, "pre"), (box, "tail")]
        for entry in box.entries:
            places += [(entry, "colon"), (entry, "post")]
    places += [(raw, "pre") for raw in raws(file.root)]
    filled = [(thing, name) for thing, name in places if getattr(thing, name)]

    def all_at_once() -> Callable[[], None]:
        undo = [_set(thing, name, b"")() for thing, name in filled]

        def take_back() -> None:
            for one in undo:
                one()

        return take_back

    if filled and not file.attempt(all_at_once, layout=False):
        for thing, name in filled:
            _take_out(file, thing, name, getattr(thing, name), bytes)


def _take_out(
    file: _File,
    thing: object,
    name: str,
    items: Sequence[T],
    join: Callable[[list[T]], object],
    *,
    layout: bool = False,
) -> None:
    """Remove what can go of an attribute that is made of ``items``."""
    remove_most(items, lambda rest: file.attempt(_set(thing, name, join(rest)), layout=layout))


def _padding_and_buffer(file: _File) -> None:
    _take_out(file, file, "pad", file.pad, bytes)
    _take_out(file, file, "buffer", file.buffer, bytes)
    if file.buffer.strip(b"\0") and not file.attempt(_set(file, "buffer", bytes(len(file.buffer))), layout=False):
        for at, byte in enumerate(file.buffer):
            if byte:
                zeroed = file.buffer[:at] + b"\0" + file.buffer[at + 1 :]
                file.attempt(_set(file, "buffer", zeroed), layout=False)


def _faults(file: _File) -> None:
    """What is wrong with the layout becomes smaller: holes, overlaps, spans of the wrong size, a buffer too long."""
    assert file.root is not None
    for number, place in enumerate(Layout(file.root, file.buffer).places):
        for name in ("gap", "slack"):
            for smaller in _toward_zero(getattr(place, name)):
                layout = Layout(file.root, file.buffer)
                setattr(layout.places[number], name, smaller)
                if file.follow(layout):
                    break
    for smaller in _toward_zero(Layout(file.root, file.buffer).rest):
        layout = Layout(file.root, file.buffer)
        layout.rest = smaller
        if file.follow(layout):
            break


def _toward_zero(value: int) -> Iterator[int]:
    sign = -1 if value < 0 else 1
    return (sign * smaller for smaller in below(abs(value)))


def _entries(file: _File) -> None:
    """Members and items go: tensors, metadata, fields, dimensions."""
    assert file.root is not None
    waiting = [file.root]
    while waiting:
        box = waiting.pop()
        _take_out(file, box, "entries", box.entries, list, layout=True)
        waiting += [entry.value for entry in box.entries if isinstance(entry.value, Box)]


def _hoist(file: _File) -> None:
    """An inner value takes the place of what it stands in."""
    assert file.root is not None
    for box in list(boxes(file.root)):
        for entry in box.entries:
            while isinstance(entry.value, Box) and any(
                file.attempt(_set(entry, "value", inner.value)) for inner in entry.value.entries
            ):
                pass


def _values(file: _File) -> None:
    """Values become the simplest of their kind, or of another."""
    assert file.root is not None
    for box in list(boxes(file.root)):
        for entry in box.entries:
            size = len(render(entry.value))
            for simple in _SIMPLE:
                if len(simple) <= size and file.attempt(_set(entry, "value", _simple(simple))):
                    break


def _simple(text: bytes) -> Node:
    return Box(text[:1]) if text in (b"{}", b"[]") else Raw(text)


def _dtypes(file: _File) -> None:
    """The plainest dtype will often do."""
    assert file.root is not None
    for raw in list(raws(file.root)):
        if raw.text[1:-1].decode("ascii", "replace") in DTYPE_BITS:
            file.attempt(_set(raw, "text", b'"U8"'))


def _strings(file: _File) -> None:
    """Characters of names and values go, an escape at a time."""
    assert file.root is not None
    for raw in list(raws(file.root)):
        if raw.text[:1] != b'"' or len(raw.text) <= 2:
            continue
        characters = _CHARACTER.findall(raw.text[1:-1])
        if b"".join(characters) == raw.text[1:-1]:
            _take_out(file, raw, "text", characters, lambda rest: b'"' + b"".join(rest) + b'"', layout=True)


def _numbers(file: _File) -> None:
    """Whole numbers become smaller, the layout with them: by halves, then one by one from what is left."""
    assert file.root is not None
    for raw in list(raws(file.root)):
        while re.fullmatch(rb"[1-9][0-9]{0,39}", raw.text) and any(
            file.attempt(_set(raw, "text", b"%d" % smaller)) for smaller in below(int(raw.text))
        ):
            pass


def _names(file: _File) -> None:
    """Names become nothing, a, b, c, ...: the first that the finding lets them; equal names together."""
    assert file.root is not None
    for box in list(boxes(file.root)):
        for entry in box.entries:
            if entry.key is None:
                continue
            for name in _NAMES:
                if (len(name), name) >= (len(entry.key.text), entry.key.text):
                    break
                if file.attempt(_rename(box, entry, name), layout=False):
                    break


def _rename(box: Box, entry: Entry, name: bytes) -> Callable[[], Callable[[], None]]:
    """All members of one name together, so that a duplicate stays one."""

    def change() -> Callable[[], None]:
        assert entry.key is not None
        old = entry.key.text
        same = [other.key for other in box.entries if other.key is not None and other.key.text == old]
        for key in same:
            key.text = name

        def undo() -> None:
            for key in same:
                key.text = old

        return undo

    return change
