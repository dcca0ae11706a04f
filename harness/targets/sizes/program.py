"""The language of target ``sizes``: tensors, names, metadata and headers by their lengths, and calls that read and write them.

A length is a power of two with a small distance from it, or an eighth between two powers. The steps that are no calls describe
one content. Each call reads a file of that content, or writes the content. All of it is valid, so each call must succeed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from math import prod
from typing import NamedTuple

from harness.programs.arrays import BACKENDS
from harness.programs.steps import Kind, Step, Vocabulary

#: Bits of the lengths of step ``tensor`` (16 B to 64 MiB) and of step ``large`` (128 MiB to 4 GiB).
TENSOR_BITS, LARGE_BITS = range(4, 27), range(27, 33)
#: Bits of counts, ranks and entries; and of characters of a name or a value.
COUNT_BITS, TEXT_BITS = range(17), range(25)
#: Distances of a length from its power of two: next to it, and by words, lines, pages and blocks.
_NEAR = (
    0, 1, -1, 2, -2, 3, -3, 5, 7, -7, 8, -8, 9, 15, 16, -16, 31, 63, 64, -64, 127, 255, 256, -256, 511, 512, 1_000, 2_048,
    4_095, 4_096, -4_096, 4_097, -4_097, 8_191, 8_192, 12_289, 65_535, 65_536, -65_536, 65_537,
)  # fmt: skip
#: The places of lengths, each in eighths of a power of two with a distance.
PLACES = (*((8, near) for near in _NEAR), *((eighths, near) for eighths in range(9, 16) for near in (0, 1, -1)))
#: Most bytes of the buffer, and of the header: below the limit of 100 MB, so that each program is valid.
DATA_CAP, HEADER_CAP = (1 << 32) + (1 << 24), 96_000_000
#: Most bytes that a call may hold in memory at once.
RESIDENT_CAP = (1 << 32) + (1 << 27)
#: numpy: "The maximum number of dimensions" is 64 (numpy.ndarray, NPY_MAXDIMS).
NUMPY_RANK = 64
#: paddle: "Now only supports access to dimension 0 to 9" (paddle/common/ddim.h).
PADDLE_RANK = 9
#: Most bytes of a part of a tensor, and of a file whose small parts are read by pread.
LARGEST_PART = 1 << 26
#: Most bytes of a tensor that is read in columns: 0.8.0 takes 16 bytes for each one (crashes/defects/slice-range-list.toml).
COLUMNS_CAP = 1 << 20

DTYPES = (("U8", 1), ("F32", 4), ("I16", 2), ("I64", 8))
FRAMEWORKS = ("numpy", "torch", "paddle")
#: Ways to read from an open file.
READINGS = ("get_tensor", "get_tensors", "whole", "halves", "chunks", "edges", "columns")
#: Characters of long strings.
CHARACTERS = ("n", "é", '"', "\U0001f600", "\n", "名")
_SHAPES: tuple[Callable[[int], tuple[int, ...]], ...] = (
    lambda n: (n,),
    lambda n: (1, n),
    lambda n: (n, 1),
    lambda n: (2, n // 2),
    lambda n: (n // 256, 256),
    lambda n: (n // 3, 3),
    lambda n: (n // 4096, 64, 64),
)

_USUAL = (*range(len(TENSOR_BITS) - 8), *range(len(TENSOR_BITS) - 8), *range(len(TENSOR_BITS)))
_FEW = (*[*range(11)] * 6, *range(len(COUNT_BITS)))
_CHARS = (*[*range(13)] * 6, *range(17), *range(len(TEXT_BITS)))
_PLACED = (*[0, 1, 2] * 10, *range(len(PLACES)))
_FORMS = range(len(DTYPES) * len(_SHAPES))
_TWO = (0, 1)
# paddle is at fewer places than the others.
_FRAMEWORK = (0, 1, 0, 1, 2)
VOCABULARY = Vocabulary(
    [
        Kind("tensor", 24, (_USUAL, _PLACED, _FORMS)),
        Kind("large", 1, ((*[0] * 12, *[1] * 6, *[2] * 3, 3, 4, 5), _PLACED, _FORMS), expensive=True),
        Kind("many", 4, (_FEW, _PLACED, range(8))),
        Kind("rank", 4, (_FEW, _PLACED, range(4))),
        Kind("name", 4, (_CHARS, _PLACED, range(len(CHARACTERS)))),
        Kind("entries", 4, (_FEW, _PLACED)),
        Kind("value", 4, (_CHARS, _PLACED, range(2 * len(CHARACTERS)))),
        Kind("pad", 4, (_CHARS, _PLACED)),
        Kind("safe_open", 16, (_FRAMEWORK, _TWO, range(len(READINGS)))),
        Kind("load_file", 5, (_FRAMEWORK, _TWO)),
        Kind("load", 5, (_FRAMEWORK,)),
        Kind("deserialize", 5),
        Kind("save", 7, (_FRAMEWORK,)),
        Kind("save_file", 4, (_FRAMEWORK,)),
        Kind("serialize", 5),
        Kind("serialize_file", 3),
        Kind("save_model", 3),
        Kind("load_model", 3, ((0,), _TWO)),
        Kind("header", 4, (_CHARS, _PLACED)),
    ],
    max_steps=8,
)


class Tensor(NamedTuple):
    """A tensor of ``size`` bytes: from ``begin`` in the buffer of a file, and from ``place`` in the memory of a writer."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size: int
    begin: int
    place: int


class Call(NamedTuple):
    """One call, with the framework ("" for none) and the backend of a reader; ``reading`` is one of :data:`READINGS`."""

    kind: str
    framework: str = ""
    backend: str = ""
    reading: str = ""

    @property
    def word(self) -> str:
        """The call in aspects."""
        parts = (self.framework, self.reading or self.kind, self.backend)
        return ".".join(part for part in parts if part)


@dataclass(slots=True)
class Content:
    """The content of the files of a program: tensors, metadata, and spaces after the header of a file of ours.

    ``whole`` is the length that spaces bring a shorter header to.
    ``size`` has the bytes of the buffer, ``memory`` those of the memory of a writer, where tensors begin at multiples of 64.
    ``header`` is an upper limit of the bytes of the header.
    """

    tensors: list[Tensor] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    pad: int = 0
    whole: int = 0
    size: int = 0
    memory: int = 0
    header: int = 64
    rank: int = 0

    def room(self, header: int, size: int = 0) -> bool:
        """Whether so many more bytes of header and buffer fit; then the header has them."""
        fits = self.header + header <= HEADER_CAP and self.size + size <= DATA_CAP
        self.header += header * fits
        return fits

    def add(self, name: str, dtype: str, shape: tuple[int, ...], size: int) -> None:
        """Add a tensor behind the others."""
        self.tensors.append(Tensor(name, dtype, shape, size, self.size, self.memory))
        self.rank = max(self.rank, len(shape))
        self.size += size
        self.memory += -(-size // 64) * 64


class Program(NamedTuple):
    """The content, and the calls."""

    content: Content
    calls: tuple[Call, ...]


def length(bits: int, place: int) -> int:
    """The length at a place of :data:`PLACES` by a power of two; at least 1."""
    eighths, near = PLACES[place % len(PLACES)]
    return max(1, ((eighths << bits) >> 3) + near)


def decode(program: bytes) -> Program:
    """Decode a program. Never raises. Leaves out steps past the caps, and calls that would need too much memory."""
    steps = VOCABULARY.decode(program)
    content = _content(tuple(step for step in steps if step.kind in _DESCRIPTIONS))
    calls = [_call(step) for step in steps if step.kind not in _DESCRIPTIONS] or [Call("deserialize")]
    return Program(content, tuple(call for call in calls if _possible(call, content)))


@lru_cache(8)
def _content(steps: tuple[Step, ...]) -> Content:
    content = Content()
    for index, step in enumerate(steps):
        _STEPS[VOCABULARY.kinds[step.kind].name](content, index, step)
    return content


def _tensor(content: Content, index: int, step: Step) -> None:
    _sized(content, index, TENSOR_BITS[step.a % len(TENSOR_BITS)], step)


def _large(content: Content, index: int, step: Step) -> None:
    _sized(content, index, LARGE_BITS[step.a % len(LARGE_BITS)], step)


def _sized(content: Content, index: int, bits: int, step: Step) -> None:
    """A tensor of so many bytes, or the next multiple of its element; of a shape that holds them all, else flat."""
    dtype, width = DTYPES[step.c % len(DTYPES)]
    count = -(-length(bits, step.b) // width)
    shape = _SHAPES[step.c // len(DTYPES) % len(_SHAPES)](count)
    if prod(shape) != count:
        shape = (count,)
    if content.room(120, count * width):
        content.add(f"t{index}", dtype, shape, count * width)


def _many(content: Content, index: int, step: Step) -> None:
    """Tensors of 0 to 3 elements."""
    dtype, width = DTYPES[step.c % len(DTYPES)]
    elements = step.c // len(DTYPES) % 2 * 3 if step.c < 2 * len(DTYPES) else 1
    count = min(length(COUNT_BITS[step.a % len(COUNT_BITS)], step.b), 1 << 16)
    if len(content.tensors) < 1 << 16 and content.room(100 * count, elements * width * count):
        for number in range(count):
            content.add(f"m{index}.{number:x}", dtype, (elements,), elements * width)


def _rank(content: Content, index: int, step: Step) -> None:
    """A tensor of one or three elements: ones, with a three in the first or last place."""
    rank = min(length(COUNT_BITS[step.a % len(COUNT_BITS)], step.b), 1 << 16)
    shape = {1: (3, *(1,) * (rank - 1)), 2: (*(1,) * (rank - 1), 3)}.get(step.c % 4, (1,) * rank)
    if content.room(120 + 2 * rank, 3):
        content.add(f"r{index}", "U8", shape, prod(shape))


def _escaped(character: str) -> int:
    """The bytes of a character in JSON of ASCII alone."""
    return len(json.dumps(character)) - len('""')


def _name(content: Content, index: int, step: Step) -> None:
    character = CHARACTERS[step.c % len(CHARACTERS)]
    count = length(TEXT_BITS[step.a % len(TEXT_BITS)], step.b)
    if content.room(120 + _escaped(character) * count, 4):
        content.add(f"n{index}." + character * count, "F32", (1,), 4)


def _entries(content: Content, index: int, step: Step) -> None:
    count = min(length(COUNT_BITS[step.a % len(COUNT_BITS)], step.b), 1 << 16)
    if content.room(40 * count):
        content.metadata |= {f"e{index}.{number:x}": f"{number:x}" for number in range(count)}


def _value(content: Content, index: int, step: Step) -> None:
    """An entry with a long value, or with a long key."""
    character = CHARACTERS[step.c % len(CHARACTERS)]
    text = character * length(TEXT_BITS[step.a % len(TEXT_BITS)], step.b)
    if content.room(40 + _escaped(character) * len(text)):
        long_key = step.c // len(CHARACTERS) % 2
        content.metadata |= {f"v{index}.{text}": "v"} if long_key else {f"v{index}": text}


def _pad(content: Content, index: int, step: Step) -> None:
    """Spaces after the JSON; of several steps the last counts."""
    count = length(TEXT_BITS[step.a % len(TEXT_BITS)], step.b)
    if content.room(count):
        content.pad = count


def _header(content: Content, index: int, step: Step) -> None:
    """Spaces up to a length of the whole header; of several steps the last counts."""
    count = length(TEXT_BITS[step.a % len(TEXT_BITS)], step.b)
    if content.room(count):
        content.whole = count


_STEPS: dict[str, Callable[[Content, int, Step], None]] = {
    "tensor": _tensor, "large": _large, "many": _many, "rank": _rank, "name": _name, "entries": _entries, "value": _value,
    "pad": _pad, "header": _header,
}  # fmt: skip
_DESCRIPTIONS = frozenset(VOCABULARY.number[name] for name in _STEPS)


_OF_FRAMEWORKS = frozenset(("safe_open", "load_file", "load", "save", "save_file"))


def _call(step: Step) -> Call:
    kind = VOCABULARY.kinds[step.kind].name
    framework = FRAMEWORKS[step.a % len(FRAMEWORKS)] if kind in _OF_FRAMEWORKS else ""
    if kind in ("save_model", "load_model"):
        framework = "torch"
    backend = BACKENDS[step.b % 2] if kind in ("safe_open", "load_file", "load_model") else ""
    reading = READINGS[step.c % len(READINGS)] if kind == "safe_open" else ""
    return Call(kind, framework, backend, reading)


def _possible(call: Call, content: Content) -> bool:
    """Whether the call fits into memory, and the framework can hold the ranks."""
    if content.rank > {"numpy": NUMPY_RANK, "paddle": PADDLE_RANK}.get(call.framework, content.rank):
        return False
    if call.framework == "paddle" and call.backend == "mmap" and not all(tensor.size for tensor in content.tensors):
        # It views no empty tensor of a file (crashes/defects/paddle-empty-view.toml), or ends the process over its place.
        return False
    if call.backend == "pread" and call.reading in ("chunks", "edges", "columns") and content.size > LARGEST_PART:
        return False
    return resident(call, content) <= RESIDENT_CAP


def resident(call: Call, content: Content) -> int:
    """An upper estimate of the bytes that a call holds at once, beside the memory of the writer, which is sparse."""
    largest = max((tensor.size for tensor in content.tensors), default=0)
    if call.framework == "paddle" and call.kind in ("load", "save", "save_file"):
        # A tensor of paddle's is a copy of the memory; what it gives to numpy is another.
        return 2 * content.size + (content.size if call.kind == "save" else largest)
    if call.kind in ("deserialize", "load", "save", "serialize"):
        # The file as bytes, and the tensors; or the file twice.
        return 2 * content.size
    if call.kind in ("save_file", "serialize_file", "save_model"):
        return content.size
    if call.kind == "load_model":
        # The module, and the file or the tensors read from it.
        return 2 * content.size
    mapped = content.size if call.backend == "mmap" else 0
    # Torch maps the file, and its tensors lie in the mapping.
    copied = not (call.backend == "mmap" and call.framework == "torch")
    if call.reading in ("get_tensor", "whole", "edges"):
        return mapped + copied * largest
    if call.reading in ("halves", "chunks", "columns"):
        # By pread a part takes the whole tensor (crashes/defects/pread-slice-reads-all.toml).
        return mapped + (min(largest, LARGEST_PART) if mapped else 2 * largest)
    return mapped + copied * content.size


def seeds() -> dict[str, bytes]:
    """A program per kind of call, and per kind of length."""
    step, encode = VOCABULARY.step, VOCABULARY.encode
    two = [step("tensor", 8, 1), step("tensor", 6, 2, 5)]
    equal = [step("tensor", 9, 1)] * 2
    read = [step("safe_open", 0, 0), step("safe_open", 0, 1, 3), step("safe_open", 1, 0), step("safe_open", 1, 1, 4)]
    plans: dict[str, list[Step]] = {
        "deserialize": [*two, step("deserialize"), step("load"), step("load", 1)],
        "safe_open": [*two, *read],
        "load_file": [*two, step("load_file"), step("load_file", 0, 1), step("load_file", 1), step("load_file", 1, 1)],
        "parts": [*two, *(step("safe_open", 0, 0, number) for number in range(1, len(READINGS)))],
        "equal": [
            *equal,
            step("load"),
            step("load", 1),
            step("load_file"),
            step("load_file", 1, 1),
            step("deserialize"),
        ],
        "equal-open": [*equal, *(step("safe_open", number % 2, number // 2, 1) for number in range(4)), step("save")],
        "save": [*two, step("save"), step("save", 1), step("serialize")],
        "save_file": [*two, step("save_file"), step("save_file", 1), step("serialize_file")],
        "mebibyte": [step("tensor", 16, 1), step("tensor", 17, 2, 4), *read[:2], step("save"), step("save", 1)],
        "eight-mebibytes": [step("tensor", 19, 3), *read[1:3], step("save_file"), step("serialize")],
        "many": [step("many", 10, 1, 1), *read[:2], step("save"), step("deserialize")],
        "rank": [step("rank", 6), step("rank", 4, 1, 2), *read, step("serialize")],
        "name": [step("name", 12, 1), step("name", 8, 2, 3), *read[:2], step("save"), step("save", 1)],
        "metadata": [step("entries", 10, 1), step("value", 12, 1), step("value", 8, 2, 7), *read[:2], step("save")],
        "pad": [step("pad", 12, 1), *two, *read[:2], step("deserialize")],
        # More pieces than 4,096, and than 65,536.
        "pieces": [
            step("tensor", 13, 1, 20),
            step("safe_open", 0, 0, 6),
            step("safe_open", 0, 1, 6),
            step("safe_open", 1, 1, 6),
        ],
        "more-pieces": [step("tensor", 15, 1, 20), step("safe_open", 0, 0, 6)],
        **{
            f"header-{bits}{'-less' * (place > 0)}": [*two, step("header", bits, place), *read[:2], step("deserialize")]
            for bits in range(9, 22)
            for place in (0, _NEAR.index(-3))
        },
        "model": [*two, step("save_model"), step("load_model"), step("load_model", 0, 1)],
        "models": [step("many", 6, 1, 5), step("name", 8, 2, 3), step("save_model"), step("load_model")],
        "paddle-load": [*two, step("load", 2), step("load_file", 2), step("load_file", 2, 1)],
        "paddle-save": [*two, step("value", 8, 2, 7), step("save", 2), step("save_file", 2)],
        "paddle-open": [step("tensor", 16, 1), step("rank", 3, 1), step("safe_open", 2, 0), step("safe_open", 2, 1, 3)],
        "paddle-mebibyte": [
            step("tensor", 16, 1),
            step("tensor", 17, 2, 5),
            step("load", 2),
            step("load_file", 2),
            step("save", 2),
        ],
    }
    return {name: encode(steps) for name, steps in plans.items()}


def rare_seeds() -> dict[str, bytes]:
    """Reads and writes of 2 GiB and a byte: a call of read(2) or write(2) transfers at most 0x7ffff000 bytes."""
    step, encode = VOCABULARY.step, VOCABULARY.encode
    plans = {
        "write": [step("save_file"), step("serialize_file")],
        "read": [step("load_file", 0, 1), step("safe_open", 0, 1, 0)],
    }
    return {f"two-gibibytes-{word}": encode([step("large", 4, 1), *calls]) for word, calls in plans.items()}
