"""The language of target ``ambient``: tensors, ambient states that a program enters and leaves, and calls of the public API.

The calls read one file, which holds the tensors, or write the tensors. A state applies to the calls between its ``enter`` and its
``leave``. States may be left in any order.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from harness.programs import arrays
from harness.programs.arrays import BACKENDS, Tensors
from harness.programs.steps import Kind, Step, Vocabulary
from harness.targets.ambient.states import STATES

#: Names of ``safe_open`` for the frameworks that calls use.
FRAMEWORKS = ("numpy", "pt", "paddle")
#: Dtypes by number: all but F6, which neither numpy nor torch has.
DTYPES = tuple(name for name in arrays.DTYPES if not name.startswith("F6"))
NAMES = ("a", "b", "c", "weight")
#: Shapes by number: small ones of rank 0 to 3, and two without elements.
SHAPES = ((4,), (2, 3), (), (0,), (1,), (3, 4), (2, 2, 2), (5,), (2, 0), (17, 3))
#: Metadata by number, of one entry at most: the order of several is another subject.
METADATA: tuple[tuple[tuple[str, str], ...] | None, ...] = (None, (("format", "pt"),), (("é", "\u2028"),), ())
#: Indices of slices by number.
INDICES = ("...", "0", "1:", ":1", "::2", "()", "-1", ":0")
#: Paths by number: the argument, and whether it is relative to the current directory.
PATHS = (
    ("{here}/{name}", False), ("Path('{here}/{name}')", False), ("{name}", True), ("./{name}", True),
    ("../{folder}/{name}", True), ("Path('{name}')", True),
)  # fmt: skip
#: Expected results of ``load_model``: strict or not.
STRICT = (True, False)

# paddle is at fewer places than the others.
_FRAMEWORK = (0, 1, 0, 1, 2)
_BACKEND = (0, 1)
_PATHS = (*[0] * 4, *range(len(PATHS)))
# Environment variables are many, and all alike.
_STATES = (*[number for number, state in enumerate(STATES) if state.kind != "environment"] * 4, *range(len(STATES)))
VOCABULARY = Vocabulary(
    [
        Kind("tensor", 4, (range(len(DTYPES)), range(len(SHAPES)), range(8))),
        Kind("metadata", 1, (range(len(METADATA)),)),
        Kind("enter", 12, (_STATES,)),
        Kind("leave", 3, (range(4),)),
        Kind("load", 3, (_FRAMEWORK,)),
        Kind("load_file", 4, (_FRAMEWORK, _BACKEND, _PATHS)),
        Kind("open", 3, (_FRAMEWORK, _BACKEND, _PATHS)),
        Kind("open_handle", 1, (_FRAMEWORK, _BACKEND, _PATHS)),
        Kind("close", 1),
        Kind("get_tensor", 4, (range(4),)),
        Kind("get_tensors", 3),
        Kind("get_slice", 4, (range(4), range(len(INDICES)))),
        Kind("names", 2),
        Kind("deserialize", 1),
        Kind("save", 3, (_FRAMEWORK,)),
        Kind("save_file", 3, (_FRAMEWORK, (0,), _PATHS)),
        Kind("serialize", 1),
        Kind("serialize_file", 1, ((0,), (0,), _PATHS)),
        Kind("save_model", 2, ((0, 1), (0,), _PATHS)),
        Kind("load_model", 3, (STRICT, _BACKEND, _PATHS)),
        Kind("index", 4, (range(4), range(len(INDICES)))),
        Kind("save_shared", 2),
    ],
    max_steps=16,
)
_CALLS = {kind.name for kind in VOCABULARY.kinds[4:]}
#: Calls on the open file. Without one they open a file of their own.
ON_FILE = frozenset({"get_tensor", "get_tensors", "get_slice", "index", "names"})
#: Calls that take a part of a tensor. The slice object of ``index`` was made before the states were entered.
PARTS = frozenset({"get_slice", "index"})
#: Calls that take a path.
WITH_PATH = frozenset({"load_file", "open", "open_handle", "save_file", "serialize_file", "save_model", "load_model"})
#: Calls of torch alone.
MODULES = frozenset({"save_model", "load_model"})
_OF_TORCH = MODULES | {"save_shared"}
#: Calls that write a file.
WRITES = frozenset({"save_file", "serialize_file", "save_model"})

#: The way of the data in calls without a backend.
_WAYS = {
    "load": "bytes", "deserialize": "bytes", "save": "write", "save_file": "write", "serialize": "write",
    "serialize_file": "write", "save_model": "write", "save_shared": "write",
}  # fmt: skip


class Call(NamedTuple):
    """One call: its kind, framework, backend and path, two numbers, and the ``states`` around it, by number, outermost first."""

    kind: str
    framework: str
    backend: str
    path: int
    first: int
    second: int
    states: tuple[int, ...] = ()

    @property
    def plain(self) -> Call:
        """The same call without states."""
        return self._replace(states=())

    @property
    def route(self) -> str:
        """The framework and the way of the data, for signatures: calls of one route share their code."""
        way = _WAYS.get(self.kind, self.backend)
        raw = self.kind in ("deserialize", "serialize", "serialize_file")
        return f"{'raw' if raw else self.framework} {way}"

    @property
    def slices(self) -> bool:
        """Whether slices go the same route."""
        return self.kind not in _WAYS


class Program(NamedTuple):
    """The content of the file, and the calls."""

    tensors: Tensors
    metadata: tuple[tuple[str, str], ...] | None
    calls: tuple[Call, ...]


@lru_cache(1 << 12)
def decode(program: bytes) -> Program:
    """The tensors and calls of a program. Never raises."""
    tensors: dict[str, tuple[str, str, tuple[int, ...], int]] = {}
    metadata = None
    entered: list[int] = []
    calls: list[Call] = []
    opened = FRAMEWORKS[0], BACKENDS[0], 0
    is_open = False
    for step in VOCABULARY.decode(program):
        kind = VOCABULARY.kinds[step.kind].name
        if kind == "tensor":
            name = NAMES[len(tensors) % len(NAMES)]
            tensors[name] = name, DTYPES[step.a % len(DTYPES)], SHAPES[step.b % len(SHAPES)], step.c % 8
        elif kind == "metadata":
            metadata = METADATA[step.a % len(METADATA)]
        elif kind == "enter":
            entered.append(step.a % len(STATES))
        elif kind == "leave":
            if entered:
                entered.pop(-1 - step.a % len(entered))
        elif kind == "close":
            if is_open:
                calls.append(Call("close", *opened, 0, 0, tuple(entered)))
            is_open = False
        elif kind in _CALLS:
            how = opened if kind in ON_FILE else _how(kind, step)
            if kind in ("open", "open_handle"):
                opened, is_open = how, True
            calls.append(Call(kind, *how, step.a, step.b, tuple(entered)))
    return Program(tuple(tensors.values()) or (("a", "F32", (4,), 0),), metadata, tuple(calls))


def _how(kind: str, step: Step) -> tuple[str, str, int]:
    """Framework, backend and path of a call."""
    framework = "pt" if kind in _OF_TORCH else FRAMEWORKS[step.a % len(FRAMEWORKS)]
    return framework, BACKENDS[step.b % len(BACKENDS)], step.c % len(PATHS)
