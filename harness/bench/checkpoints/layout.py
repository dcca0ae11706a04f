"""The list of checkpoints that ``harness bench checkpoints`` writes: a name, a library and a function for each."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

#: Modules of this package that define checkpoints. Each imports its library inside its functions.
MODULES = ("transformed", "diffused", "stored", "adapted", "distributed", "quantised")

Write = Callable[[Path], None]


@dataclass(frozen=True)
class Layout:
    """A checkpoint that ``write`` puts into an empty folder; ``inside`` is the folder below it that users load."""

    name: str
    library: str
    write: Write
    inside: str = "."


LAYOUTS: dict[str, Layout] = {}


def layout(library: str, name: str, inside: str = ".") -> Callable[[Write], Write]:
    """Add the decorated function to the list, as ``library-name``."""

    def add(write: Write) -> Write:
        full = f"{library}-{name}"
        assert full not in LAYOUTS, full
        LAYOUTS[full] = Layout(full, library, write, inside)
        return write

    return add


def every() -> dict[str, Layout]:
    """All checkpoints by name. Imports no library."""
    for module in MODULES:
        importlib.import_module(f"harness.bench.checkpoints.{module}")
    return LAYOUTS
