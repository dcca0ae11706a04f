"""atheris with its own libFuzzer in the global scope, then the code under test, its Python layer instrumented."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from harness.parsers import registry, runtime
from harness.targets.base import Target


def load(parser: registry.Parser, target: Target) -> tuple[Any, Any]:
    """Atheris with its own libFuzzer in the global scope, then the parser, its Python layer instrumented."""
    runtime.prepare(mutator=True)
    import atheris

    if not target.uses_parser:
        with atheris.instrument_imports(include=["harness.format"]):
            _reimport("harness.format")
        return atheris, None
    with atheris.instrument_imports(include=["safetensors"]):
        module = runtime.load(parser, mutator=True)
    return atheris, module


def _reimport(package: str) -> None:
    """Import a package anew so that the import hook in force sees it."""
    for name in [n for n in sys.modules if n == package or n.startswith(package + ".")]:
        del sys.modules[name]
    importlib.import_module(package + ".judge")
