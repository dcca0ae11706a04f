"""The public API of a safetensors package: its functions, its classes, and their methods and properties, by name.

Names leave out the package: ``deserialize``, ``safe_open.get_tensor``, ``numpy.save``. Compiled parts are found by introspection.
Modules for frameworks are found by their source, because a framework need not be installed.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.format.encode import pack
from harness.parsers.api import FRAMEWORKS, in_memory

#: Special methods that users call by syntax. Constructors stand in the row of their class.
_SPECIAL = ("__enter__", "__exit__", "__getitem__", "__repr__")


def parts(package: ModuleType) -> list[str]:
    """The names of all parts of a package, those of the package first, then by module."""
    found: list[str] = []
    for name, value in sorted(vars(package).items()):
        if inspect.isclass(value):
            found += [name, *(f"{name}.{own}" for own in _members(value))]
        elif callable(value):
            found.append(name)
    kind = _slice_class(package)
    found += [f"{kind.__name__}.{own}" for own in _members(kind)]
    folder = Path(str(package.__file__)).parent
    return [*found, *(f"{module}.{name}" for module in FRAMEWORKS for name in _functions(folder / f"{module}.py"))]


def _members(kind: type) -> Iterator[str]:
    """The public methods and properties that a class defines itself."""
    return (name for name in sorted(vars(kind)) if name in _SPECIAL or not name.startswith("_"))


def _functions(source: Path) -> list[str]:
    """The public functions and classes of a module. Empty where the release has no such module."""
    if not source.exists():
        return []
    body = ast.parse(source.read_text(encoding="utf-8")).body
    names = (node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef))
    return [name for name in names if not name.startswith("_")]


def _slice_class(package: Any) -> type:
    """The class of the objects that ``get_slice`` gives. The package does not export it."""
    with (
        in_memory(pack([("t", "U8", (1,), b"\1")])) as path,
        package.safe_open(path, framework="numpy") as file,
    ):
        return type(file.get_slice("t"))
