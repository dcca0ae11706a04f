"""The file of a program of target ``huge``, and the right verdict on it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import NamedTuple

from harness.targets.huge.program import HEADER_CAP, Step

HEADER_LIMIT = 100_000_000
#: Tensors up to this many bytes have a pattern. The others are zeros with windows of the pattern.
SMALL_BYTES = 4_096
#: Windows at even distances in a tensor; there is one at each power of two, too.
_EVEN = 64

# A few dtypes of every framework, with the sizes of their elements in bytes. Other targets test the rest.
_DTYPES = (("U8", 1), ("I16", 2), ("F32", 4), ("I64", 8))
# The spellings of a character in a long string, with the character.
_SPELLINGS = (
    (b"n", "n"), ("é".encode(), "é"), (b"\\u0061", "a"), ("😀".encode(), "😀"), (b"\\ud83d\\ude00", "😀"), (b"\\n", "\n"),
)  # fmt: skip
_SPACES = b" \n\t\r"
_PADS = b" \n\0\t"


class Row(NamedTuple):
    """Tensors of one dtype, shape and size, one behind the other from ``begin`` on."""

    names: list[str]
    dtype: str
    shape: tuple[int, ...]
    begin: int
    size: int


@dataclass(slots=True)
class Layout:
    """A planned file: ``prefix``, the ``pieces`` of the header, and ``data_size`` bytes of buffer, cut to ``size`` bytes.

    ``names`` has the names of the tensors in the order of header and offsets; ``empty`` those of zero bytes, which share
    their place with others; ``rows`` has all of them. ``rule`` is "" for a valid file, else the name of a broken rule of the judge. ``cause`` is the
    kind of step that breaks it. ``repeated`` is the kind of step that makes most of the header.
    """

    pieces: list[bytes] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    empty: set[str] = field(default_factory=set)
    rows: list[Row] = field(default_factory=list)
    metadata: dict[str, str] | None = None
    prefix: int = 0
    header_size: int = 0
    data_size: int = 0
    size: int = 0
    rule: str = ""
    cause: str = ""
    repeated: str = "nothing"


# A prime number of bytes: an offset that loses its high bits meets other bytes.
_PERIOD = bytes(0x80 | (at * 37 & 0x7F) for at in range(127))


def pattern(begin: int, end: int) -> bytes:
    """The bytes of a small tensor at ``begin`` to ``end``: neighbours differ, and none is a space."""
    skipped = begin % len(_PERIOD)
    return (_PERIOD * ((end - begin + skipped) // len(_PERIOD) + 1))[skipped : skipped + end - begin]


def windows(size: int) -> list[tuple[int, int]]:
    """The ranges of a tensor of ``size`` bytes that have the pattern: all of a small one, else parts."""
    if size <= SMALL_BYTES:
        return [(0, size)]
    half = SMALL_BYTES // 2
    middles = {half, size - half, *(1 << bits for bits in range(12, size.bit_length()))}
    middles.update(size * number // _EVEN for number in range(1, _EVEN))
    found: list[tuple[int, int]] = []
    for middle in sorted(middles):
        first, last = max(0, middle - half), min(size, middle + half)
        if found and first <= found[-1][1]:
            found[-1] = found[-1][0], max(last, found[-1][1])
        else:
            found.append((first, last))
    return found


class _Builder:
    """Collects members of the header, and counts the offsets."""

    def __init__(self) -> None:
        self.members: list[bytes] = []
        self.meta: list[bytes] = []
        self.metadata: dict[str, str] = {}
        self.names: list[str] = []
        self.empty: set[str] = set()
        self.rows: list[Row] = []
        self.leading = b""
        self.offset = 0
        self.faults: list[tuple[str, str]] = []
        self.weights: dict[str, int] = {}
        self.total = 2

    def room(self, size: int) -> bool:
        return self.total + size <= HEADER_CAP

    def add(self, kind: str, text: bytes, *, meta: bool = False) -> None:
        if text:
            (self.meta if meta else self.members).append(text)
            self.weigh(kind, len(text))

    def fault(self, rule: str, kind: str, text: bytes, *, meta: bool = False) -> None:
        """Add an invalid member."""
        self.add(kind, text, meta=meta)
        self.faults.append((rule, kind))

    def weigh(self, kind: str, size: int) -> None:
        self.total += size + 1
        self.weights[kind] = self.weights.get(kind, 0) + size

    def tensor(self, kind: str, name: bytes, read: str, dtype: str, shape: tuple[int, ...], size: int) -> None:
        """Add a tensor of ``size`` bytes; ``name`` is its spelling in the header."""
        end = self.offset + size
        dims = b",".join(b"%d" % dim for dim in shape)
        self.add(
            kind,
            b'"%b":{"dtype":"%b","shape":[%b],"data_offsets":[%d,%d]}' % (name, dtype.encode(), dims, self.offset, end),
        )
        self.names.append(read)
        self.rows.append(Row([read], dtype, shape, self.offset, size))
        if not size:
            self.empty.add(read)
        self.offset = end


def _tensors(build: _Builder, index: int, step: Step) -> None:
    dtype, width = _DTYPES[step.variant % 4]
    shape, dims = (("", ()), ("1", (1,)), ("2,1", (2, 1)), ("1,3", (1, 3)))[step.variant // 4 % 4]
    size = width * prod(dims)
    if not build.room(step.amount * 90):
        return
    start = build.offset
    ends = range(start + size, start + size * step.amount + 1, size)
    text = ",".join(
        f'"t{index}.{i:x}":{{"dtype":"{dtype}","shape":[{shape}],"data_offsets":[{end - size},{end}]}}'
        for i, end in enumerate(ends)
    )
    build.add(step.kind, text.encode())
    names = [f"t{index}.{i:x}" for i in range(step.amount)]
    build.names += names
    build.rows.append(Row(names, dtype, dims, start, size))
    build.offset = start + size * step.amount


def _empties(build: _Builder, index: int, step: Step) -> None:
    if not build.room(step.amount * 90):
        return
    shape, dims = (("0", (0,)), ("0,3", (0, 3)), ("7,0", (7, 0)), ("2,0,2", (2, 0, 2)))[step.variant % 4]
    at = build.offset
    text = ",".join(
        f'"e{index}.{i:x}":{{"dtype":"F32","shape":[{shape}],"data_offsets":[{at},{at}]}}' for i in range(step.amount)
    )
    build.add(step.kind, text.encode())
    names = [f"e{index}.{i:x}" for i in range(step.amount)]
    build.names += names
    build.rows.append(Row(names, "F32", dims, at, 0))
    build.empty.update(names)


def _name(build: _Builder, index: int, step: Step) -> None:
    spelt, read = _SPELLINGS[step.variant % len(_SPELLINGS)]
    if build.room(len(spelt) * step.amount + 80):
        build.tensor(step.kind, b"n%d." % index + spelt * step.amount, f"n{index}." + read * step.amount, "U8", (1,), 1)


def _metadata(build: _Builder, index: int, step: Step) -> None:
    if not build.room(step.amount * 20):
        return
    names = [f"m{index}.{i:x}" for i in range(step.amount)]
    build.metadata |= dict.fromkeys(names, "v")
    build.add(step.kind, ",".join(f'"{name}":"v"' for name in names).encode(), meta=True)


def _value(build: _Builder, index: int, step: Step) -> None:
    spelt, read = _SPELLINGS[step.variant % len(_SPELLINGS)]
    if build.room(len(spelt) * step.amount + 20):
        build.add(step.kind, b'"v%d":"%b"' % (index, spelt * step.amount), meta=True)
        build.metadata[f"v{index}"] = read * step.amount


def _rank(build: _Builder, index: int, step: Step) -> None:
    """Ones, zeros, ones and a zero, or ones and a two: at most two elements."""
    if not build.room(2 * step.amount + 80):
        return
    shape: tuple[int, ...] = ((0,) if step.variant % 4 == 1 else (1,)) * step.amount
    if step.variant % 4 >= 2 and shape:
        shape = (*shape[:-1], 0) if step.variant % 4 == 2 else (2, *shape[1:])
    size = 0 if 0 in shape else 2 if 2 in shape else 1
    build.tensor(step.kind, b"r%d" % index, f"r{index}", "U8", shape, size)


def _depth(build: _Builder, index: int, step: Step) -> None:
    deep = max(1, step.amount)
    if not build.room(deep * 6 + 80):
        return
    where = step.variant % 4
    nest = b"[" * deep + b"]" * deep
    if where == 0:
        build.fault("tensor.fields", step.kind, b'"d%d":%b' % (index, nest))
    elif where == 1:
        text = b'"d%d":%b1%b' % (index, b'{"a":' * deep, b"}" * deep)
        build.fault("metadata.strings", step.kind, text, meta=True)
    elif where == 2:
        text = b'"d%d":{"dtype":"U8","shape":[%b],"data_offsets":[0,0]}' % (index, nest)
        build.fault("tensor.shape", step.kind, text)
    else:
        build.fault("header.json", step.kind, b'"d%d":%b' % (index, b"[" * deep))


def _digits(build: _Builder, index: int, step: Step) -> None:
    many = max(1, step.amount)
    if not build.room(many + 80):
        return
    where = step.variant % 4
    number = (b"9" * many, b"0" * many + b"1", b"-" + b"9" * many, b"9" * many)[where]
    shape, end = (b"1", number) if where == 3 else (number, b"%d" % (build.offset + 1))
    rule = ("tensor.size", "header.json", "tensor.shape", "tensor.size")[where]
    text = b'"d%d":{"dtype":"U8","shape":[%b],"data_offsets":[%d,%b]}' % (index, shape, build.offset, end)
    build.fault(rule, step.kind, text)
    build.offset += 1


def _duplicates(build: _Builder, index: int, step: Step) -> None:
    if not build.room(step.amount * 90) or not step.amount:
        return
    at = build.offset
    one = b'"d%d":{"dtype":"U8","shape":[1],"data_offsets":[%d,%d]}' % (index, at, at + 1)
    build.add(step.kind, b",".join([one] * step.amount))
    build.names.append(f"d{index}")
    build.rows.append(Row([f"d{index}"], "U8", (1,), at, 1))
    build.offset += 1
    if step.amount > 1:
        build.faults.append(("header.duplicate-key", step.kind))


def _big(build: _Builder, index: int, step: Step) -> None:
    build.tensor(step.kind, b"b%d" % index, f"b{index}", "U8", (step.amount,), step.amount)


def _space(build: _Builder, index: int, step: Step) -> None:
    if build.room(step.amount):
        build.leading += _SPACES[step.variant % 4 : step.variant % 4 + 1] * step.amount
        build.weigh(step.kind, step.amount)


def _string(build: _Builder, index: int, step: Step) -> None:
    """A string that is never closed, with raw control characters, or with invalid UTF-8."""
    if not build.room(step.amount + 8):
        return
    fill = (b"x", b"\0", b"\xff")[step.variant % 3]
    rule = "header.utf8" if fill == b"\xff" and step.amount else "header.json"
    build.fault(rule, step.kind, b'"s' + fill * step.amount)


_MEMBERS: dict[str, Callable[[_Builder, int, Step], None]] = {
    "tensors": _tensors, "empties": _empties, "name": _name, "metadata": _metadata, "value": _value, "rank": _rank,
    "depth": _depth, "digits": _digits, "duplicates": _duplicates, "big": _big, "space": _space, "string": _string,
}  # fmt: skip


def build(steps: tuple[Step, ...]) -> Layout:
    """The file of these steps. It leaves out pieces that exceed HEADER_CAP."""
    made = _Builder()
    for index, step in enumerate(steps):
        member = _MEMBERS.get(step.kind)
        if member is not None:
            member(made, index, step)
    members = list(made.members)
    if made.meta:
        members.insert(0, b'"__metadata__":{' + b",".join(made.meta) + b"}")
    pieces = [b"{", made.leading]
    for position, text in enumerate(members):
        pieces += (b",", text) if position else (text,)
    pieces.append(b"}")
    json_size = sum(map(len, pieces))
    pad = _padding(steps, json_size)
    if pad:
        pieces.append(pad)
        made.weigh("pad", len(pad))
    layout = Layout(
        pieces=[piece for piece in pieces if piece],
        names=made.names,
        empty=made.empty,
        rows=made.rows,
        metadata=made.metadata if made.meta else None,
        header_size=json_size + len(pad),
        data_size=made.offset,
        repeated=max(made.weights, key=made.weights.__getitem__) if made.weights else "nothing",
    )
    _frame(layout, steps)
    layout.rule, layout.cause = _verdict(layout, made.faults, json_size, pad)
    return layout


def _padding(steps: tuple[Step, ...], json_size: int) -> bytes:
    pad = b""
    for step in steps:
        fill = _PADS[step.variant % 4 : step.variant % 4 + 1]
        room = HEADER_CAP - json_size
        if step.kind == "pad":
            pad = fill * min(step.amount, room)
        elif step.kind == "pad-to":
            pad = fill * max(0, min(step.amount - json_size, room))
    return pad


def _frame(layout: Layout, steps: tuple[Step, ...]) -> None:
    """The length prefix and the size of the file; of several steps of a kind the last one counts."""
    layout.prefix = layout.header_size
    size = 8 + layout.header_size + layout.data_size
    last = {step.kind: step for step in steps}
    signed = {kind: -step.amount if step.variant % 2 else step.amount for kind, step in last.items()}
    if "prefix-is" in last:
        layout.prefix = last["prefix-is"].amount
    elif "prefix" in last:
        layout.prefix = (layout.header_size + signed["prefix"]) % (1 << 64)
    if "buffer" in last:
        size = max(8 + layout.header_size, size + signed["buffer"])
    if "cut" in last:
        size = min(size, last["cut"].amount)
    layout.size = size


def _verdict(layout: Layout, faults: list[tuple[str, str]], json_size: int, pad: bytes) -> tuple[str, str]:
    """The broken rule and the kind of step that breaks it, from the outside in; ("", "") for a valid file."""
    length, size = layout.prefix, layout.size
    if size < 8:
        return "framing.length", "cut"
    if length > HEADER_LIMIT:
        return "framing.header-limit", "prefix"
    if 8 + length > size:
        return "framing.header-truncated", "prefix"
    if length == 0:
        return "header.first-byte", "prefix"
    if length < json_size:
        return "header.json", "prefix"  # a JSON object without its end is invalid
    if length > layout.header_size:
        return "header.padding", "prefix"  # what follows is data, and never a space
    if length > json_size and pad[:1] != b" ":
        return "header.padding", "pad"
    if faults:
        return faults[0]
    rest = size - 8 - length
    if rest != layout.data_size:
        return ("layout.trailing" if rest > layout.data_size else "layout.truncated"), "buffer"
    return "", ""


def write(layout: Layout, descriptor: int) -> None:
    """Write the file to ``descriptor``, an open file. Parts outside of :func:`windows` stay sparse."""
    os.ftruncate(descriptor, 0)
    os.ftruncate(descriptor, layout.size)
    at = 0
    for piece in (layout.prefix.to_bytes(8, "little"), *layout.pieces):
        at = _put(descriptor, piece, at, layout.size)
    start = 8 + layout.header_size
    for row in layout.rows:
        # The tensors of a row of several are small, and lie side by side.
        for first, last in windows(row.size) if len(row.names) == 1 else [(0, row.size * len(row.names))]:
            _put(descriptor, pattern(row.begin + first, row.begin + last), start + row.begin + first, layout.size)


def _put(descriptor: int, data: bytes, at: int, limit: int) -> int:
    """Write at an offset, never past ``limit``; returns the offset after ``data``."""
    after = at + len(data)
    rest = memoryview(data)[: max(0, limit - at)]
    while rest:
        done = os.pwrite(descriptor, rest, at)
        rest, at = rest[done:], at + done
    return after
