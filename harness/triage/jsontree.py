"""A JSON text as a tree that renders to the same bytes, white space and spellings included.

The minimiser removes pieces of it. A text that is not well-formed has no tree. Strings and numbers are not decoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

#: Deeper texts have no tree; the minimiser takes their brackets off in pairs first.
MAX_DEPTH = 150

_SPACE = re.compile(rb"[ \t\r\n]*+")
_SCALAR = re.compile(rb'"(?:[^"\\]|\\.)*+"|[^ \t\r\n"{}\[\]:,]++', re.DOTALL)


@dataclass(slots=True, eq=False)
class Raw:
    """A string, number or literal as spelt, and the white space before it."""

    text: bytes
    pre: bytes = b""


@dataclass(slots=True, eq=False)
class Entry:
    """One member of an object or item of a list: ``colon`` is the space before the colon, ``post`` that after it all."""

    value: Node
    key: Raw | None = None
    colon: bytes = b""
    post: bytes = b""


@dataclass(slots=True, eq=False)
class Box:
    """An object (``opening`` is ``{``) or a list (``[``); ``tail`` is the white space after it where it is empty.

    A box that is emptied keeps the white space that stood before its first entry.
    """

    opening: bytes
    entries: list[Entry] = field(default_factory=list)
    pre: bytes = b""
    tail: bytes = b""

    @property
    def closing(self) -> bytes:
        """The bracket at the end."""
        return b"}" if self.opening == b"{" else b"]"


Node = Raw | Box
#: An assignment: an object, the name of its attribute, the new value.
Edit = tuple[object, str, object]


def apply(edits: Iterable[Edit]) -> list[Edit]:
    """Make the edits; the edits that take them back."""
    undo = []
    for thing, name, value in edits:
        undo.append((thing, name, getattr(thing, name)))
        setattr(thing, name, value)
    return undo[::-1]


class _Reader:
    def __init__(self, text: bytes) -> None:
        self.text = text
        self.at = 0

    def space(self) -> bytes:
        match = _SPACE.match(self.text, self.at)
        assert match is not None  # it matches nothing, too
        self.at = match.end()
        return match.group()

    def take(self, byte: bytes) -> bool:
        if self.text.startswith(byte, self.at):
            self.at += 1
            return True
        return False

    def scalar(self, pre: bytes) -> Raw | None:
        match = _SCALAR.match(self.text, self.at)
        if match is None:
            return None
        self.at = match.end()
        return Raw(match.group(), pre)

    def node(self, depth: int) -> Node | None:
        pre = self.space()
        for opening in (b"{", b"["):
            if self.take(opening):
                return self.box(Box(opening, pre=pre), depth)
        return self.scalar(pre)

    def box(self, box: Box, depth: int) -> Box | None:
        if depth == 0:
            return None
        start = self.at
        box.tail = self.space()
        if self.take(box.closing):
            return box
        self.at = start
        while True:
            key, colon = None, b""
            if box.opening == b"{":
                key = self.scalar(self.space())
                colon = self.space()
                if key is None or key.text[:1] != b'"' or not self.take(b":"):
                    return None
            value = self.node(depth - 1)
            if value is None:
                return None
            box.entries.append(Entry(value, key, colon, self.space()))
            if self.take(box.closing):
                return box
            if not self.take(b","):
                return None


def parse(text: bytes) -> tuple[Box, int] | None:
    """The object or list that ``text`` starts with, and where it ends; None where there is no well-formed one."""
    reader = _Reader(text)
    node = reader.node(MAX_DEPTH)
    return (node, reader.at) if isinstance(node, Box) else None


def render(node: Node) -> bytes:
    """The bytes of a tree."""
    out: list[bytes] = []
    _render(node, out)
    return b"".join(out)


def _render(node: Node, out: list[bytes]) -> None:
    out.append(node.pre)
    if isinstance(node, Raw):
        out.append(node.text)
        return
    out.append(node.opening)
    for number, entry in enumerate(node.entries):
        if number:
            out.append(b",")
        if entry.key is not None:
            out += (entry.key.pre, entry.key.text, entry.colon, b":")
        _render(entry.value, out)
        out.append(entry.post)
    out += (b"" if node.entries else node.tail, node.closing)


def boxes(root: Box) -> Iterator[Box]:
    """Every object and list in the tree, ``root`` first, outer before inner."""
    waiting = [root]
    while waiting:
        box = waiting.pop()
        yield box
        waiting += [entry.value for entry in reversed(box.entries) if isinstance(entry.value, Box)]


def raws(root: Box) -> Iterator[Raw]:
    """Every key and every scalar of the tree."""
    for box in boxes(root):
        for entry in box.entries:
            if entry.key is not None:
                yield entry.key
            if isinstance(entry.value, Raw):
                yield entry.value
