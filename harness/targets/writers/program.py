"""The language of target ``writers``: named arrays, tensor specs, metadata, and calls that write them and read them back.

``tensor`` and ``spec`` make an array and a spec, wherever they stand. ``name`` and ``type`` change the one before. The other
steps are calls. Calls that read take the last written file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, NamedTuple, TypeVar

import numpy

from harness.programs import saving
from harness.programs.arrays import BACKENDS, NUMPY_NAMES, SHAPES, WRITER_DTYPES
from harness.programs.saving import (
    CONVENTIONAL,
    KEYS,
    METADATA,
    NAMES,
    ODD_NAMES,
    UNSPEAKABLE,
    VALUES,
    Metadata,
    metadata_of,
    name,
)
from harness.programs.steps import STEP, Kind, Vocabulary
from harness.targets.writers import specs
from harness.targets.writers.array_layouts import ARRAYS, DENSE, LAYOUTS, TYPES
from harness.targets.writers.array_values import DTYPES, ODD_DTYPES, ArrayValue, make
from harness.targets.writers.specs import FAULTS, SOUND_FAULTS, Spec

T = TypeVar("T")
#: Tensors of one dictionary.
MOST_TENSORS = 4

#: Kinds of paths by number (:mod:`harness.targets.writers.output_files`); from :data:`ODD_PATHS` on, writers must refuse them.
PATHS = (
    "str", "Path", "existing", "relative", "unicode", "undecodable", "symlink", "read-only",
    "missing-folder", "directory", "bytes", "bytes-like", "empty", "nul", "int", "None", "too-long", "surrogate",
)  # fmt: skip
ODD_PATHS = 8

_NAMED = (0,) * 3 + tuple(range(ODD_NAMES))
_USUAL_DTYPES = (*range(ODD_DTYPES), *range(len(NUMPY_NAMES)))
_USUAL_CODES = (*[*range(len(NUMPY_NAMES))] * 3, *range(len(WRITER_DTYPES)))
_USUAL_LAYOUTS = (*[0] * 12, *range(DENSE))
VOCABULARY = Vocabulary(
    [
        Kind("tensor", 15, (_USUAL_DTYPES, range(len(SHAPES)), _USUAL_LAYOUTS), rare=True),
        Kind("name", 6, (_NAMED,)),
        Kind("type", 3, ((0, *range(ARRAYS)),)),
        Kind("entry", 6, (range(len(KEYS)), (0, 0, 0, *range(len(VALUES))))),
        Kind("metadata", 3, ((0, 0, 1),)),
        Kind("spec", 6, (_USUAL_CODES, range(len(SHAPES)), (0, 0, 0, *range(SOUND_FAULTS))), rare=True),
        Kind("save", 18),
        # Calls on files take ten times as long as the others.
        Kind("save_file", 1, (range(ODD_PATHS),), expensive=True),
        Kind("serialize", 9),
        Kind("serialize_file", 1, (range(ODD_PATHS),), expensive=True),
        Kind("load", 12),
        Kind("deserialize", 9),
        Kind("load_file", 1, (range(2),), expensive=True),
        Kind("safe_open", 1, (range(2), range(2)), expensive=True),
        Kind("again", 6),
        Kind("equal", 6),
        Kind("resave", 6),
        Kind("nothing", 3, rare=True),
        Kind("alike", 4, (range(64), range(saving.BACK), (0, 0, 1)), rare=True),
        Kind("convention", 3, (range(len(CONVENTIONAL)),)),
    ],
    max_steps=8,
)
_TENSOR, _NAME, _TYPE, _ENTRY, _METADATA, _SPEC, *_ = range(len(VOCABULARY.kinds))
_FIRST_CALL, _NOTHING = VOCABULARY.number["save"], VOCABULARY.number["nothing"]
_ALIKE, _CONVENTION = VOCABULARY.number["alike"], VOCABULARY.number["convention"]
#: The calls that write, with whether they take arrays (else specs).
WRITES = {"save": True, "save_file": True, "serialize": False, "serialize_file": False}
TO_FILE = frozenset(("save_file", "serialize_file"))
FROM_FILE = frozenset(("load_file", "safe_open"))
#: Limits of the calls that write to a file, and that read from one, in one program: they take ten times as long as others.
MOST_TO_FILE, MOST_FROM_FILE = 1, 2


class Call(NamedTuple):
    """One call. ``arrays`` tells whether it takes the arrays or the specs; ``path`` is one of :data:`PATHS`."""

    kind: str
    arrays: bool = True
    path: str = ""
    backend: str = "mmap"
    whole: bool = True


class Lazy(Generic[T]):
    """A property that is computed once for each object, and stored in its ``__dict__``.

    It replaces ``functools.cached_property``, which takes a lock up to Python 3.11. The lock costs more than most values here.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    def __get__(self, one: Any, _: type | None = None) -> T:
        """Compute the value and store it. Raises the error of the computation, each time."""
        made: T = self._make(one)
        one.__dict__[self._name] = made
        return made


class Died(NamedTuple):
    """The result of a call whose process ended by this signal."""

    signal: str


@dataclass(eq=False)
class Content:
    """The expected content of a file: format dtype, shape, bytes, and a word for signatures, by name.

    ``odd`` names the part that no file can hold, or is "". ``fair`` are the documented errors beside SafetensorError. Writers
    must accept ``sound`` content. Programs with equal content share one object, so that its properties are computed once.
    ``right`` is the last file that the oracle found right: it need not judge equal bytes again.
    """

    tensors: dict[str, tuple[str, tuple[int, ...], bytes, str]]
    metadata: Metadata
    odd: str
    sound: bool
    fair: tuple[type[BaseException], ...]
    right: bytes | None = None

    @Lazy
    def features(self) -> tuple[tuple[Any, ...], ...]:
        """Features for the fuzzer: dtypes, ranks and layouts."""
        kinds = {(dtype, min(len(shape), 4), 0 in shape, word) for dtype, shape, _, word in self.tensors.values()}
        entries = len(self.metadata.value or ()) if self.metadata.sound else -1
        return ((self.odd, len(self.tensors), entries), *kinds)

    @Lazy
    def numpy_has(self) -> bool:
        """Whether numpy has all dtypes."""
        return all(dtype in NUMPY_NAMES for dtype, *_ in self.tensors.values())

    @Lazy
    def equal_arrays(self) -> dict[str, Any]:
        """Equal arrays in C order and little-endian, with names in the opposite order. Numpy must have all dtypes."""
        return {
            name: numpy.frombuffer(data, NUMPY_NAMES[dtype]).reshape(shape)
            for name, (dtype, shape, data, _) in reversed(self.tensors.items())
        }


Numbers = tuple[int, ...]


@dataclass(eq=False)
class Things:
    """The arrays, specs and metadata of a program. It makes them on demand: most programs use either arrays or specs."""

    tensors: tuple[Numbers, ...]
    by_hand: tuple[Numbers, ...]
    nothing: bool
    metadata: Metadata

    @Lazy
    def arrays(self) -> tuple[tuple[str, ArrayValue], ...]:
        """The arrays, each with the source of its name. Of two equal names the last counts, as in a dictionary."""
        row = _arrays(self.tensors)
        return row if row or self.nothing else (_DEFAULT_ARRAY,)

    @Lazy
    def specs(self) -> tuple[tuple[str, Spec], ...]:
        """The specs, each with the source of its name."""
        row = _specs(self.by_hand)
        return row if row or self.nothing else (_DEFAULT_SPEC,)

    @Lazy
    def named_arrays(self) -> dict[Any, Any]:
        """The arrays by name: the argument of the calls."""
        return {name(source): made.value for source, made in self.arrays}

    @Lazy
    def null(self) -> bool:
        """Whether a spec has memory at address 0."""
        return any(spec.arguments["data_ptr"] == 0 for _, spec in self.specs)

    @Lazy
    def array_content(self) -> Content:
        """The expected content of a file of the arrays."""
        return _content(self.arrays, self.metadata)

    @Lazy
    def spec_content(self) -> Content:
        """The expected content of a file of the specs."""
        return _content(self.specs, self.metadata)


class Program(NamedTuple):
    """The data, and the calls."""

    things: Things
    calls: tuple[Call, ...]

    def content(self, call: Call) -> Content:
        """The expected content of the file of a call."""
        return self.things.array_content if call.arrays else self.things.spec_content


_DEFAULT_ARRAY = (NAMES[0], make(0, 0, 0, 0, 0))
_DEFAULT_SPEC = (NAMES[0], specs.spec(0, 0, 0, 0))


class _Said(NamedTuple):
    """A decoded step: normalised bytes of a step that makes data, or a call, on arrays and on specs.

    ``made`` has 0 for unused arguments, and arguments modulo the size of their table: equal data have equal bytes.
    ``writes`` tells whether the call writes. ``most`` limits such calls in a program; 0 means no limit.
    """

    made: bytes
    call: Call | None = None
    of_specs: Call | None = None
    writes: bool = False
    most: int = 0


_SAVE = Call("save")
_MAX_LEN = VOCABULARY.max_len
# Decoded steps to remember: programs consist of few different ones.
_KNOWN_STEPS = 1 << 16
_said: dict[bytes, _Said] = {}


def decode(program: bytes) -> Program:
    """Decode a program. Never raises. A program without data writes one array, or one spec."""
    made = b""
    calls: list[Call] = []
    arrays = True
    files = reads = 0
    for at in range(0, min(len(program), _MAX_LEN), STEP):
        raw = program[at : at + STEP]
        step, call, of_specs, writes, most = _said.get(raw) or _say(raw)
        if call is None or of_specs is None:
            made += step
            continue
        if writes:
            if most:
                files += 1
                if files > most:
                    continue
            arrays = call.arrays
            calls.append(call)
            continue
        if most:
            reads += 1
            if reads > most:
                continue
        if not calls:
            calls.append(_SAVE)
        calls.append(call if arrays else of_specs)
    return Program(_things(made), tuple(calls))


def _say(raw: bytes) -> _Said:
    """Decode one step."""
    ((number, a, b, c),) = VOCABULARY.decode(raw)
    kind = VOCABULARY.kinds[number].name
    if kind in WRITES:
        call = Call(kind, WRITES[kind], PATHS[a % len(PATHS)] if kind in TO_FILE else "")
        said = _Said(b"", call, call, True, MOST_TO_FILE if kind in TO_FILE else 0)
    elif _FIRST_CALL <= number < _NOTHING:
        call = Call(kind)
        if kind in FROM_FILE:
            call = Call(kind, backend=BACKENDS[a & 1], whole=kind != "safe_open" or not b & 1)
        said = _Said(b"", call, call._replace(arrays=False), False, MOST_FROM_FILE if kind in FROM_FILE else 0)
    else:
        sizes = _SIZES.get(number, (1, 1, 1))
        said = _Said(bytes((number, a % sizes[0], b % sizes[1], c % sizes[2])))
    if len(_said) < _KNOWN_STEPS:
        _said[raw] = said
    return said


#: The table sizes of the arguments, by the number of a kind that makes data.
_SIZES = {
    _TENSOR: (len(DTYPES), len(SHAPES), len(LAYOUTS)),
    _SPEC: (len(specs.DTYPES), len(SHAPES), len(FAULTS)),
    _NAME: (len(NAMES), 1, 1),
    _TYPE: (len(TYPES), 1, 1),
    _ENTRY: (len(KEYS), len(VALUES), 1),
    _METADATA: (len(METADATA), 1, 1),
    _ALIKE: (256, saving.BACK, 2),
    _CONVENTION: (len(CONVENTIONAL), 1, 1),
}


@lru_cache(1 << 14)
def _things(steps: bytes) -> Things:
    """The data of steps. A name or a type changes the tensor or spec before it; of several the last counts.

    ``alike`` gives it a name that resembles an earlier one, or metadata a key that resembles its name.
    """
    tensors: list[list[int]] = []
    by_hand: list[list[int]] = []
    entries: list[saving.Entry] = []
    form = 0
    nothing = False
    last: list[int] = []
    for at in range(0, len(steps), STEP):
        kind, a, b, c = steps[at : at + STEP]
        if kind == _TENSOR:
            last = [a, b, c, 0, len(tensors)]
            tensors.append(last)
        elif kind == _SPEC:
            last = [a, b, c, 0, len(by_hand)]
            by_hand.append(last)
        elif kind == _NAME and last:
            last[4] = a
        elif kind == _TYPE and last:
            last[3] = a
        elif kind == _ENTRY:
            entries.append((a, b))
        elif kind == _METADATA:
            form = a
        elif kind == _NOTHING:
            nothing = True
        elif kind == _CONVENTION:
            entries.append(CONVENTIONAL[a])
        elif kind == _ALIKE and last and not c:
            last[4] = len(NAMES) + a * saving.BACK + b
        elif kind == _ALIKE and last:
            source = saving.names((last[4],))[0]
            entries.append((saving.alike(source, a) if b or name(source) in UNSPEAKABLE else source, b))
    return Things(
        tuple(map(tuple, tensors[:MOST_TENSORS])),
        tuple(map(tuple, by_hand[:MOST_TENSORS])),
        nothing,
        metadata_of(form, tuple(entries)),
    )


@lru_cache(1 << 13)
def _arrays(rows: tuple[Numbers, ...]) -> tuple[tuple[str, ArrayValue], ...]:
    return _named_once(
        (source, make(dtype, shape, layout, kind, place))
        for place, ((dtype, shape, layout, kind, _), source) in enumerate(
            zip(rows, saving.names(row[4] for row in rows), strict=True)
        )
    )


@lru_cache(1 << 13)
def _specs(rows: tuple[Numbers, ...]) -> tuple[tuple[str, Spec], ...]:
    return _named_once(
        (source, specs.spec(dtype, shape, fault, place))
        for place, ((dtype, shape, fault, _, _), source) in enumerate(
            zip(rows, saving.names(row[4] for row in rows), strict=True)
        )
    )


def _named_once(row: Iterable[tuple[str, T]]) -> tuple[tuple[str, T], ...]:
    return tuple({name(source): (source, one) for source, one in row}.values())


def _content(row: Sequence[tuple[str, ArrayValue | Spec]], metadata: Metadata) -> Content:
    """The expected content of a file of these."""
    tensors: dict[str, tuple[str, tuple[int, ...], bytes, str]] = {}
    odd, sound = "", True
    fair: tuple[type[BaseException], ...] = ()
    for source, one in row:
        key = name(source)
        if key in UNSPEAKABLE:
            odd = odd or UNSPEAKABLE[key]
            fair += () if key == "__metadata__" else saving.CONVENTION
        else:
            tensors[key] = one.entry
        odd = odd or one.odd
        sound = sound and one.sound
        fair += one.fair
    if not metadata.sound:
        odd = odd or "metadata"
        fair += saving.CONVENTION
    return Content(tensors, metadata, odd, sound and not odd, fair)
