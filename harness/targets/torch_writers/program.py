"""The language of target ``torch_writers``: tensors that may share memory, in a dictionary or in a module.

``tensor``, ``view`` and ``value`` make an item; ``form`` and ``name`` change the one before. A module has the same items as
parameters and buffers, under the same names. The other steps are calls. Calls that read take the last written file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from harness.programs import saving
from harness.programs.arrays import BACKENDS, SHAPES
from harness.programs.saving import KEYS, METADATA, NAMES, ODD_NAMES, UNSPEAKABLE, VALUES, Metadata, metadata_of, name
from harness.programs.steps import Kind, Step, Vocabulary
from harness.targets.torch_writers import tensors as values
from harness.targets.torch_writers.tensors import (
    DTYPES,
    FORMS,
    LAYOUT_NUMBERS,
    NO_TENSORS,
    ODD_DTYPES,
    VIEWS,
    TensorValue,
)

MOST_TENSORS = 5
#: Containers of the tensors by number, as source; from :data:`ODD_CONTAINERS` on they are no dictionaries.
CONTAINERS = (
    "{}",
    "collections.OrderedDict({})",
    "Mapping({})",
    "list({}.items())",
    "types.MappingProxyType({})",
    "None",
)
ODD_CONTAINERS = 3
#: The model for a file by number: that of the program, with zeros as values; without its last name; with two other names;
#: with tensors that share no memory; and with a longer first tensor.
MODELS = ("same", "fewer", "more", "untied", "longer")
#: The model with a second name for the first tensor, which sorts before it. Its number leaves stored programs their meaning.
TWIN, TWIN_NUMBER = "twin", 255

_PLAIN = (*[0] * 16, *LAYOUT_NUMBERS.values())
# Default values: dtypes that the reader for torch knows, contiguous layouts, views of the whole memory or of its first half,
# and the model of the program.
_READ_DTYPES = range(DTYPES.index("float8_e8m0fnu"))
_CONTIGUOUS = tuple(n for word, n in LAYOUT_NUMBERS.items() if word in ("plain", "tail", "head", "element", "conj"))
_WHOLE = (0, 1, 2, 3)
VOCABULARY = Vocabulary(
    [
        Kind("tensor", 14, ((*[*range(ODD_DTYPES)] * 2, *range(len(DTYPES))), range(len(SHAPES)), _PLAIN), rare=True,
             default_values=(_READ_DTYPES, range(len(SHAPES)), (*[0] * 8, *_CONTIGUOUS))),
        Kind("view", 9, ((0, 0, 0, 1, 2), (0, 0, *range(len(VIEWS)))), default_values=((0, 0, 0, 1, 2), _WHOLE)),
        Kind("form", 6, (range(len(FORMS)),)),
        Kind("name", 5, ((0,) * 3 + tuple(range(ODD_NAMES)),)),
        Kind("value", 1, (range(len(NO_TENSORS)),), always_invalid=True),
        Kind("holder", 2, (range(ODD_CONTAINERS),), always_invalid=True),
        Kind("entry", 4, (range(len(KEYS)), (0, 0, 0, *range(len(VALUES))))),
        Kind("metadata", 2, ((0, 0, 1),)),
        Kind("save", 14),
        Kind("save_file", 4),
        Kind("save_model", 12, ((0, 0, 1),)),
        Kind("load", 10),
        Kind("load_file", 6, (range(2),)),
        Kind("load_model", 12, ((0, 0, *range(len(MODELS)), TWIN_NUMBER), range(2), range(2)), default_values=((0,), range(2), range(2))),
        Kind("again", 4),
        Kind("resave", 5),
        Kind("twice", 4, (range(3),)),
    ],
    max_steps=10,
)  # fmt: skip
_TENSOR, _VIEW, _FORM, _NAME, _VALUE, _HOLDER, _ENTRY, _METADATA, *_ = range(len(VOCABULARY.kinds))
_FIRST_CALL = VOCABULARY.number["save"]
WRITES = ("save", "save_file", "save_model")
#: The limit of calls on files in one program: they take longer than the others.
MOST_FILES = 4
_FILES = ("save_file", "save_model", "load_file", "load_model", "twice")
#: Messages of the ValueErrors and RuntimeErrors that safetensors/torch.py raises itself.
ANNOUNCED = (
    "which this library does not support", "Some tensors share memory", "save a non contiguous tensor",
    "Expected a dict of", "expected torch.Tensor but received", "found no suitable name", "Error(s) in loading state_dict",
)  # fmt: skip
#: The readers of ``twice`` by number.
READERS = ("load", "load_file", "load_file")


class Call(NamedTuple):
    """One call. ``contiguous`` is for ``save_model``; ``model`` and ``strict`` are for ``load_model``."""

    kind: str
    contiguous: bool = True
    backend: str = "mmap"
    model: str = "same"
    strict: bool = True
    reader: str = "load"


@dataclass(frozen=True, eq=False)
class Item:
    """A name with a tensor in a form, or with the source of another value.

    ``same`` is the place of an earlier item with the same object, or -1.
    """

    name: str
    tensor: TensorValue | None
    form: str
    value: str = ""
    same: int = -1


@dataclass(eq=False)
class Things:
    """The items and the metadata of a program."""

    items: tuple[Item, ...]
    container: str
    metadata: Metadata

    @cached_property
    def last(self) -> dict[Any, Item]:
        """The items by name; of two equal names the last counts."""
        return {name(item.name): item for item in self.items}

    @cached_property
    def last_in_module(self) -> dict[str, Item]:
        """The items by their names in a module, which are strings and not empty."""
        return dict(zip(self.names, self.items, strict=True))

    @cached_property
    def tensors(self) -> dict[Any, TensorValue]:
        """The tensors by name, without names that no file can hold."""
        row = self.last.items()
        return {key: item.tensor for key, item in row if item.tensor is not None and key not in UNSPEAKABLE}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The name of each item in a module."""
        return tuple(_module_name(item.name, place) for place, item in enumerate(self.items))

    @cached_property
    def state(self) -> dict[str, TensorValue]:
        """The tensors of the module by name."""
        return {key: item.tensor for key, item in self.last_in_module.items() if item.tensor is not None}

    @cached_property
    def odd(self) -> str:
        """Why no file can hold the dictionary, or ""."""
        names = [UNSPEAKABLE.get(key, "") for key in self.last]
        odds = [
            *names,
            "holder" if self.container in CONTAINERS[ODD_CONTAINERS:] else "",
            *_odds(self.last, self.metadata),
        ]
        return next(filter(None, odds), "") or ("shared" if _overlap(list(self.tensors.values())) else "")

    @cached_property
    def odd_state(self) -> str:
        """Why no file can hold the module, or "". A file may hold a tensor under another name with the same memory."""
        names = ["name/__metadata__" if key == "__metadata__" else "" for key in self.last_in_module]
        # A module accepts names that are no valid text.
        names += ["name" for key in self.last_in_module if any("\ud800" <= char <= "\udfff" for char in key)]
        row = self.state.values()
        # Like other ties, a pair without a dimension is left out where a valid tensor has the same memory.
        tied = [made for made in row if made.odd == "pair" and any(not one.odd and one.holds(made) for one in row)]
        items = {key: item for key, item in self.last_in_module.items() if item.tensor not in tied}
        return next(filter(None, [*names, *_odds(items, self.metadata)]), "")

    @cached_property
    def sound(self) -> bool:
        """Whether ``save`` must accept the dictionary."""
        # Parts of one memory without common bytes are sound, too: upstream's test_disjoint_tensors_shared_storage.
        return not self.odd and all(made.contiguous for made in self.tensors.values())

    @cached_property
    def fair(self) -> tuple[type[BaseException], ...]:
        """The errors that Python documents for names and metadata of a wrong type."""
        odd = any(UNSPEAKABLE.get(name(item.name)) == "name" for item in self.items)
        return saving.CONVENTION if odd or not self.metadata.sound else ()

    def sound_state(self, *, contiguous: bool) -> bool:
        """Whether ``save_model`` must accept the module; ``contiguous`` is its argument."""
        row = list(self.state.values())
        # Of names with one memory it may keep an invalid one.
        return not self.odd_state and not any(made.odd for made in row) and whole(row, contiguous=contiguous)

    def model(self, which: str) -> tuple[tuple[str, Item], ...]:
        """The names and items of a module for ``load_model``, by its word in :data:`MODELS`, or :data:`TWIN`."""
        row = list(zip(self.names, self.items, strict=True))
        if which == "fewer":
            return tuple(row[:-1])
        if which == TWIN:
            first = self.items[0]
            return (*row, ("!twin", Item("", first.tensor, first.form, first.value, -1 if first.tensor is None else 0)))
        if which == "more":
            more = (Item("", values.make(0, (2,), 0, len(row) + place), FORMS[1]) for place in range(2))
            return (*row, *zip(("one.more", "two.more"), more, strict=True))
        if which in ("untied", "longer"):
            separate = [
                (
                    key,
                    Item(
                        "", None if item.tensor is None else _in_own_memory(item.tensor, place), item.form, item.value
                    ),
                )
                for place, (key, item) in enumerate(row)
            ]
            if which == "longer":
                made = separate[0][1].tensor
                longer = () if made is None else (made.shape[0] + 1, *made.shape[1:]) if made.shape else (2,)
                separate[0] = separate[0][0], Item("", values.make(0, longer, 0, 0), FORMS[0])
            return tuple(separate)
        return tuple(row)


class Program(NamedTuple):
    """The data, and the calls."""

    things: Things
    calls: tuple[Call, ...]


def decode(program: bytes) -> Program:
    """Decode a program. Never raises. A program without items writes one tensor."""
    makers: list[Step] = []
    calls: list[Call] = []
    files = 0
    for step in VOCABULARY.decode(program):
        if step.kind < _FIRST_CALL:
            makers.append(step)
            continue
        call = _call(step)
        if call.kind in _FILES:
            files += 1
            if files > MOST_FILES:
                continue
        if not calls and call.kind not in WRITES:
            calls.append(Call("save"))
        calls.append(call)
    return Program(_things(tuple(makers)), tuple(calls))


@lru_cache(1 << 12)
def _call(step: Step) -> Call:
    kind = VOCABULARY.kinds[step.kind].name
    if kind == "save_model":
        return Call(kind, contiguous=not step.a & 1)
    if kind == "load_model":
        model = TWIN if step.a == TWIN_NUMBER else MODELS[step.a % len(MODELS)]
        return Call(kind, backend=BACKENDS[step.c & 1], model=model, strict=not step.b & 1)
    if kind == "twice":
        return Call(kind, backend=BACKENDS[step.a % 3 == 2], reader=READERS[step.a % 3])
    return Call(kind, backend=BACKENDS[step.a & 1] if kind == "load_file" else "mmap")


@lru_cache(1 << 12)
def _things(steps: tuple[Step, ...]) -> Things:
    items: list[list[Any]] = []
    entries: list[tuple[int, int]] = []
    form = holder = 0
    for kind, a, b, c in steps:
        place = len(items)
        if kind in (_TENSOR, _VIEW, _VALUE):
            if place == MOST_TENSORS:
                continue
            row: list[Any] = [NAMES[place], None, FORMS[0], "", -1]
            tensors = [number for number, item in enumerate(items) if item[1] is not None]
            if kind == _VALUE:
                row[3] = NO_TENSORS[a % len(NO_TENSORS)]
            elif kind == _VIEW and tensors:
                of = tensors[-1 - a % len(tensors)]
                row[1] = values.view(items[of][1], b % len(VIEWS))
                if not row[1].source:
                    row[2], row[4] = items[of][2], of
            else:
                row[1] = values.make(a, SHAPES[b % len(SHAPES)], c if kind == _TENSOR else 0, place)
            items.append(row)
        elif kind == _FORM and items and items[-1][4] < 0 and not _sparse(items[-1][1]):
            items[-1][2] = FORMS[a % len(FORMS)]
        elif kind == _NAME and items:
            items[-1][0] = NAMES[a % len(NAMES)]
        elif kind == _ENTRY:
            entries.append((a % len(KEYS), b % len(VALUES)))
        elif kind == _METADATA:
            form = a % len(METADATA)
        elif kind == _HOLDER:
            holder = a % len(CONTAINERS)
    if not items:
        items.append([NAMES[0], values.make(0, SHAPES[0], 0, 0), FORMS[0], "", -1])
    return Things(tuple(Item(*row) for row in items), CONTAINERS[holder], metadata_of(form, tuple(entries)))


def _sparse(made: TensorValue | None) -> bool:
    """Whether torch can make no subclass of the tensor."""
    return made is not None and made.odd == "sparse"


def _module_name(source: str, place: int) -> str:
    key = name(source)
    return key if isinstance(key, str) and key else f"t{place}"


def _odds(items: dict[Any, Item], metadata: Metadata) -> Iterable[str]:
    for item in items.values():
        yield "value" if item.tensor is None else item.tensor.odd
    yield "" if metadata.sound else "metadata"


def whole(tensors: Sequence[TensorValue], *, contiguous: bool) -> bool:
    """Whether each memory has a tensor that covers it, and no tensor is an empty part; else the library may refuse a model.

    Without ``contiguous`` all tensors must be contiguous.
    """
    row = [made for made in tensors if contiguous or made.contiguous]
    there = {made.memory for made in row if made.complete}
    return len(row) == len(tensors) and all(
        not made.memory.elements.size or (made.memory in there and made.data) for made in row
    )


def _overlap(row: Sequence[TensorValue]) -> bool:
    return any(one.meets(other) for at, one in enumerate(row) for other in row[:at])


def _in_own_memory(made: TensorValue, place: int) -> TensorValue:
    """A plain tensor of the same dtype and shape in memory of its own."""
    return values.make(DTYPES.index(made.dtype), made.shape, 0, place)
