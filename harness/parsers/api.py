"""The parts of safetensors' API that a parser lacks: older releases and checkouts have fewer arguments, dtypes and forms of an index.

Signatures and attributes tell where they can. Else a call on a small file in memory tells. A part is lacking where the
parser does not know the name, or refuses the argument's kind as such. A part that works wrongly is there.

``python -m harness.parsers.api NAME`` prints the lacking parts of a build as JSON; :func:`of_parser` runs it.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import inspect
import json
import operator
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from harness import paths
from harness.errors import HarnessError
from harness.files import write_atomic
from harness.format.dtypes import DTYPE_BITS
from harness.format.encode import pack
from harness.parsers import registry, runtime
from harness.parsers.registry import Parser

FRAMEWORKS = ("numpy", "torch", "flax", "tensorflow", "paddle", "mlx")
#: Words for devices that 0.8.0 knows.
DEVICES = ("cuda", "cpu", "mps", "npu", "xpu", "xla", "mlu", "musa", "hpu")
_FUNCTIONS = (
    "load_file(backend=)",
    "load_model(backend=)",
    "save_model(force_contiguous=)",
    "save_model",
    "load_model",
)
#: Parts by name, or by the first word of it, with the calls that targets leave out without them.
_NOT_DRIVEN = {
    "safe_open(backend=)": "reads by pread",
    "load_file(backend=)": "reads by pread",
    "load_model(backend=)": "reads by pread",
    "_safe_open_handle(backend=)": "reads by pread",
    "_safe_open_handle": "handles from file objects",
    "safe_open.get_tensors": "reads of all tensors at once",
    "safe_open.offset_keys": "names by offset",
    "SafetensorError": "all targets",
    "deserialize": "files as bytes",
    "TensorSpec": "specs of memory",
    "save_model": "modules",
    "load_model": "modules",
    "save_model(force_contiguous=)": "modules that must be contiguous",
    "dtype": "programs with these dtypes",
    "device": "these devices",
    "index": "slices by these forms",
}


@dataclass(frozen=True)
class Api:
    """The parts that a parser ``lacks``, by name: ``safe_open(backend=)``, ``dtype F4``, ``device musa``, ``index ...``."""

    lacks: tuple[str, ...] = ()

    def has(self, part: str) -> bool:
        """Whether the parser has this part."""
        return part not in self.lacks

    @functools.cached_property
    def dtypes(self) -> frozenset[str]:
        """The dtypes that it lacks."""
        return frozenset(part.removeprefix("dtype ") for part in self.lacks if part.startswith("dtype "))

    def knows(self, dtypes: Iterable[str]) -> bool:
        """Whether it has all these dtypes."""
        return not self.dtypes or self.dtypes.isdisjoint(dtypes)

    @functools.cached_property
    def _forms(self) -> frozenset[str]:
        return frozenset(part.removeprefix("index ") for part in self.lacks if part.startswith("index "))

    def takes(self, index: Any) -> bool:
        """Whether it knows the forms of all items of an index."""
        if not self._forms:
            return True
        if isinstance(index, tuple | list):
            return not any(f"({form(item)},)" in self._forms for item in index)
        return form(index) not in self._forms


def form(item: Any) -> str:
    """The form of an item of an index: "int" for all with ``__index__``, else its value where its type has only one, else the type."""
    if item is None or item is ...:
        return "..." if item is ... else "None"
    with contextlib.suppress(TypeError):
        return "int" if -(1 << 31) <= operator.index(item) < 1 << 31 else "int past 32 bits"
    kind = type(item)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def told(name: str, lacks: Iterable[str]) -> str:
    """One line on what the parser ``name`` lacks, and what is therefore not driven; "" where it lacks nothing."""
    groups: dict[str, list[str]] = {}
    for part in lacks:
        head, _, tail = part.partition(" ")
        module, _, function = part.partition(".")
        if tail:
            groups.setdefault(head, []).append(tail)
        else:
            groups.setdefault(function if module in FRAMEWORKS else part, [])
    forms = groups.get("index", [])
    groups |= {"index": [one for one in forms if one[1:-2] not in forms]} if forms else {}
    words = [f"{head} {', '.join(parts)}" if parts else head for head, parts in groups.items()]
    not_driven = dict.fromkeys(_NOT_DRIVEN.get(head, head) for head in groups)
    return f"{name} lacks: {'; '.join(words)}. Not driven: {', '.join(not_driven)}." if words else ""


def loaded() -> Api:
    """The API of the parser in this process; one that lacks nothing where there is none. Raises HarnessError."""
    parser = runtime.loaded()
    return Api() if parser is None else of_parser(parser)


def of(safetensors: ModuleType) -> Api:
    """The API of ``safetensors``: that of :func:`loaded`. A stand-in for it lacks nothing. Raises HarnessError."""
    return loaded() if sys.modules.get("safetensors") is safetensors else Api()


def of_parser(parser: Parser) -> Api:
    """The API of a build. Raises HarnessError where the build does not load.

    A process of its own asks, once for each build: what it runs must count for no coverage, and guide no search.
    """
    if parser.root not in _known:
        _known[parser.root] = Api(tuple(_kept(parser)))
    return _known[parser.root]


_known: dict[Path, Api] = {}


def _kept(parser: Parser) -> list[str]:
    """The lacking parts, kept in the folder of the build for this version of this module."""
    digest = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    kept = parser.root / f"api-{digest}.json"
    with contextlib.suppress(OSError, ValueError):
        return list(map(str, json.loads(kept.read_text())))
    lacks = _asked(parser)
    with contextlib.suppress(OSError):
        write_atomic(kept, json.dumps(lacks))
    return lacks


def _asked(parser: Parser) -> list[str]:
    variables = {**os.environ, **runtime.environment(parser)}
    variables |= {
        "PYTHONPATH": runtime.python_path(),
        "HARNESS_HOME": str(paths.home()),
        "LLVM_PROFILE_FILE": os.devnull,
    }
    command = [sys.executable, "-m", "harness.parsers.api", parser.name]
    answer = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        words = answer.stderr.strip().splitlines() or ["it said nothing"]
        hint = "build it again: harness build --force"
        raise HarnessError(f"the API of parser {parser.name} cannot be probed: {words[-1]}", hint=hint)
    return list(map(str, json.loads(answer.stdout)))


def _lacking(module: ModuleType) -> Iterator[str]:
    safe_open = module.safe_open
    handle = getattr(getattr(module, "_safetensors_rust", None), "_safe_open_handle", None)
    # A file of one tensor, of rank 2.
    with in_memory(pack([("t", "U8", (1, 1), b"\1")])) as path:
        if not _takes(safe_open, "backend", lambda: safe_open(path, framework="numpy", backend="mmap")):
            yield "safe_open(backend=)"
        if handle is None:
            yield "_safe_open_handle"
        elif not _takes(handle, "backend", lambda: None):
            yield "_safe_open_handle(backend=)"
        yield from (f"safe_open.{name}" for name in ("get_tensors", "offset_keys") if not hasattr(safe_open, name))
        yield from (name for name in ("SafetensorError", "deserialize", "TensorSpec") if not hasattr(module, name))
        yield from _of_modules(Path(str(module.__file__)).parent)
        yield from (f"dtype {name}" for name in DTYPE_BITS if _error(lambda name=name: _opened(safe_open, name)))  # type: ignore[misc]
        for word in DEVICES:
            if "is invalid" in _error(functools.partial(safe_open, path, framework="numpy", device=word)):
                yield f"device {word}"
        for item in _items():
            for index, name in ((item, form(item)), ((item,), f"({form(item)},)")):
                if _error(lambda index=index: _part(safe_open, path, index)).startswith("TypeError"):  # type: ignore[misc]
                    yield f"index {name}"


def _part(safe_open: Any, path: str, index: Any) -> Any:
    with safe_open(path, framework="numpy") as file:
        return file.get_slice("t")[index]


def _items() -> tuple[Any, ...]:
    """Items of an index that are no slice: one of each form."""
    import numpy

    return (
        ..., None, 0, 1 << 31, 1.5, 1j, "a", b"\0", object(), (0,), [0], range(1), numpy.bool_(True), numpy.array([0]),
        numpy.array([True]),
    )  # fmt: skip


def _of_modules(package: Path) -> Iterator[str]:
    """The functions and arguments that modules for frameworks lack, by their source: a framework need not be there."""
    for framework in FRAMEWORKS:
        try:
            tree = ast.parse((package / f"{framework}.py").read_text(encoding="utf-8"))
        except (OSError, SyntaxError, ValueError):
            continue
        found = {
            node.name: {one.arg for one in (*node.args.args, *node.args.kwonlyargs)}
            for node in tree.body
            if isinstance(node, ast.FunctionDef)
        }
        for part in _FUNCTIONS:
            name, _, argument = part.rstrip("=)").partition("(")
            if name not in found:
                if framework == "torch" and not argument:
                    yield f"torch.{part}"
            elif argument and argument not in found[name]:
                yield f"{framework}.{part}"


def _takes(function: Any, argument: str, trial: Callable[[], Any]) -> bool:
    """Whether a function has an argument: by its signature, else by a call."""
    try:
        return argument in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return not _error(trial).startswith("TypeError")


def _opened(safe_open: Any, dtype: str) -> None:
    with in_memory(pack([("t", dtype, (8,), bytes(DTYPE_BITS[dtype]))])) as path:
        safe_open(path, framework="numpy")


def _error(call: Callable[[], Any]) -> str:
    """The error of a call, as "Type: message"; "" for none."""
    try:
        call()
    except BaseException as error:  # a panic is no Exception
        if isinstance(error, KeyboardInterrupt):
            raise
        return f"{type(error).__name__}: {error}"
    return ""


@contextlib.contextmanager
def in_memory(content: bytes) -> Iterator[str]:
    """The path of a file in memory."""
    descriptor = os.memfd_create("api")
    try:
        os.pwrite(descriptor, content, 0)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def main() -> None:
    """Load a build and print what it lacks."""
    os.environ.setdefault("RUST_BACKTRACE", "0")
    print(json.dumps(list(_lacking(runtime.load(registry.find(sys.argv[1]))))))


if __name__ == "__main__":
    main()
