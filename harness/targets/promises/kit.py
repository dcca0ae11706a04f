"""Helpers of programs of target ``promises``: each asks one question, and gives the answer in a word.

Reproducers carry these functions as source. So the functions get the library's objects as arguments and import nothing of the
harness. An answer names the type of an exception where the question ends in one.
"""

from __future__ import annotations

import ast
import copy
import importlib
import inspect
import itertools
import json
import math
import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy

#: Bits of one element, by dtype of the format; and the names of numpy and of ``TensorSpec``.
SIZES = {
    "BOOL": 8, "F4": 4, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "C64": 64, "F64": 64, "I64": 64, "U64": 64,
}  # fmt: skip
WORDS = {
    "BOOL": "bool", "F4": "float4_e2m1fn_x2", "U8": "uint8", "I8": "int8", "F8_E5M2": "float8_e5m2",
    "F8_E4M3": "float8_e4m3fn", "F8_E8M0": "float8_e8m0fnu", "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz", "I16": "int16", "U16": "uint16", "F16": "float16", "BF16": "bfloat16",
    "I32": "int32", "U32": "uint32", "F32": "float32", "C64": "complex64", "F64": "float64", "I64": "int64", "U64": "uint64",
}  # fmt: skip


class Specs(dict):  # type: ignore[type-arg]
    """Specs by name, with the memory that they point to."""

    def __init__(self) -> None:
        super().__init__()
        self.memory: list[Any] = []


# -- writing --------------------------------------------------------------------------------------------------


def arrays(tensors: dict[str, tuple[str, list[int]]]) -> dict[str, Any]:
    """Arrays of ones by name, of these dtypes and shapes."""
    return {name: numpy.ones(shape, WORDS[dtype]) for name, (dtype, shape) in tensors.items()}


def specs(make: Any, tensors: dict[str, tuple[str, list[int]]]) -> Specs:
    """Specs of the same tensors. The writer doubles the last dimension of F4, so half of it is given."""
    made = Specs()
    for name, (dtype, shape) in tensors.items():
        size = math.prod(shape) * SIZES[dtype] // 8
        given = [*shape[:-1], shape[-1] // 2] if dtype == "F4" else shape
        array = numpy.ones(shape, WORDS[dtype]) if hasattr(numpy, WORDS[dtype]) else numpy.zeros(size, "uint8")
        # A byte of its own: an empty array may have no memory.
        memory = numpy.frombuffer(bytearray(array.tobytes() + b"\0"), "uint8")
        made.memory.append(memory)
        made[name] = make(dtype=WORDS[dtype], shape=given, data_ptr=memory.ctypes.data, data_len=size)
    return made


def to_file(save: Callable[..., Any], tensors: Any, metadata: dict[str, str] | None) -> bytes:
    """The bytes of the file that ``save`` writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.safetensors")
        save(tensors, path, metadata)
        with open(path, "rb") as file:
            return file.read()


def backwards(tensors: dict[str, Any]) -> dict[str, Any]:
    """The same tensors, inserted from the last to the first."""
    return dict(reversed(tensors.items()))


def data_start(raw: bytes) -> int:
    """The place of the first byte of data in a file."""
    return 8 + int.from_bytes(raw[:8], "little")


def placed(raw: bytes) -> list[tuple[str, str, int]]:
    """Name, dtype and place in the file of each tensor, in the order of the header."""
    header = json.loads(raw[8 : data_start(raw)])
    header.pop("__metadata__", None)
    return [(name, one["dtype"], data_start(raw) + one["data_offsets"][0]) for name, one in header.items()]


def unaligned(raw: bytes) -> list[str]:
    """The tensors that do not begin at a multiple of the size of their elements."""
    return [name for name, dtype, place in placed(raw) if place % max(SIZES[dtype] // 8, 1)]


def disordered(raw: bytes) -> str:
    """The first disorder of a file: ``size`` of elements, ``name`` or ``header``; "" for none.

    Larger elements come first. Tensors of one dtype come by name. The header has the order of the data.
    """
    rows = placed(raw)
    for (name, dtype, place), (next_name, next_dtype, next_place) in itertools.pairwise(rows):
        if place > next_place:
            return "header"
        if max(SIZES[dtype], 8) < max(SIZES[next_dtype], 8):
            return "size"
        if dtype == next_dtype and name > next_name:
            return "name"
    return ""


def unusual(raw: bytes) -> str:
    """The first difference of a header from upstream's tests: ``padding``, ``metadata`` place, or ``spelling``; "" for none."""
    text = raw[8 : data_start(raw)].decode()
    body = text.rstrip(" ")
    header = json.loads(body)
    if len(text) - len(body) >= 8:
        return "padding"
    if "__metadata__" in header and next(iter(header)) != "__metadata__":
        return "metadata"
    return "" if json.dumps(header, ensure_ascii=False, separators=(",", ":")) == body else "spelling"


# -- objects --------------------------------------------------------------------------------------------------


def handle(make: Any, path: str, **more: Any) -> Any:
    """The handle that ``make`` opens from an open file object, for numpy."""
    with open(path, "rb") as file:
        return make(file, "numpy", **more)


def named(one: Any) -> str:
    """Whether pickle finds an object by its module and name: ``found``, else the error."""
    try:
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            if pickle.loads(pickle.dumps(one, protocol)) is not one:  # noqa: S301 - our own pickle
                return "another"
        return "found"
    except Exception as error:
        return type(error).__name__


def copied(one: Any, how: str, parts: Callable[[Any], Any]) -> str:
    """A copy by ``copy``, ``deepcopy`` or ``pickle``: ``equal`` in its parts, ``different``, or the error."""
    ways: dict[str, Callable[[Any], Any]] = {
        "copy": copy.copy,
        "deepcopy": copy.deepcopy,
        "pickle": lambda value: pickle.loads(pickle.dumps(value)),  # noqa: S301 - our own pickle
    }
    try:
        other = ways[how](one)
    except Exception as error:
        return type(error).__name__
    return "equal" if type(other) is type(one) and parts(other) == parts(one) else "different"


def asked(one: Any, question: str) -> str:
    """An answer to ``repr``, ``str``, ``hash``, ``bool``, ``eq``, ``ne`` or ``dir`` that Python accepts: ``right``, else the error."""
    other = object()
    answers: dict[str, Callable[[], bool]] = {
        "repr": lambda: len({repr(one), repr(one)}) == 1 and repr(one).isprintable() and bool(repr(one)),
        "str": lambda: len({str(one), str(one)}) == 1 and bool(str(one).encode()),
        "hash": lambda: len({hash(one), hash(one)}) == 1,
        "bool": lambda: bool(one) in (True, False),
        "eq": lambda: one == one and not one == other and {id(one): one}[id(one)] == one,  # noqa: PLR0124, SIM201
        "ne": lambda: not one != one and one != other,  # noqa: PLR0124, SIM202
        "dir": lambda: all(hasattr(type(one), name) or hasattr(one, name) for name in dir(one)),
    }
    try:
        return "right" if answers[question]() else "wrong"
    except Exception as error:
        return type(error).__name__


def counted(one: Any, right: int) -> str:
    """``len``: ``right``, ``wrong``, or the error."""
    try:
        return "right" if len(one) == right else "wrong"
    except Exception as error:
        return type(error).__name__


def iterated(one: Any, count: int) -> str:
    """Iteration: ``ends`` after ``count`` items, ``early``, ``endless``, ``none`` where nothing iterates, or the error."""
    try:
        items: Iterator[Any] = iter(one)
    except TypeError:
        return "none"
    done = 0
    try:
        for _ in items:
            done += 1
            if done > count:
                return "endless"
    except Exception as error:
        return type(error).__name__
    return "ends" if done == count else "early"


def managed(opened: Any, story: str) -> str:
    """A ``with`` statement over a file: ``closed`` after it, ``open``, ``swallowed``, ``another`` object, or the error."""
    stories: dict[str, Callable[[], None]] = {"pass": lambda: None, "error": _error, "base": _base}
    try:
        if story == "nested":
            with opened as outer, outer as inner:
                same = inner is outer is opened
        elif story == "twice":
            with opened as inner:
                same = inner is opened
            if opened.__exit__(None, None, None):
                return "swallowed"
        else:
            same = False
            try:
                with opened as inner:
                    same = inner is opened
                    stories[story]()
            except (_Error, _Base):
                pass
            else:
                if story != "pass":
                    return "swallowed"
        if not same:
            return "another"
    except Exception as error:
        return type(error).__name__
    try:
        opened.keys()
    except Exception as error:
        return "closed" if type(error).__name__ == "SafetensorError" else type(error).__name__
    return "open"


class _Error(Exception):
    """An error in the body of a with statement."""


class _Base(BaseException):
    """An exception that is no Exception."""


def _error() -> None:
    raise _Error


def _base() -> None:
    raise _Base


def shaped(one: Any, shape: Any) -> str:
    """Whether a value has the documented shape: a type, ``[type]``, ``{type: type}`` or a tuple of them; else its own type."""
    if isinstance(shape, list):
        right = type(one) is list and all(shaped(item, shape[0]) == "right" for item in one)
    elif isinstance(shape, dict):
        ((key, value),) = shape.items()
        right = type(one) is dict and all(
            shaped(name, key) == shaped(item, value) == "right" for name, item in one.items()
        )
    elif isinstance(shape, tuple):
        right = type(one) is tuple and [shaped(a, b) for a, b in zip(one, shape, strict=True)] == ["right"] * len(shape)
    else:
        right = shape is object or type(one) is shape
    return "right" if right else type(one).__name__


# -- the stub -------------------------------------------------------------------------------------------------


def stubbed(module: Any) -> dict[str, ast.AST]:
    """The functions, classes, methods and properties of the type stub of a module, by dotted name."""
    with open(os.path.join(os.path.dirname(module.__file__), "__init__.pyi"), encoding="utf-8") as file:
        tree = ast.parse(file.read())
    found: dict[str, ast.AST] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = node
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{one.name}": one for one in node.body if isinstance(one, ast.FunctionDef)}
    return found


def unlike_stub(module: Any, name: str) -> str:
    """The difference of one name from the type stub: ``missing``, ``kind``, ``base``, ``arguments``; "" for none.

    A stub that lacks the name promises nothing: older releases have fewer names.
    """
    node = stubbed(module).get(name)
    if node is None:
        return ""
    owner, _, last = name.rpartition(".")
    holder = getattr(module, owner, None) if owner else module
    if last == "__init__":
        holder, last = module, owner
    one = getattr(holder, last, None)
    if one is None:
        return "missing"
    if isinstance(node, ast.ClassDef):
        bases = [ast.unparse(base) for base in node.bases] or ["object"]
        mro = [base.__name__ for base in inspect.getmro(one)] if inspect.isclass(one) else []
        return ("" if set(bases) <= set(mro) else "base") if mro else "kind"
    if not isinstance(node, ast.FunctionDef):
        return "" if isinstance(one, str) else "kind"
    if any(ast.unparse(decorator) == "property" for decorator in node.decorator_list):
        return "" if inspect.isgetsetdescriptor(one) or isinstance(one, property) else "kind"
    if not callable(one):
        return "kind"
    if owner == "SafetensorError":
        return ""
    return "" if _arguments(one, method=bool(owner) and last != owner) == _written(node) else "arguments"


def _arguments(one: Any, *, method: bool) -> list[tuple[str, bool, bool]]:
    rows = list(inspect.signature(one).parameters.values())[1 if method else 0 :]
    return [(row.name, row.kind is row.KEYWORD_ONLY, row.default is not row.empty) for row in rows]


def _written(node: ast.FunctionDef) -> list[tuple[str, bool, bool]]:
    given = node.args.args
    plain = [
        (one.arg, False, place >= len(given) - len(node.args.defaults))
        for place, one in enumerate(given)
        if one.arg != "self"
    ]
    pairs = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    return plain + [(one.arg, True, default is not None) for one, default in pairs]


def unlisted(module: Any) -> list[str]:
    """Public names of the module that the stub lacks, but for submodules."""
    native = importlib.import_module(f"{module.__name__}._safetensors_rust")
    public = [name for name in vars(native) if not name.startswith("_") and not inspect.ismodule(getattr(native, name))]
    return sorted(name for name in public if name not in stubbed(module))
