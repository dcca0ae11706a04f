"""The language of target ``parallel``: a file of weights, and the parts that the ranks of a parallel loader read.

Steps ``tensor`` make the file, ``handles`` opens it. Each other step is a call by all ranks together: they split a tensor
along a dimension with the arithmetic of loaders, or they distribute the layers among stages.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from harness.programs import arrays
from harness.programs.arrays import NAMES, NUMPY_NAMES, SHAPES, Tensors
from harness.programs.steps import Kind, Step, Vocabulary

#: Tensors of one file.
MOST_TENSORS = 4
DTYPES = tuple(NUMPY_NAMES)
#: Numbers of ranks: mostly powers of two, then more than most dimensions have.
WORLDS = (2, 1, 4, 3, 2, 8, 5, 6, 4, 7, 16, 9, 2, 3, 12, 33)


class Span(NamedTuple):
    """The range of a dimension that one rank reads, and its block of a fused tensor."""

    start: int
    stop: int
    step: int = 1
    block: int = 0


Arithmetic = Callable[[int, int, int], tuple[int, int]]


def _floor(d: int, world: int, rank: int) -> tuple[int, int]:
    """Equal blocks. Loaders assert that the division is even; without that, no rank reads the rest."""
    block = d // world
    return rank * block, (rank + 1) * block


def _balanced(d: int, world: int, rank: int) -> tuple[int, int]:
    """As ``numpy.array_split``: the first ranks read one more."""
    block, more = divmod(d, world)
    start = rank * block + min(rank, more)
    return start, start + block + (rank < more)


def _ceiling(d: int, world: int, rank: int) -> tuple[int, int]:
    """Blocks of one size. The last ones end with the dimension, or are empty."""
    start, stop = _ceiling_unbounded(d, world, rank)
    return min(start, d), min(stop, d)


def _ceiling_unbounded(d: int, world: int, rank: int) -> tuple[int, int]:
    """The same beyond the end: numpy cuts that off, the parser may refuse it."""
    block = -(-d // world)
    return rank * block, (rank + 1) * block


#: Arithmetic by number, with its word in signatures.
ARITHMETIC: tuple[tuple[str, Arithmetic], ...] = (
    ("floor", _floor),
    ("balanced", _balanced),
    ("ceiling", _ceiling),
    ("proportional", lambda d, world, rank: (d * rank // world, d * (rank + 1) // world)),
    (
        "last-takes-the-rest",
        lambda d, world, rank: (d // world * rank, d if rank == world - 1 else d // world * (rank + 1)),
    ),
    ("unbounded", _ceiling_unbounded),
)
#: The place of the range in a subscript, by number: the source before and after it, and its dimension.
_WHERE = (("", "", 0), (":, ", "", 1), ("..., ", "", -1), ("", ", ...", 0), ("", ", :", 0))

_TENSOR_ARGUMENT = range(MOST_TENSORS)
# No more ranks than most shapes have rows.
_WORLD_ARGUMENT = (0, 0, 0, 1, 2, 3)
# Weights of some size, a few small ones, and an empty one.
_SHAPE_ARGUMENT = (8, 9, 21, 26, 33, 34, 20, 31, 32, 4, 17, 0, 3, 13)
_ARITHMETIC_ARGUMENT = (0, 1, 3, 4)
_SPLIT = _TENSOR_ARGUMENT, _WORLD_ARGUMENT, _ARITHMETIC_ARGUMENT

VOCABULARY = Vocabulary(
    [
        Kind("tensor", 3, (range(len(DTYPES)), _SHAPE_ARGUMENT, (0,)), rare=True),
        Kind("handles", 1, (range(4), range(3), range(2)), rare=True),
        Kind("columns", 5, _SPLIT), Kind("rows", 5, _SPLIT), Kind("last", 2, _SPLIT), Kind("ellipsis", 1, _SPLIT),
        Kind("all-of-the-rest", 1, _SPLIT),
        Kind("fused", 3, (_TENSOR_ARGUMENT, _WORLD_ARGUMENT, range(3))),
        Kind("padded", 3, (_TENSOR_ARGUMENT, _WORLD_ARGUMENT, range(4))),
        Kind("strided", 2, (_TENSOR_ARGUMENT, _WORLD_ARGUMENT, range(2))),
        Kind("replicated", 1, (_TENSOR_ARGUMENT, _WORLD_ARGUMENT, _WORLD_ARGUMENT)),
        Kind("stages", 2, (_WORLD_ARGUMENT, _ARITHMETIC_ARGUMENT, range(2))),
        Kind("whole", 1, (_TENSOR_ARGUMENT,)),
    ],
    max_steps=8,
)  # fmt: skip
_HANDLES, _STAGES = VOCABULARY.number["handles"], VOCABULARY.number["stages"]
_BLOCKS = (3, 2, 5)
_MULTIPLES = (1, 4, 8, 64)

#: Kinds of ranges: with elements, empty, empty at the end, of an empty tensor, outside (numpy cuts it off, the parser may
#: refuse it), and of a dimension that does not exist.
INSIDE, EMPTY, EMPTY_AT_END, NO_ELEMENTS, OUTSIDE, NO_DIMENSION = (
    "inside", "empty", "empty-at-end", "of-no-elements", "outside", "no-dimension",
)  # fmt: skip
#: Ranges within the tensor: the parser must read them.
WITHIN = (INSIDE, EMPTY, EMPTY_AT_END, NO_ELEMENTS)


class Part(NamedTuple):
    """The read of one rank: one subscript."""

    rank: int
    source: str
    index: Any
    place: str


class Call(NamedTuple):
    """A call by all ranks together.

    ``form`` is the kind of split and its arithmetic. ``order`` lists the parts in their order along ``axis``, where they
    cover it from its start without a gap; else it is empty. ``stages`` has the places of the tensors of each stage.
    """

    kind: str
    tensor: int
    form: str
    axis: int = 0
    parts: tuple[Part, ...] = ()
    order: tuple[int, ...] = ()
    covered: int = 0
    stages: tuple[tuple[int, ...], ...] = ()


class Program(NamedTuple):
    """A file, the backends of its handles, whether a rank reuses one slice object, and the calls."""

    tensors: Tensors
    backends: tuple[str, ...]
    keep: bool
    calls: tuple[Call, ...]


_BACKENDS = (("mmap", "mmap"), ("pread", "pread"), ("mmap", "pread"))
_DEFAULT: Tensors = (("model.layers.0.q", "F32", (3, 4), 0),)


def decode(program: bytes) -> Program:
    """Decode a program. Never raises. A file without tensors gets one; of two equal names the first counts."""
    actions: list[Step] = []
    tensors: dict[str, tuple[str, str, tuple[int, ...], int]] = {}
    backends: tuple[str, ...] = ("mmap",)
    keep = False
    for step in VOCABULARY.decode(program):
        if step[0] > _HANDLES:
            actions.append(step)
        elif step[0] == _HANDLES:
            pair = _BACKENDS[step.b % len(_BACKENDS)]
            backends = tuple(pair[handle % 2] for handle in range(1 + step.a % 4))
            keep = bool(step.c & 1)
        elif len(tensors) < MOST_TENSORS:
            name = NAMES[(step.c + len(tensors)) % len(NAMES)]
            tensor = name, DTYPES[step.a % len(DTYPES)], SHAPES[step.b % len(SHAPES)], len(tensors)
            tensors.setdefault(name, tensor)
    made = tuple(tensors.values()) or _DEFAULT
    count = len(made)
    calls = []
    for step in actions:
        if step[0] == _STAGES:
            calls.append(_stages(step, count))
        else:
            place = step[1] % count
            calls.append(_call(step, place, made[place][2]))
    return Program(made, backends, keep, tuple(calls))


@lru_cache(1 << 15)
def _call(step: Step, tensor: int, shape: tuple[int, ...]) -> Call:
    kind = VOCABULARY.kinds[step.kind].name
    if kind == "whole":
        return Call(kind, tensor, kind)
    world = WORLDS[step.b % len(WORLDS)]
    if kind in ("fused", "padded", "strided", "replicated"):
        axis = step.c % 2 if kind == "strided" else 0
        before, after, _ = _WHERE[axis]
        form = kind
    else:
        before, after, axis = _WHERE[("columns", "rows", "last", "ellipsis", "all-of-the-rest").index(kind)]
        form = f"{kind}/{ARITHMETIC[step.c % len(ARITHMETIC)][0]}"
    has = -len(shape) <= axis < len(shape) and not (kind == "all-of-the-rest" and len(shape) < 2)
    d = shape[axis] if has else 0
    spans = _spans(kind, step, d, world)
    parts = tuple(
        Part(rank, source, arrays.index(source), _place(span, d, shape) if has else NO_DIMENSION)
        for rank, span in spans
        for source in (f"{before}{_colons(span)}{after}",)
    )
    order, covered = _order([span for _, span in spans], d) if has else ((), 0)
    return Call(kind, tensor, form, axis, parts, order, covered)


def _spans(kind: str, step: Step, d: int, world: int) -> list[tuple[int, Span]]:
    """The range of each rank, in the order of the reads."""
    ranks = range(world)
    if kind == "fused":
        # Query, key and value follow each other: a rank reads its share of each.
        blocks = _BLOCKS[step.c % len(_BLOCKS)]
        size = d // blocks
        shares = ((rank, block, _floor(size, world, rank)) for rank in ranks for block in range(blocks))
        return [
            (rank, Span(block * size + start, block * size + stop, 1, block)) for rank, block, (start, stop) in shares
        ]
    if kind == "padded":
        # Loaders pad a vocabulary to a multiple. The padding is not in the file.
        multiple = _MULTIPLES[step.c % len(_MULTIPLES)] * world
        share = -(-d // multiple) * multiple // world
        return [(rank, Span(min(rank * share, d), min((rank + 1) * share, d))) for rank in ranks]
    if kind == "strided":
        return [(rank, Span(rank, d, world)) for rank in ranks]
    if kind == "replicated":
        # Fewer heads than ranks: several ranks read the same head.
        heads = min(WORLDS[step.c % len(WORLDS)], world)
        return [(rank, Span(*_floor(d, heads, rank * heads // world))) for rank in ranks]
    arithmetic = ARITHMETIC[step.c % len(ARITHMETIC)][1]
    return [(rank, Span(*arithmetic(d, world, rank))) for rank in ranks]


def _order(spans: list[Span], d: int) -> tuple[tuple[int, ...], int]:
    """The order of the parts, and the length that they cover; none where they overlap or leave gaps."""
    order = tuple(sorted(range(len(spans)), key=lambda part: (spans[part].start, spans[part].stop)))
    at = 0
    for part in order:
        span = spans[part]
        # numpy cuts ranges off at the end.
        start, stop = min(span.start, d), min(span.stop, d)
        if span.step != 1 or start != at:
            return (), 0
        at = stop
    return order, at


@lru_cache(1 << 10)
def _stages(step: Step, count: int) -> Call:
    """Layers, in the order of their names (``keys``) or of the file (``offset_keys``), distributed among the stages."""
    world = WORLDS[step.a % len(WORLDS)]
    word, arithmetic = ARITHMETIC[step.b % len(ARITHMETIC)]
    by = ("keys", "offset_keys")[step.c & 1]
    bounds = [arithmetic(count, world, stage) for stage in range(world)]
    return Call("stages", -1, f"{by}/{word}", stages=tuple(tuple(range(count)[start:stop]) for start, stop in bounds))


def _place(span: Span, d: int, shape: tuple[int, ...]) -> str:
    start, stop, step, _ = span
    if start > stop or start > d or stop > d or (step != 1 and start >= stop):
        return OUTSIDE
    if 0 in shape:
        return NO_ELEMENTS
    return INSIDE if start < stop else EMPTY if start < d else EMPTY_AT_END


def _colons(span: Span) -> str:
    return f"{span.start}:{span.stop}" + (f":{span.step}" if span.step != 1 else "")
