"""The language of target ``shards``: a folder with an index, ``model.safetensors.index.json``, and its shard files.

The index says ``{"metadata": {"total_size": BYTES}, "weight_map": {TENSOR: FILE}}``. A program distributes tensors among
shards, with a correct index. Further steps make index and files disagree, each in one way.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from harness.programs import arrays
from harness.programs.arrays import NAMES, NUMPY_NAMES, SHAPES, Tensors
from harness.programs.steps import Kind, Step, Vocabulary
from harness.targets.shards.reader import INDEX

#: A valid file outside the folder: no reader may follow an index to it.
OUTSIDE = "outside.safetensors"
#: A placeholder for the parent folder in an index; the target inserts the real path.
ROOT = "{root}"
MOST_SHARDS = 4
SHARDS = tuple(f"model-{shard + 1:05}-of-{MOST_SHARDS:05}.safetensors" for shard in range(MOST_SHARDS))
OUTSIDE_TENSORS: Tensors = (("outside", "U8", (4,), 9),)

#: Paths of a shard in an index, by number, each with its fault. The first :data:`_RIGHT_PATHS` lead to the shard.
_RIGHT_PATHS = 3
_FINE, ESCAPES, _DOTS, _NO_FILE, _NO_SHARD = "", "outside the folder", "with two dots", "no such file", "no shard"
PATHS: tuple[tuple[str, str], ...] = (
    ("./{}", _FINE),
    ("link-to-{}", _FINE),
    ("below/{}", _FINE),
    ("below/../{}", _DOTS),
    (f"../{OUTSIDE}", ESCAPES),
    (f"{ROOT}/{OUTSIDE}", ESCAPES),
    ("loop.safetensors", _NO_FILE),
    ("folder.safetensors", _NO_FILE),
    ("below\\..\\..\\" + OUTSIDE, _NO_FILE),
    (INDEX, _NO_SHARD),
    ("", _NO_SHARD),
    ("no\0end.safetensors", _NO_FILE),
    ("x" * 300 + ".safetensors", _NO_FILE),
    ("{}.bin", _NO_SHARD),
)

#: The damage of a shard, by number.
_DAMAGE: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("one byte short", lambda raw: raw[:-1]),
    ("empty", lambda raw: b""),
    ("cut in its header", lambda raw: raw[: min(len(raw), 20)]),
    ("one byte long", lambda raw: raw + b"\0"),
    ("another length prefix", lambda raw: (1 << 40).to_bytes(8, "little") + raw[8:]),
    ("no JSON", lambda raw: raw[:8] + b"?" + raw[9:]),
)

#: The value of ``metadata`` by number, as a function of the true size. Readers may ignore it.
_METADATA: tuple[Callable[[int], Any], ...] = (
    lambda size: {"total_size": size + 1},
    lambda size: {"total_size": 0},
    lambda size: {"total_size": -1},
    lambda size: {"total_size": 1 << 64},
    lambda size: {"total_size": float(size)},
    lambda size: {"total_size": str(size)},
    lambda size: {},
    lambda size: {"total_size": size, "format": "pt"},
)

#: Wrong indices by number, each as a function of the right text and of the weight map.
_INDEX: tuple[tuple[str, Callable[[str, dict[str, Any]], str | None]], ...] = (
    ("no index", lambda text, weights: None),
    ("cut off", lambda text, weights: text[:-1]),
    ("empty", lambda text, weights: ""),
    ("a list", lambda text, weights: json.dumps(list(weights))),
    ("no weight map", lambda text, weights: json.dumps({"metadata": {}})),
    ("weight map is a list", lambda text, weights: json.dumps({"metadata": {}, "weight_map": list(weights)})),
    ("weight map is null", lambda text, weights: json.dumps({"metadata": {}, "weight_map": None})),
    ("a file is a number", lambda text, weights: json.dumps({"metadata": {}, "weight_map": dict.fromkeys(weights, 1)})),
    ("a file is null", lambda text, weights: json.dumps({"metadata": {}, "weight_map": dict.fromkeys(weights)})),
    (
        "a file is a list",
        lambda text, weights: json.dumps({"weight_map": {name: [at] for name, at in weights.items()}}),
    ),
    ("deep", lambda text, weights: "[" * 100_000),
    ("no Unicode", lambda text, weights: text[:-1] + "\udcff}"),
)

_SHARD = range(MOST_SHARDS)
_TENSOR = range(6)
VOCABULARY = Vocabulary(
    [
        Kind("tensor", 6, (_SHARD, range(len(NUMPY_NAMES)), range(9)), rare=True),
        Kind("path", 3, (_SHARD, (0, 1, 2, 0, 1, 2, *range(len(PATHS)))), default_values=(_SHARD, range(_RIGHT_PATHS))),
        Kind("doubled", 2, (_TENSOR, _SHARD)),
        Kind("unmapped", 1, (_TENSOR,)),
        Kind("metadata", 1, (range(len(_METADATA)),)),
        Kind("moved", 1, (_TENSOR, _SHARD), always_invalid=True),
        Kind("ghost", 1, (range(4), _SHARD), always_invalid=True),
        Kind("missing", 1, (_SHARD,), always_invalid=True),
        Kind("damaged", 1, (_SHARD, range(len(_DAMAGE))), always_invalid=True),
        Kind("index", 1, (range(len(_INDEX)),), always_invalid=True),
    ],
    max_steps=12,
)


class Program(NamedTuple):
    """A folder, and the tensors that a reader of its index must return.

    ``files`` are the existing shards by name. ``weights`` pairs each name in the index with its path. ``text`` is the whole
    index, or None. ``wrong`` says why a reader must refuse the folder, or is "". ``wanted`` has the expected tensors by
    name: dtype, shape, salt.
    """

    files: tuple[tuple[str, bytes], ...]
    weights: tuple[tuple[str, str], ...]
    text: str | None
    wrong: str
    wanted: dict[str, tuple[str, tuple[int, ...], int]]
    kinds: tuple[str, ...]


def decode(program: bytes) -> Program:
    """Decode a program. Never raises. A folder without tensors gets one; of two equal names the first counts."""
    steps = VOCABULARY.decode(program)
    held: dict[str, tuple[int, str, tuple[int, ...], int]] = {}
    for step in steps:
        if step.kind == 0:
            name = NAMES[(len(held) + step.c // 9) % len(NAMES)]
            shape = SHAPES[step.c % 9 if step.c < 128 else step.c % len(SHAPES)]
            dtype = tuple(NUMPY_NAMES)[step.b % len(NUMPY_NAMES)]
            held.setdefault(name, (step.a % MOST_SHARDS, dtype, shape, len(held)))
    if not held:
        held["a"] = 0, "F32", (4,), 0
    return _Folder(held).made(steps)


class _Folder:
    """A folder under construction: valid at first, then with more faults at each step."""

    def __init__(self, held: dict[str, tuple[int, str, tuple[int, ...], int]]) -> None:
        self.held = held
        self.names = list(held)
        self.shards: list[dict[str, tuple[str, tuple[int, ...], int]]] = [{} for _ in range(MOST_SHARDS)]
        for name, (shard, dtype, shape, salt) in held.items():
            self.shards[shard][name] = dtype, shape, salt
        self.weights: dict[str, int] = {name: shard for name, (shard, *_) in held.items()}
        self.paths: dict[int, tuple[str, str]] = {}
        self.gone: set[int] = set()
        self.damage: dict[int, tuple[str, Callable[[bytes], bytes]]] = {}
        self.metadata: Callable[[int], Any] = lambda size: {"total_size": size}
        self.index: tuple[str, Callable[[str, dict[str, Any]], str | None]] | None = None

    def made(self, steps: list[Step]) -> Program:
        kinds = []
        for step in steps:
            kind = VOCABULARY.kinds[step.kind].name
            if kind != "tensor":
                kinds.append(kind)
                self._change(kind, step, self.names[step.a % len(self.names)], step.b % MOST_SHARDS)
        files = []
        for shard, tensors in enumerate(self.shards):
            if shard not in self.gone and (tensors or shard in self.weights.values()):
                raw = arrays.file(tuple((name, *about) for name, about in tensors.items()))
                files.append((SHARDS[shard], self.damage[shard][1](raw) if shard in self.damage else raw))
        spelled = {name: self._spelled(shard) for name, shard in self.weights.items()}
        size = sum(len(arrays.content(*about)) for tensors in self.shards for about in tensors.values())
        text: str | None = json.dumps({"metadata": self.metadata(size), "weight_map": spelled})
        if self.index is not None:
            text = self.index[1](str(text), spelled)
        wrong = self._wrong()
        wanted = {} if wrong else {name: self.shards[shard][name] for name, shard in self.weights.items()}
        return Program(tuple(files), tuple(spelled.items()), text, wrong, wanted, tuple(kinds))

    def _change(self, kind: str, step: Step, name: str, other: int) -> None:
        shard = step.a % MOST_SHARDS
        if kind == "path":
            self.paths[shard] = PATHS[step.b % len(PATHS)]
        elif kind == "doubled":
            # The same name once more, with other values. The index decides which one counts.
            _, dtype, shape, salt = self.held[name]
            self.shards[other].setdefault(name, (dtype, shape, salt + 7))
        elif kind == "unmapped":
            self.weights.pop(name, None)
        elif kind == "metadata":
            self.metadata = _METADATA[step.a % len(_METADATA)]
        elif kind == "moved":
            self.weights[name] = other
        elif kind == "ghost":
            self.weights.setdefault(f"ghost.{step.a % 4}", other)
        elif kind == "missing":
            self.gone.add(shard)
        elif kind == "damaged":
            self.damage[shard] = _DAMAGE[step.b % len(_DAMAGE)]
        elif kind == "index":
            self.index = _INDEX[step.a % len(_INDEX)]

    def _spelled(self, shard: int) -> str:
        return self.paths[shard][0].replace("{}", SHARDS[shard]) if shard in self.paths else SHARDS[shard]

    def _wrong(self) -> str:
        """The first fault of the folder, in the order in which a reader meets it."""
        if self.index is not None and (
            self.weights or self.index[0] not in ("a file is a number", "a file is null", "a file is a list")
        ):
            return f"index: {self.index[0]}"
        used = sorted(set(self.weights.values()))
        for shard in used:
            if shard in self.paths and self.paths[shard][1]:
                return f"path: {self.paths[shard][1]}"
        for shard in used:
            if shard in self.gone:
                return "shard: missing"
            if shard in self.damage:
                return f"shard: {self.damage[shard][0]}"
        for name, shard in self.weights.items():
            if name not in self.shards[shard]:
                return "tensor: not in its shard"
        return ""
