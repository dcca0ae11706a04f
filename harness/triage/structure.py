"""The minimiser's passes over the header's tree: members, values, names, numbers, the layout and its faults."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Sequence

from harness.format.dtypes import DTYPE_BITS
from harness.triage.jsontree import Box, Edit, Node, Raw, apply, boxes, parse, raws, render
from harness.triage.layout import Layout
from harness.triage.search import LENGTH, Search, T, below, remove_most

_CHARACTER = re.compile(rb"\\u[0-9A-Fa-f]{4}|\\.|[\x00-\x7f]|[\x80-\xff][\x80-\xbf]*", re.DOTALL)
_SIMPLE = (b"0", b"1", b'""', b'"a"', b"{}", b"[]")
_NAMES = (b'""', *(b'"%c"' % letter for letter in b"abcdefgh"))


class _File:
    """The file under reduction: length prefix, tree of the header, padding, buffer.

    ``excess`` is the error of the prefix in bytes; it stays the same. ValueError where the header has no tree.
    """

    def __init__(self, search: Search) -> None:
        data = search.best
        self.search = search
        size = int.from_bytes(data[:LENGTH], "little")
        header = data[LENGTH : LENGTH + size]
        found = parse(header)
        if found is None:
            raise ValueError("the header has no tree")
        self.root, end = found
        self.excess = size - len(header)
        self.pad = header[end:]
        self.buffer = data[LENGTH + len(header) :]

    def bytes(self) -> bytes:
        header = render(self.root) + self.pad
        return struct.pack("<Q", (len(header) + self.excess) % (1 << 64)) + header + self.buffer

    def attempt(self, *edits: Edit, layout: bool = True) -> bool:
        """Make the edits; keep them when the file still shows the finding.

        With ``layout``, the offsets that follow from the edits are tried first, then the edits alone.
        """
        before = Layout(self.root, self.buffer) if layout else None
        undo = apply(edits)
        if (before is not None and self.follow(before)) or self.search.offer(self.bytes()):
            return True
        apply(undo)
        return False

    def follow(self, layout: Layout) -> bool:
        """Write the offsets that ``layout`` asks for; keep them when the file still shows the finding."""
        repaired = layout.repair()
        if repaired is None:
            return False
        buffer, edits = repaired
        return self.attempt((self, "buffer", buffer), *edits, layout=False)

    def take_out(
        self, thing: object, name: str, items: Sequence[T], join: Callable[[list[T]], object], *, layout: bool = False
    ) -> None:
        """Remove items of an attribute as long as the file still shows the finding."""
        remove_most(items, lambda rest: self.attempt((thing, name, join(rest)), layout=layout))


def shrink(search: Search) -> None:
    """Passes over the tree of the header, until none of them gets further."""
    try:
        file = _File(search)
    except ValueError:
        return
    before = None
    while before != search.best:
        before = search.best
        for shorten in _PASSES:
            shorten(file)


def _white_space(file: _File) -> None:
    places: list[tuple[object, str]] = []
    for box in boxes(file.root):
        places += [(box, "pre"), (box, "tail")]
        for entry in box.entries:
            places += [(entry, "colon"), (entry, "post")]
    places += [(raw, "pre") for raw in raws(file.root)]
    filled = [(thing, name) for thing, name in places if getattr(thing, name)]
    if filled and not file.attempt(*((thing, name, b"") for thing, name in filled), layout=False):
        for thing, name in filled:
            file.take_out(thing, name, getattr(thing, name), bytes)


def _padding_and_buffer(file: _File) -> None:
    file.take_out(file, "pad", file.pad, bytes)
    file.take_out(file, "buffer", file.buffer, bytes)
    if file.buffer.strip(b"\0") and not file.attempt((file, "buffer", bytes(len(file.buffer))), layout=False):
        for at, byte in enumerate(file.buffer):
            if byte:
                zeroed = file.buffer[:at] + b"\0" + file.buffer[at + 1 :]
                file.attempt((file, "buffer", zeroed), layout=False)


def _faults(file: _File) -> None:
    """Make the faults of the layout smaller: holes, overlaps, spans of the wrong size, a buffer too long."""
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
    """Remove members and items: tensors, metadata, fields, dimensions."""
    waiting = [file.root]
    while waiting:
        box = waiting.pop()
        file.take_out(box, "entries", box.entries, list, layout=True)
        waiting += [entry.value for entry in box.entries if isinstance(entry.value, Box)]


def _hoist(file: _File) -> None:
    """Replace a container by a value inside it."""
    for box in list(boxes(file.root)):
        for entry in box.entries:
            while isinstance(entry.value, Box) and any(
                file.attempt((entry, "value", inner.value)) for inner in entry.value.entries
            ):
                pass


def _values(file: _File) -> None:
    """Replace values by the simplest of their kind, or of another."""
    for box in list(boxes(file.root)):
        for entry in box.entries:
            size = len(render(entry.value))
            for simple in _SIMPLE:
                if len(simple) <= size and file.attempt((entry, "value", _simple(simple))):
                    break


def _simple(text: bytes) -> Node:
    return Box(text[:1]) if text in (b"{}", b"[]") else Raw(text)


def _dtypes(file: _File) -> None:
    """Replace a dtype by the plainest."""
    for raw in list(raws(file.root)):
        if raw.text[1:-1].decode("ascii", "replace") in DTYPE_BITS:
            file.attempt((raw, "text", b'"U8"'))


def _strings(file: _File) -> None:
    """Remove characters of names and values, an escape at a time."""
    for raw in list(raws(file.root)):
        if raw.text[:1] != b'"' or len(raw.text) <= 2:
            continue
        characters = _CHARACTER.findall(raw.text[1:-1])
        if b"".join(characters) == raw.text[1:-1]:
            file.take_out(raw, "text", characters, lambda rest: b'"' + b"".join(rest) + b'"', layout=True)


def _numbers(file: _File) -> None:
    """Make whole numbers smaller, and the layout with them: by halves, then by one."""
    for raw in list(raws(file.root)):
        while re.fullmatch(rb"[1-9][0-9]{0,39}", raw.text) and any(
            file.attempt((raw, "text", b"%d" % smaller)) for smaller in below(int(raw.text))
        ):
            pass


def _names(file: _File) -> None:
    """Rename to "", a, b, c, ...: equal names together, so that a duplicate stays one."""
    for box in list(boxes(file.root)):
        for entry in box.entries:
            if entry.key is None:
                continue
            old = entry.key.text
            same = [other.key for other in box.entries if other.key is not None and other.key.text == old]
            for name in _NAMES:
                if (len(name), name) >= (len(old), old):
                    break
                if file.attempt(*((key, "text", name) for key in same), layout=False):
                    break


_PASSES = (_entries, _hoist, _white_space, _padding_and_buffer, _values, _dtypes, _faults, _strings, _numbers, _names)
