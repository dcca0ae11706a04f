"""The language of the targets ``*_writers`` of frameworks: tensors as users hold them, and calls that save and load them.

``tensor``, ``same`` and ``value`` make an item; ``name`` names the one before. The other steps are calls. Calls that read
take the last written file. A tensor is Python source over functions of :mod:`harness.targets.framework_writers.kits`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from harness.programs import saving
from harness.programs.arrays import BACKENDS, SHAPES
from harness.programs.saving import KEYS, NAMES, ODD_NAMES, UNSPEAKABLE, VALUES, Metadata, metadata_of
from harness.programs.steps import Kind, Step, Vocabulary

MOST_TENSORS = 4
#: Dtypes by number, in words that all frameworks share; from :data:`ODD_DTYPES` on the format lacks them.
DTYPES = (
    "float32", "uint8", "int64", "float16", "bfloat16", "int32", "float64", "bool", "int8", "int16", "uint16", "uint32", "uint64",
    "complex64", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu", "complex128", "int4",
)  # fmt: skip
ODD_DTYPES = DTYPES.index("complex128")


class Layout(NamedTuple):
    """A way to hold a tensor: its word, its source over the tensor, and its smallest rank."""

    word: str
    source: str
    rank: int = 0


LAYOUTS = (
    Layout("plain", "{}"),
    Layout("transposed", "flipped({})", 2),
    Layout("strided", "{}[::2]", 1),
    Layout("backwards", "{}[::-1]", 1),
    Layout("broadcast", "broadcast({})"),
    Layout("tail", "{}[1:]", 1),
    Layout("head", "{}[:1]", 1),
    Layout("cropped", "{}[..., 1:]", 1),
    Layout("column", "{}[..., :1]", 1),
    Layout("row", "{}[0]", 1),
    Layout("mirrored", "{}[..., ::-1]", 1),
    Layout("strided-transposed", "flipped({})[::2]", 2),
    Layout("cropped-strided", "{}[::2][..., 1:]", 2),
    Layout("twice-transposed", "flipped(flipped({})[1:])", 2),
    Layout("broadcast-row", "broadcast({}[0])", 1),
    Layout("held", "held_as({})"),
    Layout("held-transposed", "held_as(flipped({}))", 2),
    Layout("lazy", "lazy({})", 1),
    Layout("lazy-transposed", "flipped(lazy({}))", 2),
)
#: Values that are no tensors, by number, as source.
NO_TENSORS = ("None", "[1.0, 2.0]", "1.5", "'text'", "b'bytes'")

VOCABULARY = Vocabulary(
    [
        Kind("tensor", 14, ((*[*range(ODD_DTYPES)] * 2, *range(len(DTYPES))), range(len(SHAPES)), range(len(LAYOUTS))),
             default_values=(range(9), range(len(SHAPES)), range(len(LAYOUTS)))),
        Kind("same", 3, ((0, 0, 1, 2), range(3))),
        Kind("name", 5, ((0,) * 3 + tuple(range(ODD_NAMES)),)),
        Kind("value", 1, (range(len(NO_TENSORS)),), always_invalid=True),
        Kind("entry", 4, (range(len(KEYS)), (0, 0, 0, *range(len(VALUES))))),
        Kind("save", 14),
        Kind("save_file", 5),
        Kind("load", 6),
        Kind("load_file", 4, (range(2),)),
    ],
    max_steps=8,
)  # fmt: skip
WRITES = ("save", "save_file")
#: The limit of calls on files in one program: they take longer than the others.
MOST_FILES = 3


class Item(NamedTuple):
    """A name and its value, both as source.

    ``memory`` makes the memory of a tensor, ``source`` takes the value from it. ``word`` is the layout; "" of no tensor.
    ``same`` is the place of an earlier item that has the memory, or -1.
    """

    name: str
    memory: str
    source: str
    word: str
    dtype: str = ""
    same: int = -1


class Call(NamedTuple):
    """One call."""

    kind: str
    backend: str = "mmap"


class Program(NamedTuple):
    """The saved items with their metadata, and the calls. ``word`` names the framework that makes the values."""

    items: tuple[Item, ...]
    metadata: Metadata
    calls: tuple[Call, ...]
    word: str = ""

    @property
    def odd(self) -> str:
        """Why no file can hold the dictionary, as a word; "" where nothing speaks against it."""
        names = [UNSPEAKABLE.get(saving.name(item.name), "") for item in self.items]
        values = ["" if item.word else "value" for item in self.items]
        dtypes = ["dtype" if item.dtype in DTYPES[ODD_DTYPES:] else "" for item in self.items]
        return next(filter(None, [*names, *values, *dtypes]), "")

    @property
    def last(self) -> dict[Any, int]:
        """The place of the item of each name; of two equal names the last counts."""
        return {saving.name(item.name): place for place, item in enumerate(self.items)}


def decode(program: bytes) -> Program:
    """Decode a program. Never raises. A program without items saves one tensor; the first call writes."""
    items: list[Item] = []
    entries: list[tuple[int, int]] = []
    calls: list[Call] = []
    for step in VOCABULARY.decode(program):
        kind, place = VOCABULARY.kinds[step.kind].name, len(items)
        if kind in ("tensor", "same", "value"):
            if place < MOST_TENSORS:
                items.append(_item(kind, step, place, tuple(items)))
        elif kind == "name":
            if items:
                items[-1] = items[-1]._replace(name=NAMES[step.a % len(NAMES)])
        elif kind == "entry":
            entries.append((step.a % len(KEYS), step.b % len(VALUES)))
        else:
            files = sum(call.kind.endswith("file") for call in calls)
            if kind.endswith("file") and files == MOST_FILES:
                continue
            if not calls and kind not in WRITES:
                calls.append(Call("save"))
            calls.append(Call(kind, BACKENDS[step.a & 1] if kind == "load_file" else "mmap"))
    made = tuple(items) or (_tensor(0, SHAPES[0], 0, 0),)
    return Program(made, metadata_of(0, tuple(entries)), tuple(calls))


def _item(kind: str, step: Step, place: int, items: tuple[Item, ...]) -> Item:
    if kind == "value":
        return Item(NAMES[place], "", NO_TENSORS[step.a % len(NO_TENSORS)], "")
    tensors = [number for number, item in enumerate(items) if item.word]
    if kind == "tensor" or not tensors:
        layout = step.c if kind == "tensor" else 0
        return _tensor(step.a % len(DTYPES), SHAPES[step.b % len(SHAPES)], layout % len(LAYOUTS), place)
    of = tensors[-1 - step.a % len(tensors)]
    # The same object, a part of it, or all of it seen otherwise: where it has no such part, the same object.
    source = ("{}", "part({})", "flipped({})")[step.b % 3].format(f"t{of}")
    return Item(NAMES[place], "", source, "same", items[of].dtype, of)


@lru_cache(1 << 13)
def _tensor(dtype: int, shape: tuple[int, ...], layout: int, place: int) -> Item:
    laid = LAYOUTS[layout]
    if len(shape) < laid.rank or (laid.source.endswith("[0]") and not shape[0]):
        laid = LAYOUTS[0]
    word = DTYPES[dtype]
    return Item(
        NAMES[place], f"memory({word!r}, {shape}, {1 + 16 * place})", laid.source.format(f"m{place}"), laid.word, word
    )
