"""Parts of inputs that were kept, for crossover: bounded, without doubles, in the order they came."""

from __future__ import annotations

from typing import Generic, TypeVar

from harness.format.tree import Doc

T = TypeVar("T")
_ROOM = 512
_PART_LIMIT = 512


class Shelf(Generic[T]):
    """A list of at most ``room`` different parts; a new one takes the place of the oldest."""

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
    """Shelves of subtrees by kind.

    ``entries``: (name as written, dtype, dimensions) of tensors whose size adds up; ``shapes``: dimensions;
    ``names``, ``values`` and ``members`` (of the top level) as written.
    """

    __slots__ = ("entries", "members", "names", "shapes", "values")

    def __init__(self) -> None:
        self.entries: Shelf[tuple[bytes, str, tuple[int, ...]]] = Shelf()
        self.names: Shelf[bytes] = Shelf()
        self.shapes: Shelf[tuple[int, ...]] = Shelf()
        self.values: Shelf[bytes] = Shelf()
        self.members: Shelf[bytes] = Shelf()

    def learn(self, doc: Doc) -> None:
        """Take the parts of ``doc`` that are not known yet."""
        data = doc.data
        for tensor in doc.tensors[:16]:
            self.shapes.add(tensor.dims)
            if len(tensor.name) < _PART_LIMIT:
                self.names.add(tensor.name)
                if tensor.bits and 0 <= tensor.size < _PART_LIMIT and tensor.size * 8 == tensor.bits * tensor.count:
                    self.entries.add((tensor.name, tensor.dtype, tensor.dims))
        for member in doc.members[:16]:
            start, stop = member.value
            if stop - member.key[0] < _PART_LIMIT:
                self.members.add(data[member.key[0] : stop])
            if stop - start < 64:
                self.values.add(data[start:stop])
