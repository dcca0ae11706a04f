"""The language of target ``lifecycle``: programs open, read, close, replace and cut files, in any order.

A call is a Python expression over variables: paths ``p0`` to ``p2``, handles ``h0``.., slices ``s0``.., arrays ``a0``.., file
objects ``f0``.., errors ``e0``... Its functions are those of :mod:`harness.targets.lifecycle.kit`. The model in
:mod:`harness.targets.lifecycle.expectation` computes the expected value of each call. It never asks the parser.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from harness.programs.arrays import BACKENDS
from harness.programs.steps import Kind, Step, Vocabulary
from harness.targets.lifecycle.expectation import ANY, ELSEWHERE, NOWHERE, REFUSED, TYPE, VALUE, Call, Inode, Model
from harness.targets.lifecycle.kit import SPECS

PATHS = 3
_HANDLES = (0, 0, 0, 1, 2)
_CONTENTS = tuple(range(len(SPECS)))
_NAMES = (0, 0, 0, 1)

VOCABULARY = Vocabulary(
    [
        Kind("open", 5, (_HANDLES, (0, 0, 1), (0, 0, 1, 1, 2, 3, 4))),
        Kind("enter", 1, (_HANDLES,)),
        Kind("exit", 3, (_HANDLES, (0, 0, 1))),
        Kind("keys", 2, (_HANDLES, (0, 1))),
        Kind("metadata", 1, (_HANDLES,)),
        Kind("get_tensor", 5, (_HANDLES, _NAMES, range(3))),
        Kind("get_tensors", 2, (_HANDLES,)),
        Kind("get_slice", 3, (_HANDLES, _NAMES, range(3))),
        Kind("read", 4, (range(3), range(3))),
        Kind("about", 1, (range(3), range(2))),
        Kind("array", 2, (range(3),)),
        Kind("change", 1, (range(3),)),
        Kind("drop", 2, (range(5), range(3))),
        Kind("save", 3, ((0, 0, 1, 2), _CONTENTS)),
        Kind("unlink", 1, ((0, 0, 1),)),
        Kind("replace", 1, ((1, 1, 2), (0, 0, 1))),
        Kind("poke", 1, ((0, 0, 1),)),
        Kind("rewrite", 1, ((0, 0, 1), _CONTENTS)),
        Kind("cut", 1, ((0, 0, 1), range(3)), always_invalid=True),
        Kind("file", 2, (range(2), (0, 0, 1))),
        Kind("open_file", 2, (_HANDLES, range(2), range(2))),
        Kind("close_file", 1, (range(2),)),
        Kind("open_odd", 1, (range(8), range(2))),
        Kind("threads", 1, (_HANDLES, range(4), range(4)), expensive=True),
        Kind("fork", 1, (_HANDLES, range(4)), expensive=True),
        Kind("error", 2, (_HANDLES, range(3), range(2))),
        Kind("again", 2, (range(2), range(4))),
        Kind("misuse", 1, (range(32), range(3))),
        Kind("load_file", 2, ((0, 0, 1), range(2))),
        Kind("collect", 1),
        Kind("subclass", 1),
    ],
    max_steps=24,
)

#: The form of a path, and the backend ("" for the default).
_OPENS = (
    ("{}", "mmap"), ("{}", "pread"), ("pathlib.Path({})", "mmap"), ("pathlib.Path({})", "pread"), ("{}", ""),
    ("os.fsencode({})", ""),
)  # fmt: skip
#: Paths without a readable file, with the error of ``open(path, "rb")``.
_ODD = (
    ("nothing", "FileNotFoundError"), ("folder", "IsADirectoryError"), ("through", "NotADirectoryError"),
    ("loop", "OSError"), ("dangling", "FileNotFoundError"), ("long", "OSError"), ("no-descriptors", "OSError"),
)  # fmt: skip
_EXITS = ("None, None, None", "ValueError, ValueError('words'), None")
_INDICES = ("...", ":1", "::2")
#: Expressions that objects may refuse with TypeError or AttributeError.
_LIST = "list({})"
_MISUSES = (
    "pickle.dumps({})", "copy.copy({})", "copy.deepcopy({})", "repr({})", "hash({}) == hash({})", "{} == {}", "weakref.ref({})",
    "vars({})", "setattr({}, 'extra', 1)", "type({}).__new__(type({}))", "object.__new__(type({}))", "type('Own', (type({}),), dict())",
    "{}.__reduce__()", "{}.__reduce_ex__(2)", "{}.__init__()", "dir({}) and None", "len({})", _LIST, "bool({})", "{}()",
    "{}.__sizeof__() and None", "setattr({}, '__class__', object)", "{} < {}", "next({})", "str({})", "format({}, '>8')",
    "{}.__getstate__() and None", "{}.__setstate__(dict())", "{}.__exit__()", "{}.get_tensor()", "{}.get_tensor(None)", "{}[None]",
)  # fmt: skip
_AGAIN = ("pickle", "pickle-0", "copy", "deepcopy")


class Program(NamedTuple):
    """The calls, and the first hazard among them as ``signal/call``, or ""."""

    calls: tuple[Call, ...]
    hazard: str


@lru_cache(1 << 10)
def decode(program: bytes) -> Program:
    """Decode a program. Never raises. It leaves out calls on missing objects."""
    model = Model(PATHS)
    for step in VOCABULARY.decode(program):
        kind = VOCABULARY.kinds[step.kind].name
        if kind in _CALLS:
            _CALLS[kind](model, step)
        elif name := model.pick(_ON[kind][0], step.a):
            _ON[kind][1](model, step, name)
    return Program(tuple(model.calls), model.hazard)


def _path(number: int) -> str:
    return f"p{number % PATHS}"


def _open(model: Model, step: Step) -> None:
    path, name = _path(step.b), f"h{step.a % 3}"
    form, backend = _OPENS[step.c % len(_OPENS)]
    asked = f", backend={backend!r}" if backend else ""
    source = f"safetensors.safe_open({form.format(path)}, framework='numpy'{asked})"
    if form.startswith("os."):
        model.call("open", source, TYPE, state="bytes")
    else:
        model.open("open", source, name, model.files.get(path), backend or "mmap", "absent")


def _enter(model: Model, step: Step, name: str) -> None:
    model.call("enter", f"{name}.__enter__() is {name}", ANY, state=model.state(name))


def _exit(model: Model, step: Step, name: str) -> None:
    model.call("exit", f"{name}.__exit__({_EXITS[step.b % 2]})", VALUE, "None", state=model.state(name))
    model.views[name].closed = True


def _read(model: Model, step: Step, name: str) -> None:
    view, index = model.views[name], _INDICES[step.b % len(_INDICES)]
    empty = SPECS[view.content][0][view.tensor][3][:1] == (0,)
    model.read_slice(name, ":0" if index == ":1" and empty else index)  # a stop past the end is refused by design


def _about(model: Model, step: Step, name: str) -> None:
    view = model.views[name]
    _, dtype, _, shape, _ = SPECS[view.content][0][view.tensor]
    way, wanted = (("get_shape", repr(list(shape))), ("get_dtype", repr(dtype)))[step.b % 2]
    model.call(way, f"{name}.{way}()", VALUE, wanted, state=model.state(name))


def _change(model: Model, step: Step, name: str) -> None:
    model.call("change", f"change({name})", VALUE, "None", state="kept")
    model.arrays[name] = f"numpy.zeros_like({model.arrays[name]})"


def _drop(model: Model, step: Step) -> None:
    name = model.pick("hsafe"[step.a % 5], step.b)
    if name:
        model.call("drop", f"drop({name!r})", VALUE, "None")
        model.forget(name)


def _save(model: Model, step: Step) -> None:
    path, number = _path(step.a), step.b % len(SPECS)
    source = f"safetensors.numpy.save_file(CONTENTS[{number}], {path}, METADATA[{number}])"
    model.call("save_file", source, VALUE, "None", state=model.held(path))
    # It is a new file: the parser writes a temporary file and renames it.
    model.files[path] = Inode(number, laid_out=False)


def _unlink(model: Model, step: Step) -> None:
    path = _path(step.a)
    if model.files.get(path):
        model.call("unlink", f"os.unlink({path})", VALUE, "None")
        del model.files[path]


def _replace(model: Model, step: Step) -> None:
    source, target = _path(step.a), _path(step.b)
    if model.files.get(source) and source != target:
        model.call("replace", f"os.replace({source}, {target})", VALUE, "None")
        model.files[target] = model.files.pop(source)


def _poke(model: Model, step: Step) -> None:
    path = _path(step.a)
    inode = model.files.get(path)
    # The last byte of a file without tensor bytes belongs to the header.
    if inode is not None and inode.valid and any(0 not in tensor[3] for tensor in SPECS[inode.content][0]):
        model.call("poke", f"poke({path})", VALUE, "None")
        inode.change()


def _rewrite(model: Model, step: Step) -> None:
    path, number = _path(step.a), step.b % len(SPECS)
    inode = model.files.get(path)
    if inode is not None:
        model.call("rewrite", f"rewrite({path}, FILES[{number}])", VALUE, "None")
        inode.rewrite(number)
        model.cuts = True


def _cut(model: Model, step: Step) -> None:
    path = _path(step.a)
    inode = model.files.get(path)
    if inode is not None:
        keep = (0, 0.5, -1)[step.b % 3]
        if inode.cut(keep):
            model.call("cut", f"cut({path}, {keep})", VALUE, "None")
            model.cuts = True


def _file(model: Model, step: Step) -> None:
    path, name = _path(step.b), f"f{step.a % 2}"
    inode = model.files.get(path)
    if inode is not None:
        model.call("file", f"open({path}, 'rb')", VALUE, bind=name)
        model.objects[name] = inode, path


def _open_file(model: Model, step: Step) -> None:
    held = model.pick("f", step.b)
    if held:
        inode, path = model.objects[held]
        backend = BACKENDS[step.c % 2]
        source = f"_safe_open_handle({held}, framework='numpy', backend={backend!r})"
        moved = "open" if model.files.get(path) is inode else ELSEWHERE if path in model.files else NOWHERE
        model.open("open_file", source, f"h{step.a % 3}", inode, backend, moved)


def _close_file(model: Model, step: Step, name: str) -> None:
    model.call("close_file", f"{name}.close()", VALUE, "None")
    model.forget(name)


def _open_odd(model: Model, step: Step) -> None:
    what, error = _ODD[step.a % len(_ODD)]
    path = "p0" if what == "no-descriptors" else f"ODD[{what!r}]"
    source = f"safetensors.safe_open({path}, framework='numpy', backend={BACKENDS[step.b % 2]!r})"
    if path == "p0":
        source = f"without_descriptors(lambda: {source})"
        if "p0" not in model.files:
            return
    # All other errors of paths share one state.
    state = what if what in ("nothing", "folder", "dangling") else "unreadable"
    model.call("open", source, error, state=state)


_MEANWHILE = ("get_tensor", "keys", "exit", "get_slice")


def _threads(model: Model, step: Step, name: str) -> None:
    view = model.views[name]
    if not model.whole(view):
        return
    first, second = (_MEANWHILE[number % len(_MEANWHILE)] for number in (step.b, step.c))
    plans = {way: model.simple(name, way) for way in (first, second)}
    allowed = [wanted for _, wanted in plans.values()]
    if view.closed or "exit" in plans:
        allowed.append("'SafetensorError: File is closed'")
    source = f"threads(lambda: {plans[first][0]}, lambda: {plans[second][0]}, [{', '.join(allowed)}])"
    model.call("threads", source, VALUE, "[]", state=f"{first}+{second}")
    view.closed |= "exit" in plans


def _fork(model: Model, step: Step, name: str) -> None:
    if name and model.whole(model.views[name]):
        way = _MEANWHILE[step.b % len(_MEANWHILE)]
        source, wanted = model.simple(name, way)
        if model.views[name].closed and way != "exit":
            wanted = "'SafetensorError: File is closed'"
        model.call("fork", f"fork(lambda: {source})", VALUE, wanted, state=way)


def _error(model: Model, step: Step, name: str) -> None:
    what = ("{}.get_tensor('zz')", "{}.get_slice('zz')", "safetensors.deserialize(b'')")[step.b % 3].format(name)
    bind = f"e{step.c % 2}"
    model.call("error", f"caught(lambda: {what})", VALUE, bind=bind)
    model.errors[bind] = None


def _again(model: Model, step: Step, name: str) -> None:
    how = _AGAIN[step.b % len(_AGAIN)]
    model.call("again", f"again({name}, {how!r})", VALUE, "[True, True, True]", state=how)


def _misuse(model: Model, step: Step) -> None:
    held = model.pick("hs"[step.b % 2], step.c)
    name = held or "safetensors.TensorSpec(dtype='uint8', shape=[0], data_ptr=1, data_len=0)"
    form = _MISUSES[step.a % len(_MISUSES)]
    # list() reads a slice row by row.
    hazard = form == _LIST and held[:1] == "s" and model.deadly(model.views[held], [model.views[held].tensor])
    model.call("misuse", form.replace("{}", name), TYPE, state=form.replace("{}", "_"), hazard=hazard)


def _load_file(model: Model, step: Step) -> None:
    path = _path(step.a)
    source = f"safetensors.numpy.load_file({path}, backend={BACKENDS[step.b % 2]!r})"
    inode = model.files.get(path)
    if inode is None:
        model.call("load_file", source, "FileNotFoundError", state="absent")
    elif not inode.valid:
        model.call("load_file", source, REFUSED, state="cut")
    elif inode.changed:
        model.call("load_file", source, VALUE, state="changed")
    else:
        model.call("load_file", source, VALUE, f"CONTENTS[{inode.content}]", state="open")


def _keys(model: Model, step: Step) -> None:
    way = ("keys", "offset_keys")[step.b % 2]
    model.ask(way, step.a, f"sorted({{}}.{way}())", "sorted(CONTENTS[{}])")


#: Functions of steps that need a variable, with its first letter. Argument ``a`` of the step selects the variable.
_ON: dict[str, tuple[str, Callable[[Model, Step, str], None]]] = {
    "enter": ("h", _enter), "exit": ("h", _exit), "threads": ("h", _threads), "fork": ("h", _fork), "error": ("h", _error),
    "read": ("s", _read), "about": ("s", _about), "change": ("a", _change), "close_file": ("f", _close_file), "again": ("e", _again),
    "array": ("a", lambda model, step, name: model.call("array", name, VALUE, model.arrays[name], state="kept")),
}  # fmt: skip
_CALLS: dict[str, Callable[[Model, Step], None]] = {
    "open": _open, "drop": _drop, "save": _save, "unlink": _unlink, "replace": _replace, "poke": _poke, "rewrite": _rewrite,
    "cut": _cut, "file": _file, "open_file": _open_file, "open_odd": _open_odd, "misuse": _misuse, "load_file": _load_file,
    "keys": _keys,
    "metadata": lambda model, step: model.ask("metadata", step.a, "{}.metadata()", "METADATA[{}]"),
    "get_tensor": lambda model, step: model.read("get_tensor", step.a, step.b, "{}.get_tensor({!r})", bind=f"a{step.c % 3}"),
    "get_tensors": lambda model, step: model.read("get_tensors", step.a, None, "{}.get_tensors()"),
    "get_slice": lambda model, step: model.keep_slice(step.a, step.b, f"s{step.c % 3}"),
    "collect": lambda model, step: model.call("collect", "collect()", VALUE, "None"),
    "subclass": lambda model, step: model.call("subclass", "raised(safetensors.SafetensorError)", VALUE, "True"),
}  # fmt: skip
