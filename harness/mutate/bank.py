"""Parts of corpus members for crossover: bounded, without duplicates, in order of arrival."""

from __future__ import annotations

from typing import Generic, TypeVar

from harness.format.tree import Doc

T = TypeVar("T")
_ROOM = 512
_PART_LIMIT = 512


class Shelf(Generic[T]):
    """A list of at most ``room`` different parts; a new one replaces the oldest."""

    __slots__ = ("_known", "_next", "_room", "parts")

    def __init__(self, room: int = _ROOM) -> None:
        self.parts: list[T] = []
        self._known: set[T] = set()
        self._room = room
        self._next = 0

    def add(self, part: T) -> None:
        """Keep ``part`` unless it is here already."""
        if part in self._known:
            return
        self._known.add(part)
        if len(self.parts) < self._room:
            self.parts.append(part)
        else:
            self._known.discard(self.parts[self._next])
            self.parts[self._next] = part
            self._next = (self._next + 1) % self._room


class Bank:
    """Shelves of parts by kind, as bytes: ``entries`` (name, dtype, shape, size) of tensors with a right size, ``shapes``,
    and ``values`` of members of the header.
    """

    __slots__ = ("_turn", "entries", "shapes", "values")

    def __init__(self) -> None:
        self.entries: Shelf[tuple[bytes, bytes, bytes, int]] = Shelf()
        self.shapes: Shelf[bytes] = Shelf()
        self.values: Shelf[bytes] = Shelf()
        self._turn = 0

    def learn(self, doc: Doc) -> None:
        """Add one tensor and one member of ``doc``, another one each time: bases are alike."""
        self._turn += 1
        if doc.tensors:
            tensor = doc.tensors[self._turn % len(doc.tensors)]
            shape = doc.pieces[tensor.at_shape]
            if len(shape) < _PART_LIMIT and len(tensor.name) < _PART_LIMIT:
                self.shapes.add(shape)
                if 0 <= tensor.size < _PART_LIMIT and tensor.size * 8 == tensor.bits * tensor.count:
                    self.entries.add((tensor.name, doc.pieces[tensor.at_dtype], shape, tensor.size))
        if doc.members:
            member = doc.members[self._turn % len(doc.members)]
            start, stop = member.value
            if stop - member.key[0] < _PART_LIMIT:
                self.values.add(doc.data[start:stop])
