"""The smallest input that still shows a finding: first on the tree of the header, then on bytes.

``keep`` decides: the replay of the candidate must show the same signature, or the search would drift to another
defect. Of two inputs the shorter one is smaller, and of the same length the one that sorts first, so the search ends. It
goes on until no single removal is kept: of a structural element (with the layout repaired and without), or of a byte
(with the length prefix repaired and without). A second run therefore changes nothing.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from harness.errors import HarnessError
from harness.format.dtypes import DTYPE_BITS
from harness.triage.jsontree import Box, Entry, Node, Raw, boxes, parse, raws, render
from harness.triage.layout import Layout

T = TypeVar("T")
Keep = Callable[[bytes], bool]
Progress = Callable[[int, int], None]

_CHARACTER = re.compile(rb"\\u[0-9A-Fa-f]{4}|\\.|[\x00-\x7f]|[\x80-\xff][\x80-\xbf]*", re.DOTALL)
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*+"|[{}\[\]]', re.DOTALL)
_SIMPLE = (b"0", b"1", b'""', b'"a"', b"{}", b"[]")
_NAMES = (b'""', *(b'"%c"' % letter for letter in b"abcdefgh"))
_LENGTH = 8
_U64 = 1 << 64
# Candidates remembered: the passes repeat themselves near the end.
_MEMORY = 1 << 18


def remove_most(items: Sequence[T], offer: Callable[[list[T]], bool]) -> list[T]:
    """What is left of ``items`` when no chunk, down to a single item, can go; ``offer`` says whether a rest will do."""
    left = list(items)
    chunk = len(left)
    while chunk:
        start = len(left) - chunk
        removed = False
        while start > -chunk:
            rest = left[: max(start, 0)] + left[start + chunk :]
            if len(rest) < len(left) and offer(rest):
                left, removed = rest, True
            start -= chunk
        if chunk == 1 and not removed:
            break
        chunk = max(min(chunk, len(left)) // 2, 1) if left else 0
    return left


def _order(data: bytes) -> tuple[int, bytes, bytes]:
    """Of two inputs the one that comes first is smaller: by length, by length prefix (little-endian), by what follows."""
    return len(data), data[_LENGTH - 1 :: -1] if len(data) >= _LENGTH else b"", data


class Search:
    """The smallest input so far, and every question asked on the way there."""

    def __init__(self, data: bytes, keep: Keep, progress: Progress | None) -> None:
        self.best = data
        self.asked = 0
        self._keep = keep
        self._progress = progress
        self._refused: set[bytes] = set()

    def offer(self, candidate: bytes) -> bool:
        """Whether ``candidate`` is smaller and still shows the finding; it is then the best."""
        if _order(candidate) >= _order(self.best) or candidate in self._refused:
            return False
        self.asked += 1
        kept = self._keep(candidate)
        if kept:
            self.best = candidate
        elif len(self._refused) < _MEMORY:
            self._refused.add(candidate)
        if self._progress is not None:
            self._progress(len(self.best), self.asked)
        return kept


def minimize(
    data: bytes,
    keep: Keep,
    *,
    unit: int = 0,
    progress: Progress | None = None,
) -> bytes:
    """The smallest input found for which ``keep`` holds.

    With ``unit``, the input is no file but a program in steps of that many bytes: steps go first, then bytes become
    smaller. ``progress`` gets the size of the best input and the number of questions. Raises HarnessError when ``keep``
    does not hold for ``data`` itself.
    """
    if not keep(data):
        raise HarnessError("the input does not show the finding, so it cannot be minimised", hint="harness repro shows what it does")  # fmt: skip
    search = Search(data, keep, progress)
    before = None
    while before != search.best:
        before = search.best
        if unit:
            _program(search, unit)
        else:
            _pairs(search)
            _structure(search)
            _bytes(search)
            _prefix(search)
    return search.best


# --- programs


def _program(search: Search, unit: int) -> None:
    steps = [search.best[at : at + unit] for at in range(0, len(search.best), unit)]
    remove_most(steps, lambda rest: search.offer(b"".join(rest)))
    remove_most(list(search.best), lambda rest: search.offer(bytes(rest)))
    for at in range(len(search.best)):
        for smaller in _smaller(search.best[at]):
            if search.offer(search.best[:at] + bytes((smaller,)) + search.best[at + 1 :]):
                break


# --- files


class _File:
    """A file that is being made smaller: length prefix, tree of the header, padding, buffer.

    ``excess`` is by how much the prefix is wrong; it stays wrong by as much.
    """

    def __init__(self, search: Search) -> None:
        data = search.best
        self.search = search
        self.root: Box | None = None
        if len(data) < _LENGTH:
            return
        size = struct.unpack_from("<Q", data)[0]
        header = data[_LENGTH : _LENGTH + size]
        found = parse(header)
        if found is None:
            return
        self.root, end = found
        self.excess = size - len(header)
        self.pad = header[end:]
        self.buffer = data[_LENGTH + len(header) :]

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


def _structure(search: Search) -> None:
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
    return (sign * smaller for smaller in _smaller(abs(value)))


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
            file.attempt(_set(raw, "text", b"%d" % smaller)) for smaller in _smaller(int(raw.text))
        ):
            pass


def _smaller(value: int) -> Iterator[int]:
    """Smaller values, the smallest first: 0, then ever nearer below ``value``."""
    step = value
    while step:
        yield value - step
        step //= 2


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


# --- bytes


def _framed(data: bytes, rest: list[int]) -> bytes | None:
    """``rest`` of ``data`` (positions) with the length prefix lowered by what the header lost; None when it lost none."""
    if len(data) < _LENGTH:
        return None
    size = struct.unpack_from("<Q", data)[0]
    body = [at for at in rest if at >= _LENGTH]
    end = min(_LENGTH + size, len(data))
    lost = (end - _LENGTH) - sum(at < end for at in body)
    return struct.pack("<Q", (size - lost) % _U64) + bytes(data[at] for at in body) if lost > 0 else None


def _bytes(search: Search) -> None:
    """Any bytes go, in chunks and then one by one, with the length prefix repaired and without."""
    changed = True
    while changed:
        before = search.best
        chunk = len(before)
        while chunk:
            start = len(search.best) - chunk
            while start > -chunk:
                data = search.best
                rest = [*range(max(start, 0)), *range(start + chunk, len(data))]
                repaired = _framed(data, rest)
                if repaired is None or not search.offer(repaired):
                    search.offer(bytes(data[at] for at in rest))
                start = min(start, len(search.best)) - chunk
            chunk = min(chunk, len(search.best)) // 2
        changed = search.best != before


def _prefix(search: Search) -> None:
    """A length prefix that is wrong anyway may be a small one."""
    data = search.best
    if len(data) >= _LENGTH:
        for smaller in _smaller(struct.unpack_from("<Q", data)[0]):
            if search.offer(struct.pack("<Q", smaller) + data[_LENGTH:]):
                break


def _pairs(search: Search) -> None:
    """Brackets go in pairs: the only way down for text too deep to have a tree."""
    data = search.best
    if len(data) < _LENGTH or parse(data[_LENGTH:]) is not None:
        return
    open_at: list[int] = []
    pairs: list[tuple[int, int]] = []
    for match in _BRACKETS.finditer(data, _LENGTH):
        if match.group() in (b"{", b"["):
            open_at.append(match.start())
        elif match.group() in (b"}", b"]") and open_at:
            pairs.append((open_at.pop(), match.start()))

    def offer(rest: list[tuple[int, int]]) -> bool:
        gone = {at for pair in set(pairs) - set(rest) for at in pair}
        kept = [at for at in range(len(data)) if at not in gone]
        repaired = _framed(data, kept)
        return repaired is not None and search.offer(repaired)

    remove_most(pairs, offer)
