"""The language of target ``crate``: tensors and metadata, a file of them and what is wrong with it, and calls of the Rust API.

Steps ``tensor``, ``entry`` and ``claim`` make the file, ``damage`` changes its bytes, and ``change`` changes the caller's own tensors,
wherever the steps stand. ``no_tensors`` makes a file without tensors, which the caller still has. ``part``, ``byte_ranges`` and
``display`` begin an index. The steps ``range`` and ``narrow`` after it are its items. Each other step is a call.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from math import prod
from typing import NamedTuple

from harness.format.dtypes import DTYPE_BITS
from harness.format.encode import encode
from harness.format.header import Tensor
from harness.format.rules import HEADER_LIMIT
from harness.parsers.crate_api import library
from harness.parsers.crate_api.library import Info, Item, View
from harness.programs import arrays
from harness.programs.arrays import DTYPES, NAMES, SHAPES, Tensors
from harness.programs.saving import KEYS, VALUES
from harness.programs.saving import name as text
from harness.programs.steps import Kind, Step, Vocabulary

MOST_TENSORS = 3
ABSENT = "no such tensor"
RESERVED = "__metadata__"

#: Bounds and integers by number, over the dimension d: usual ones, then just outside, then the limits of integers.
_BOUNDS = (
    "0", "1", "d", "d-1", "2", "d//2", "d+1", "d+7", "3", "2**31", "2**32", "2**63-1", "2**63", "2**64-2", "2**64-1",
)  # fmt: skip
_STEPS = (1, 2, 3, 5, 1 << 63, (1 << 64) - 1)
_BOUND_KINDS = len(library.BOUNDS)
#: Shapes whose number of elements, bits or bytes is at or past the end of an integer.
HUGE: tuple[tuple[int, ...], ...] = (
    (1 << 61,), ((1 << 61) - 1,), ((1 << 64) - 1,), (1 << 32, 1 << 32), (1 << 40, 1 << 40, 0), (0, 1 << 40, 1 << 40),
    (1 << 63, 2), (1 << 62, 4), (1 << 60,), (1 << 63,),
)  # fmt: skip
_DAMAGES = ("cut", "append", "length", "byte", "digit", "spaces", "pad", "first")
_PAD = b" \n\t\r\0x"
_CHANGES = ("longer", "shorter", "same-name", "reserved-name", "begin", "end", "hole", "shape", "dtype", "swap", "drop")
#: How tensors are handed to ``serialize``: see :func:`harness.parsers.crate_api.library.serialize`.
HANDED = ("TensorView", "&TensorView", "View (borrowed)", "View (owned)")
#: A value of metadata as long as the limit of a header: the header with it is past the limit.
LONG = HEADER_LIMIT
#: The length of a value with which the header has just that many bytes.
LONGEST = HEADER_LIMIT - len('{"__metadata__":{"long":""}}')
PLACES = ("new.safetensors", "no-such-folder/file.safetensors", "folder")

#: From this third argument on, the dimension that fills whole bytes is the first.
_OUTER = 128
#: Bytes of the caller's buffer: none, a part of a text, and all of most.
_ROOM = (0, 1, 20, 30, 40, 60, 80, 255)

VOCABULARY = Vocabulary(
    [
        Kind("tensor", 3, (range(len(DTYPES)), range(20), (0, _OUTER)), rare=True),
        Kind("deserialize", 2),
        Kind("read_metadata", 2),
        Kind("named", 2, ((0, 0, 1, 2, 3),)),
        Kind("part", 6, (range(MOST_TENSORS), range(3))),
        Kind("range", 8, (range(library.NARROW), (0, 0, 1, 4, 5), (1, 2, 2, 3, 4, 5))),
        Kind("narrow", 4, (range(_BOUND_KINDS**2), (0, 0, 1, 4, 5), (1, 2, 2, 3, 4))),
        Kind("stride", 2, (range(3),)),
        Kind("byte_ranges", 2, (range(MOST_TENSORS),)),
        Kind("display", 1),
        Kind("view", 2, (range(MOST_TENSORS),)),
        Kind("metadata", 2),
        Kind("header", 2),
        Kind("serialize", 2, (range(len(HANDED)),)),
        Kind("serialize_to_file", 1, (range(len(HANDED)), (0,))),
        Kind("dtypes", 1),
        Kind("errors", 1),
        Kind("entry", 1, (range(len(KEYS)), range(len(VALUES))), rare=True),
        Kind("change", 1, (range(MOST_TENSORS), range(len(_CHANGES)), range(8)), always_invalid=True),
        Kind("damage", 1, (range(len(_DAMAGES)), range(64), range(8)), always_invalid=True),
        Kind("claim", 1, (range(len(DTYPES)), range(len(HUGE)), range(9)), always_invalid=True),
        Kind("no_entries", 1, rare=True),
        Kind("header_text", 2),
        Kind("header_into", 1, (_ROOM,)),
        Kind("refusal_into", 1, (_ROOM, range(MOST_TENSORS))),
        Kind("past_limit", 1, (range(2), range(2)), always_invalid=True, expensive=True),
        Kind("no_tensors", 1, rare=True),
    ],
    max_steps=16,
)
_PARTS = frozenset(VOCABULARY.number[name] for name in ("part", "byte_ranges", "display"))
_RANGE, _NARROW, _STRIDE = (VOCABULARY.number[name] for name in ("range", "narrow", "stride"))
_ITEMS = frozenset((_RANGE, _NARROW, _STRIDE))


class Call(NamedTuple):
    """One call. ``tensor`` is the place of its tensor, or -1; ``form`` how an index or tensors are handed over.

    ``items`` is the index. ``place`` is the name of the file that ``serialize_to_file`` writes. ``room`` is the size of a buffer, or of a value of metadata.
    """

    kind: str
    tensor: int = -1
    form: int = 0
    items: tuple[Item, ...] = ()
    place: str = ""
    room: int = 0


class Program(NamedTuple):
    """The ``tensors`` of the file in order, its bytes (``raw``, after all damage), and the calls.

    ``own`` are the caller's tensors and ``infos`` their entries, both after all changes; ``metadata`` goes with them.
    """

    tensors: Tensors
    metadata: dict[str, str] | None
    raw: bytes
    damaged: bool
    own: tuple[tuple[str, View], ...]
    infos: tuple[tuple[str, Info], ...]
    calls: tuple[Call, ...]

    @property
    def header(self) -> bytes:
        """The header of the file: the bytes that its length claims, as far as they are there."""
        return self.raw[8 : 8 + int.from_bytes(self.raw[:8], "little")]


_DEFAULT: Tensors = (("a", "F32", (2, 3), 0),)


def decode(program: bytes) -> Program:
    """Decode a program. Never raises. A program without tensors gets one; of two equal names the first counts."""
    steps = VOCABULARY.decode(program)
    of: dict[str, list[Step]] = {kind.name: [] for kind in VOCABULARY.kinds}
    for step in steps:
        of[VOCABULARY.kinds[step.kind].name].append(step)
    tensors = _tensors(tuple(of["tensor"]))
    row = {text(KEYS[s.a % len(KEYS)]): text(VALUES[s.b % len(VALUES)]) for s in of["entry"]}
    metadata = row or ({} if of["no_entries"] else None)
    raw = _file(tensors, tuple((metadata or {}).items()), metadata is not None, tuple(of["claim"]), tuple(of["damage"]))
    if of["no_tensors"]:
        raw = encode([], metadata, b"")
    own, infos = _own(tensors, tuple(of["change"]), tuple(of["claim"][:1]))
    damaged = bool(of["damage"] or of["claim"] or of["no_tensors"])
    calls = tuple(call for call in _calls(steps, tensors) if own or call.kind not in ("view", "refusal_into"))
    return Program(tensors, metadata, raw, damaged, own, infos, calls)


@lru_cache(1 << 10)
def _tensors(steps: tuple[Step, ...]) -> Tensors:
    made: dict[str, tuple[str, str, tuple[int, ...], int]] = {}
    for place, step in enumerate(steps[:MOST_TENSORS]):
        dtype, shape = DTYPES[step.a % len(DTYPES)], SHAPES[step.b % len(SHAPES)]
        # Elements of less than a byte must fill whole bytes. The rows need not.
        if DTYPE_BITS[dtype] % 8:
            shape = (4, *shape) if step.c >= _OUTER else (*shape, 4)
        name = NAMES[(step.c + place) % len(NAMES)]
        made.setdefault(name, (name, dtype, shape, place))
    return tuple(made.values()) or _DEFAULT


@lru_cache(1 << 10)
def _file(
    tensors: Tensors, entries: tuple[tuple[str, str], ...], with_metadata: bool, claims: tuple[Step, ...], damages: tuple[Step, ...]
) -> bytes:  # fmt: skip
    """The file of the program: its tensors, those that it only claims to hold, and its damage in order."""
    rows: list[Tensor] = []
    payload = b"".join(arrays.content(dtype, shape, salt) for _, dtype, shape, salt in tensors)
    for name, dtype, shape, salt in tensors:
        begin = rows[-1].end if rows else 0
        rows.append(Tensor(name, dtype, shape, begin, begin + len(arrays.content(dtype, shape, salt))))
    for step in claims:
        dtype, shape = DTYPES[step.a % len(DTYPES)], HUGE[step.b % len(HUGE)]
        for _ in range(step.c % 9 + 1):
            end = min(rows[-1].end + DTYPE_BITS[dtype] * prod(shape) // 8, (1 << 64) - 1)
            rows.append(Tensor(f"claimed {len(rows)}", dtype, shape, rows[-1].end, end))
    raw = encode(rows, dict(entries) if with_metadata else None, payload)
    for step in damages:
        raw = _damage(raw, _DAMAGES[step.a % len(_DAMAGES)], step.b, step.c)
    return raw


def _damage(raw: bytes, kind: str, at: int, value: int) -> bytes:
    """The file after one damage. The length of the header is made to fit, but for ``length``."""
    if kind == "cut":
        return raw[: max(0, len(raw) - 1 - value)]
    if kind == "append":
        return raw + bytes(1 + value)
    size = int.from_bytes(raw[:8], "little")
    if kind == "length":
        return ((size + value - 4) % (1 << 64) if at % 8 else (1 << 64) - 1 - value).to_bytes(8, "little") + raw[8:]
    header, data = raw[8 : 8 + size], raw[8 + size :]
    if kind == "byte" and header:
        place = at % len(header)
        header = header[:place] + bytes((value,)) + header[place + 1 :]
    elif kind == "digit":
        digits = [place for place, byte in enumerate(header) if 48 <= byte <= 57]
        if digits:
            place = digits[at % len(digits)]
            header = header[:place] + b"%d" % (value % 10) + header[place + 1 :]
    elif kind == "spaces":
        header = header[:-1] + b" " * value + header[-1:]
    elif kind == "pad":
        header += _PAD[at % len(_PAD) :][:1] * value
    elif kind == "first":
        header = _PAD[at % len(_PAD) :][:1] * value + header
    return len(header).to_bytes(8, "little") + header + data


@lru_cache(1 << 10)
def _own(
    tensors: Tensors, changes: tuple[Step, ...], claims: tuple[Step, ...]
) -> tuple[tuple[tuple[str, View], ...], tuple[tuple[str, Info], ...]]:
    """The caller's tensors: those of the program, one of a huge shape without data, and every change in order."""
    views: list[tuple[str, View]] = []
    infos: list[tuple[str, Info]] = []
    for name, dtype, shape, salt in tensors:
        data = arrays.content(dtype, shape, salt)
        begin = infos[-1][1].end if infos else 0
        views.append((name, View(dtype, list(shape), data)))
        infos.append((name, Info(dtype, list(shape), begin, begin + len(data))))
    for step in claims:
        dtype, shape = DTYPES[step.a % len(DTYPES)], HUGE[step.b % len(HUGE)]
        views.append(("claimed", View(dtype, list(shape), b"")))
        infos.append(("claimed", Info(dtype, list(shape), infos[-1][1].end, infos[-1][1].end)))
    for step in changes:
        _change(views, infos, step.a, _CHANGES[step.b % len(_CHANGES)], step.c)
    return tuple(views), tuple(infos)


def _change(views: list[tuple[str, View]], infos: list[tuple[str, Info]], at: int, kind: str, by: int) -> None:
    if not views:
        return
    at %= len(views)
    if kind == "drop":
        del views[at], infos[at]
        return
    (name, view), (_, info) = views[at], infos[at]
    if kind in ("longer", "shorter"):
        view = view._replace(data=view.data + bytes(by + 1) if kind == "longer" else view.data[: -by - 1])
    elif kind in ("same-name", "reserved-name"):
        name = views[0][0] if kind == "same-name" else RESERVED
    elif kind == "begin":
        info = info._replace(begin=max(0, info.begin + by - 4))
    elif kind == "end":
        info = info._replace(end=max(0, info.end + by - 4))
    elif kind == "hole":
        info = info._replace(begin=info.begin + by, end=info.end + by)
    elif kind == "shape":
        shape = [*SHAPES[by % len(SHAPES)]]
        view, info = view._replace(shape=shape), info._replace(shape=shape)
    elif kind == "dtype":
        dtype = DTYPES[by % len(DTYPES)]
        view, info = view._replace(dtype=dtype), info._replace(dtype=dtype)
    views[at], infos[at] = (name, view), (name, info)
    if kind == "swap":
        other = (at + by) % len(infos)
        infos[at], infos[other] = infos[other], infos[at]
        views[at], views[other] = views[other], views[at]


def _calls(steps: list[Step], tensors: Tensors) -> Iterable[Call]:
    at = 0
    while at < len(steps):
        step = steps[at]
        at += 1
        name = VOCABULARY.kinds[step.kind].name
        if step.kind in _PARTS:
            first = at
            while at < len(steps) and steps[at].kind in _ITEMS:
                at += 1
            place = step.a % len(tensors)
            shape = tensors[place][2]
            items = _index(tuple(steps[first:at]), shape)
            form = _form(step.b % 3, len(items)) if name == "part" else library.SLICED_DATA
            yield Call(_EVENTS.get(name, name), place, form, items)
        elif name == "named":
            place = step.a % (MOST_TENSORS + 1)
            yield Call("tensor", place if place < len(tensors) else -1)
        elif name == "view":
            yield Call(name, step.a)
        elif name == "past_limit":
            yield Call(name, place=PLACES[0] if step.a % 2 else "", room=LONGEST if step.b % 2 else LONG)
        elif name in ("header_into", "refusal_into"):
            yield Call(name, step.b, room=step.a)
        elif name in ("serialize", "serialize_to_file"):
            where = PLACES[step.b % len(PLACES)] if name == "serialize_to_file" else ""
            yield Call(name, -1, step.a % len(HANDED), (), where)
        elif name in _PLAIN:
            yield Call(name)


#: The names of parts in calls.
_EVENTS = {"part": "slice", "byte_ranges": "slice_byte_ranges"}
_PLAIN = frozenset(("deserialize", "read_metadata", "metadata", "header", "header_text", "dtypes", "errors"))


def _form(form: int, count: int) -> int:
    """The form that an index of ``count`` items can take."""
    if (form == library.BY_VALUE and count != 1) or (form == library.BY_TUPLE and not 1 <= count <= 3):
        return library.SLICED_DATA
    return form


@lru_cache(1 << 14)
def _index(steps: tuple[Step, ...], shape: tuple[int, ...]) -> tuple[Item, ...]:
    """The items of an index. ``stride`` gives the item before it a step; it then is a ``Narrow``."""
    items: list[Item] = []
    for step in steps:
        d = shape[len(items)] if len(items) < len(shape) else 0
        if step.kind == _STRIDE:
            if items:
                items[-1] = _narrowed(items[-1])._replace(step=_STEPS[step.a % len(_STEPS)])
            continue
        a, b = (min(max(arrays.bound(_BOUNDS[n % len(_BOUNDS)], d), 0), (1 << 64) - 1) for n in (step.b, step.c))
        if step.kind == _RANGE:
            items.append(Item(step.a % library.NARROW, a, b))
        else:
            kinds = step.a % _BOUND_KINDS**2
            items.append(Item(library.NARROW, a, b, kinds // _BOUND_KINDS, kinds % _BOUND_KINDS))
    return tuple(items)


_LEFT = {library.RANGE: 1, library.FROM: 1, library.INCLUSIVE: 1}
_RIGHT = {library.RANGE: 2, library.INCLUSIVE: 1, library.TO: 2, library.TO_INCLUSIVE: 1}


def _narrowed(item: Item) -> Item:
    """The item as a ``Narrow``; an integer as the range of one."""
    if item.kind == library.NARROW:
        return item
    if item.kind in (library.INTEGER, library.SELECT):
        return Item(library.NARROW, item.a, item.a, 1, 1)
    return Item(library.NARROW, item.a, item.b, _LEFT.get(item.kind, 0), _RIGHT.get(item.kind, 0))


def bounds(item: Item, d: int) -> tuple[int, int, int]:
    """Start, stop and step of an item in a dimension of ``d``, as Rust reads a range: the stop is not in it."""
    narrow = _narrowed(item)
    start = narrow.a + (narrow.left == 2) if narrow.left else 0
    stop = narrow.b + (narrow.right == 1) if narrow.right else d
    return start, stop, narrow.step
