"""A breakage: one way to break a checkpoint, and the diagnosis that it calls for.

A breakage changes one thing in a copy and returns what a diagnosis must name. It returns None where the checkpoint has
nothing of the kind. Which file or tensor it takes is drawn from the names of checkpoint and breakage, so runs repeat.
"""

from __future__ import annotations

import hashlib
import importlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.bench.checkpoints import parts
from harness.bench.checkpoints.parts import Index


@dataclass(frozen=True)
class Expected:
    """The names in a right diagnosis: one of ``files``, and one of ``tensors`` unless that is empty."""

    files: tuple[Path, ...]
    tensors: tuple[str, ...] = ()


Break = Callable[[Path, random.Random], Expected | None]


@dataclass(frozen=True)
class Breakage:
    """A way to break a checkpoint. ``fault`` says in words what is wrong after ``apply``.

    A right diagnosis has ``code`` (docs/check.md) and, unless it is empty, one of the words ``says``.
    """

    name: str
    fault: str
    code: str
    says: tuple[str, ...]
    apply: Break


BREAKAGES: dict[str, Breakage] = {}


def breakage(fault: str, code: str, *says: str) -> Callable[[Break], Break]:
    """Add the decorated function to the list; its name is the breakage's."""

    def add(apply: Break) -> Break:
        name = apply.__name__.strip("_").replace("_", "-")
        BREAKAGES[name] = Breakage(name, fault, code, says, apply)
        return apply

    return add


def an_index(folder: Path, draw: random.Random, shards: int = 1) -> Index | None:
    """One of the indexes that name at least ``shards`` files."""
    found = [index for index in parts.indexes(folder) if len(index.shards()) >= shards]
    return draw.choice(found) if found else None


def a_file(folder: Path, draw: random.Random, tensors: int = 0) -> Path | None:
    """One of the files with at least ``tensors`` tensors that have bytes."""
    found = [
        path
        for path in parts.files(folder)
        if not tensors or sum(tensor.end > tensor.begin for tensor in parts.header(path).tensors) >= tensors
    ]
    return draw.choice(found) if found else None


def replaced(folder: Path, draw: random.Random, data: Callable[[bytes], bytes]) -> Expected | None:
    """Put what ``data`` makes of a file in its place."""
    path = a_file(folder, draw)
    if path is None:
        return None
    parts.write(path, data(path.read_bytes()))
    return Expected((path,))


def lfs_pointer(raw: bytes) -> bytes:
    """The pointer that Git LFS leaves in place of a file with the content ``raw``."""
    digest = hashlib.sha256(raw).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(raw)}\n".encode()


def every() -> dict[str, Breakage]:
    """All breakages by name."""
    for module in ("of_indexes", "of_files"):
        importlib.import_module(f"harness.bench.checkpoints.{module}")
    return BREAKAGES
