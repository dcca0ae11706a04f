"""The language of target ``lifetimes``: values that live only while they are held, and acts at chosen points of a call.

A call is a Python expression over handles ``h0``.., slices ``s0``.. and results ``a0``... Its functions are those of
:mod:`harness.targets.lifetimes.kit` and :mod:`harness.targets.lifetimes.writing`. A step ``plan`` is about the next call:
what happens in the middle of it, where, and in which thread. The expected content follows from the program alone.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy

from harness.programs.steps import Kind, Step, Vocabulary
from harness.targets.lifetimes.kit import CODES

NAMES = ("a", "b", "c", "d")
DTYPES = tuple(CODES)
SHAPES: tuple[tuple[int, ...], ...] = ((300,), (70, 5), (6,), (3000,), (), (2, 3, 64))
HOLDERS = ("watched", "plain", "bytearray", "array", "swapped", "unmapped")
#: Kinds of mappings: those that hold their values, those that make them anew, and those that are dicts.
MAPPINGS = ("dict", "proxy", "chain", "popping", "archive", "lazy", "lazy-dict", "changing")
_HELD = ("dict", "proxy", "chain")
_LAZY = ("lazy", "lazy-dict", "changing")
_DICTS = ("dict", "popping", "lazy-dict", "changing")
WAYS = (
    "numpy.save", "numpy.save_file", "torch.save", "torch.save_file", "serialize", "serialize_file", "torch.save_model",
    "paddle.save", "paddle.save_file",
)  # fmt: skip
#: Writers that take specs, and the one that takes a module.
SPECS, MODEL = ("serialize", "serialize_file"), "torch.save_model"
PLACES = ("item", "pointer", "path", "fault", "collection", "dtype", "shape", "size")
_ATTRIBUTES = ("pointer", "dtype", "shape", "size")
WRITER_ACTS = ("clear", "replace", "pop", "overwrite", "collect", "churn", "again")
READER_ACTS = ("close", "drop", "unlink", "put", "read", "collect", "churn")
PATHS = 2
#: Framework and backend of a handle. paddle ends the process over two tensors of one place: ``paddle_readers`` has its handles.
OPENS = (("numpy", "mmap"), ("numpy", "pread"), ("pt", "mmap"), ("pt", "pread"))
LOADS = (
    "numpy.load", "deserialize", "numpy.load_file mmap", "numpy.load_file pread", "torch.load", "torch.load_file mmap",
    "torch.load_file pread", "torch.load_model mmap", "torch.load_model pread", "paddle.load", "paddle.load_file mmap",
    "paddle.load_file pread",
)  # fmt: skip
#: Indices; "{}" is a number with ``__index__``, where an act can happen.
INDICES = (("...", "..."), ("{}", "1"), ("{}:2", "1"), ("::{}", "2"), ("{}, ...", "0"), ("..., :{}", "2"))
_MOST = 4

VOCABULARY = Vocabulary(
    [
        Kind("tensor", 5, (range(len(DTYPES)), range(len(SHAPES)), range(5))),
        Kind("mapping", 4, (range(len(MAPPINGS)),)),
        Kind("plan", 6, (range(len(PLACES)), range(7), range(64))),
        Kind("write", 5, ((0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8),)),
        Kind("put", 1, (range(PATHS), range(2))),
        Kind("unlink", 1, (range(PATHS),)),
        Kind("open", 4, (range(2), range(len(OPENS)), range(PATHS))),
        Kind("close", 2, (range(2),)),
        Kind("forget", 2, (range(2), range(3))),
        Kind("get_tensor", 3, (range(2), range(3), range(3))),
        Kind("get_tensors", 2, (range(2), range(3))),
        Kind("get_slice", 3, (range(2), range(3), range(2))),
        Kind("index", 4, (range(2), range(len(INDICES)), range(3))),
        Kind("load", 3, (range(len(LOADS)), range(PATHS), range(3))),
        Kind("collect", 1),
        Kind("churn", 1),
    ],
    max_steps=20,
)


class Call(NamedTuple):
    """One call. ``allowed`` is the source of what each tensor may be, "" where it gives none.

    ``missing`` and ``mixed`` are as in :func:`harness.targets.lifetimes.writing.strange`. ``must``: a refusal is wrong.
    ``errors`` are further exceptions that the call may raise. ``act`` is what happens in the middle of it, "" for nothing.
    """

    kind: str
    source: str
    bind: str = ""
    allowed: str = ""
    missing: bool = False
    mixed: bool = False
    must: bool = True
    errors: tuple[str, ...] = ()
    act: str = ""
    #: Of a writer: whether the values are "held" by the caller, made by a "lazy" mapping, or "released" by the act.
    state: str = ""
    #: The mapping and the place of the act.
    form: str = ""

    @property
    def needs(self) -> str:
        """The framework that it needs beside numpy, "" for none."""
        if "torch" in self.source or "'pt'" in self.source:
            return "torch"
        return "paddle" if "paddle" in self.source else ""


#: The calls of a program.
Program = tuple[Call, ...]


class _Handle(NamedTuple):
    number: int
    framework: str
    state: str = "open"


class _Model:
    """The names and files at a point of a program."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.tensors: list[tuple[str, str, tuple[int, ...], int, str]] = []
        self.mapping = "dict"
        self.plan: Step | None = None
        self.files = {f"p{number}": number for number in range(PATHS)}
        self.handles: dict[str, _Handle] = {}
        self.slices: dict[str, tuple[int, str, str]] = {}
        self.kept: dict[str, str] = {}

    def taken(self) -> Step | None:
        """The plan, for one call."""
        plan, self.plan = self.plan, None
        return plan

    def add(self, kind: str, source: str, **more: object) -> None:
        """Add a call."""
        self.calls.append(Call(kind, source, **more))  # type: ignore[arg-type]


def tensor(step: Step, at: int) -> tuple[str, str, tuple[int, ...], int, str]:
    """Name, dtype, shape, salt and holder of a value."""
    code, shape = DTYPES[step.a % len(DTYPES)], SHAPES[step.b % len(SHAPES)]
    holder = HOLDERS[step.c % len(HOLDERS)]
    # Small blocks of numpy and Python are kept for later, as they are.
    small = math.prod(shape) * numpy.dtype(CODES[code]).itemsize < 1024
    return NAMES[at], code, shape, 13 * at + 1, "watched" if small and holder == "plain" else holder


def _write(model: _Model, step: Step) -> None:
    way = WAYS[step.a % len(WAYS)]
    kind, plan = model.mapping, model.taken()
    tensors = model.tensors or [tensor(Step(0), 0)]
    if way in SPECS or way == MODEL:
        # The mapping of a module is the one that its state_dict makes.
        kind = "dict"
    place, act, number, on = "", "", 0, 0
    apart = False
    if plan is not None:
        place, act = PLACES[plan.a % len(PLACES)], WRITER_ACTS[plan.b % len(WRITER_ACTS)]
        apart, number, on = bool(plan.c & 1), (plan.c >> 1) % len(tensors), (plan.c >> 3) % len(tensors)
        place, act, number = _possible(way, kind, place, act, number, plan.c >> 1)
        if place == "fault":
            tensors = [(*one[:4], "watched") if at == number else one for at, one in enumerate(tensors)]
            if act == "overwrite" and on == number:
                act = "collect"
        elif place == "collection" and not act:
            place = ""
    structural = act in ("clear", "pop") and place not in ("path", "fault")
    errors: tuple[str, ...] = ("RuntimeError", "KeyError") if structural else ()
    if kind not in _DICTS:
        errors += ("TypeError", "ValueError", "AttributeError")
    planned = f", {place!r}, {number}, {act!r}, {on}, {apart}" if place else ""
    model.add(
        way,
        f"written({way!r}, {kind!r}, {tensors!r}{planned})",
        allowed=f"versions({tensors!r}, {act!r}, {on}, {kind!r})",
        missing=act in ("clear", "pop") or kind == "popping",
        mixed=act == "overwrite",
        must=kind in _DICTS and not structural,
        errors=errors,
        act=act,
        state="lazy" if kind not in _HELD else "released" if act in ("clear", "pop", "replace") else "held",
        form=f"{kind}/{place}",
    )
    model.tensors, model.mapping = [], "dict"


def _possible(way: str, kind: str, place: str, act: str, number: int, later: int) -> tuple[str, str, int]:
    """A place that this writer and this mapping have, an act that is possible there, and its number."""
    # No attribute of these is watched: specs are made before, state_dict gives other tensors, paddle's has no subclass.
    plain = way in SPECS or way == MODEL or way.startswith("paddle.")
    if place == "item" and kind not in _LAZY:
        place = "pointer"
    if place in _ATTRIBUTES and (plain or kind == "archive"):
        place = "fault"
    if place == "fault" and kind not in ("dict", "proxy", "chain"):
        place = "collection"
    if place == "path" and not way.endswith(("_file", "_model")):
        place = "collection"
    if kind == "archive" and act not in ("collect", "churn", "again"):
        act = "collect"
    if place == "fault" and act == "again":
        act = "churn"
    if place == "collection":
        # A collection inside a collection does nothing.
        return place, "churn" if act in ("collect", "again") else act, later
    return place, act, 0 if place == "path" else number


def _act(model: _Model, plan: Step | None, handle: str, path: str) -> tuple[str, str, int]:
    """The name of a reader's act, its source, and the number of the new container where a collection does it."""
    if plan is None:
        return "", "", 0
    act = READER_ACTS[plan.b % len(READER_ACTS)]
    if act in ("close", "drop", "read") and handle not in model.handles:
        act = "churn"
    source = {
        "close": f"lambda: {handle}.__exit__(None, None, None)",
        "drop": f"lambda: drop({handle!r})",
        "unlink": f"lambda: unlink({path!r})",
        "put": f"lambda: put({path!r}, {plan.c >> 3 & 1})",
        "read": f"lambda: {handle}.get_tensor('b')",
        "collect": "lambda: gc.collect(0)",
        "churn": "churn",
    }[act]
    return act, f"other({source})" if plan.c & 1 else source, plan.c >> 1


def _done(model: _Model, act: str, handle: str, path: str, plan: Step | None, *, sure: bool) -> None:
    """Note what an act did; not ``sure``: it may have failed."""
    if act == "close":
        model.handles[handle] = model.handles[handle]._replace(state="closed" if sure else "unknown")
    elif act == "drop":
        del model.handles[handle]
    elif act == "unlink":
        model.files.pop(path, None)
    elif act == "put" and plan is not None:
        model.files[path] = plan.c >> 3 & 1


def _open(model: _Model, step: Step) -> None:
    path, handle = f"p{step.c % PATHS}", f"h{step.a % 2}"
    framework, backend = OPENS[step.b % len(OPENS)]
    if path in model.files:
        model.taken()
        model.add("open", f"safetensors.safe_open(path({path!r}), {framework!r}, backend={backend!r})", bind=handle)
        model.handles[handle] = _Handle(model.files[path], framework)


def _close(model: _Model, step: Step, handle: str) -> None:
    model.add("close", f"{handle}.__exit__(None, None, None)")
    model.handles[handle] = model.handles[handle]._replace(state="closed")


def _read(model: _Model, kind: str, handle: str, source: str, bind: str, allowed: str) -> None:
    """A read of a handle, with a collection in the middle of it where a plan says so."""
    held, plan = model.handles[handle], model.taken()
    act, does, number = _act(model, plan, handle, "p0")
    if act == "drop":
        act, does = "churn", "churn"
    if act:
        source = f"collecting(lambda: {source}, {does}, {number})"
    closed = held.state != "open"
    model.add(kind, source, bind=bind, allowed=allowed, must=not closed and act != "close", act=act)
    _done(model, act, handle, "p0", plan, sure=False)
    if act in ("unlink", "put"):
        # Perhaps there is no such container, and the file is what it was.
        model.add("put", "put('p0', 0)")
        model.files["p0"] = 0
    if bind:
        model.kept.pop(bind, None)
        if not closed and act != "close":
            model.kept[bind] = allowed


def _get_tensor(model: _Model, step: Step, handle: str) -> None:
    name = NAMES[step.b % 3]
    allowed = f"{{'': [part({model.handles[handle].number}, {name!r})]}}"
    _read(model, "get_tensor", handle, f"{handle}.get_tensor({name!r})", f"a{step.c % 3}", allowed)


def _get_tensors(model: _Model, step: Step, handle: str) -> None:
    allowed = f"whole({model.handles[handle].number})"
    _read(model, "get_tensors", handle, f"{handle}.get_tensors()", f"a{step.b % 3}", allowed)


def _get_slice(model: _Model, step: Step, handle: str) -> None:
    held, name, bind = model.handles[handle], NAMES[step.b % 3], f"s{step.c % 2}"
    if held.state == "open":
        model.add("get_slice", f"{handle}.get_slice({name!r})", bind=bind)
        model.slices[bind] = held.number, name, handle


def _index(model: _Model, step: Step, slice_: str) -> None:
    number, name, handle = model.slices[slice_]
    form, value = INDICES[step.b % len(INDICES)]
    plan = model.taken()
    act, does, _ = _act(model, plan, handle, "p0")
    armed = "{}" in form and act
    index = form.format(f"at({value}, {does})" if armed else value)
    bind, allowed = f"a{step.c % 3}", f"{{'': [part({number}, {name!r}, {form.format(value)!r})]}}"
    model.add("index", f"{slice_}[{index}]", bind=bind, allowed=allowed, act=act if armed else "")
    model.kept[bind] = allowed
    if armed:
        _done(model, act, handle, "p0", plan, sure=True)


def _load(model: _Model, step: Step) -> None:
    way, path, bind = LOADS[step.a % len(LOADS)], f"p{step.b % PATHS}", f"a{step.c % 3}"
    function, _, backend = way.partition(" ")
    plan = model.taken()
    act, does, number = _act(model, plan, "", path)
    if not backend:
        # Nobody else holds the bytes: they go when the call ends.
        source = f"safetensors.{function}(file({step.b % PATHS}))"
        if act:
            source = f"collecting(lambda: {source}, churn, {number})"
        allowed, act = f"whole({step.b % PATHS})", "churn" if act else ""
    elif path not in model.files:
        return
    else:
        allowed = f"whole({model.files[path]})"
        where = f"path({path!r})"
        if act in ("put", "unlink"):
            act, does = "churn", "churn"
        if act:
            where = f"armed({where}, {does})"
        source = f"safetensors.{function}({where}, backend={backend!r})"
        if function == "torch.load_model":
            source = f"loaded({model.files[path]}, lambda module: {source.replace('(', '(module, ', 1)})"
    model.add("load", source, bind=bind, allowed=allowed, act=act)
    model.kept[bind] = allowed


def _forget(model: _Model, step: Step) -> None:
    held = sorted(model.handles if step.a % 2 == 0 else model.slices)
    if held:
        name = held[step.b % len(held)]
        model.add("forget", f"drop({name!r})")
        (model.handles if step.a % 2 == 0 else model.slices).pop(name)


def _put(model: _Model, step: Step) -> None:
    path = f"p{step.a % PATHS}"
    model.add("put", f"put({path!r}, {step.b % 2})")
    model.files[path] = step.b % 2


def _unlink(model: _Model, step: Step) -> None:
    path = f"p{step.a % PATHS}"
    if model.files.pop(path, None) is not None:
        model.add("unlink", f"unlink({path!r})")


_CALLS = {"write": _write, "put": _put, "unlink": _unlink, "open": _open, "forget": _forget, "load": _load}
#: Steps on a handle or a slice, with the first letter of it.
_ON = {
    "close": ("h", _close), "get_tensor": ("h", _get_tensor), "get_tensors": ("h", _get_tensors),
    "get_slice": ("h", _get_slice), "index": ("s", _index),
}  # fmt: skip


@lru_cache(1 << 10)
def decode(program: bytes) -> Program:
    """The calls of a program; never raises. At the end, what was read is compared again when nothing else is held."""
    model = _Model()
    for step in VOCABULARY.decode(program):
        kind = VOCABULARY.kinds[step.kind].name
        if kind == "tensor":
            if len(model.tensors) < _MOST:
                model.tensors.append(tensor(step, len(model.tensors)))
        elif kind == "mapping":
            model.mapping = MAPPINGS[step.a % len(MAPPINGS)]
        elif kind == "plan":
            model.plan = step
        elif kind in _CALLS:
            _CALLS[kind](model, step)
        elif kind in _ON:
            letter, made = _ON[kind]
            held = sorted(model.handles if letter == "h" else model.slices)
            if held:
                made(model, step, held[step.a % len(held)])
        else:
            model.add(kind, "gc.collect(0)" if kind == "collect" else "churn()")
    for name in sorted({*model.handles, *model.slices}):
        model.add("forget", f"drop({name!r})")
    if model.kept:
        model.add("churn", "churn()")
    for name, allowed in sorted(model.kept.items()):
        model.add("kept", name, allowed=allowed)
    return tuple(model.calls)
