"""The Python code of the library as ``python -O`` and ``-OO`` compile it: without assertions, and with ``__debug__`` false."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import CodeType, FunctionType, ModuleType

_MODULES = ("numpy", "torch", "paddle")


@contextmanager
def optimised(level: int) -> Iterator[None]:
    """The functions of the modules that are imported have the code of this level, 1 or 2. Code outside of functions has run already."""
    found = [sys.modules.get(f"safetensors.{name}") for name in _MODULES]
    pairs = [pair for module in found if module is not None for pair in _pairs(module, level)]
    before = [function.__code__ for function, _ in pairs]
    try:
        for function, code in pairs:
            function.__code__ = code
        yield
    finally:
        for (function, _), code in zip(pairs, before, strict=True):
            function.__code__ = code


def codes() -> list[CodeType]:
    """The code of the functions of the module for numpy, as it is now."""
    module = sys.modules.get("safetensors.numpy")
    return [] if module is None else [function.__code__ for function, _ in _pairs(module, 1)]


@cache
def _pairs(module: ModuleType, level: int) -> list[tuple[FunctionType, CodeType]]:
    """The functions of a module, each with its code of that level."""
    source = inspect.getsource(module)
    whole = compile(source, module.__file__ or "", "exec", dont_inherit=True, optimize=level)
    codes = {(code.co_name, code.co_firstlineno): code for code in _codes(whole)}
    functions = [
        one for one in vars(module).values() if isinstance(one, FunctionType) and one.__module__ == module.__name__
    ]
    return [
        (function, code)
        for function in functions
        if (code := codes.get((function.__code__.co_name, function.__code__.co_firstlineno))) is not None
        and code.co_freevars == function.__code__.co_freevars
    ]


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from _codes(one)
