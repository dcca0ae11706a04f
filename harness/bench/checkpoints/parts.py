"""The files of a checkpoint as a breakage sees them: indexes, their shards, single files, and the tensors of each."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.files import write_atomic
from harness.format.encode import encode
from harness.format.header import Header, Tensor
from harness.format.judge import judge


@dataclass(frozen=True)
class Index:
    """An index file: ``places`` gives each tensor its file, by the name that the index has for it."""

    path: Path
    metadata: dict[str, Any]
    places: dict[str, str]

    def shard(self, tensor: str) -> Path:
        """The file that holds ``tensor``."""
        return self.path.parent / self.places[tensor]

    def shards(self) -> list[Path]:
        """The files that the index names, each once."""
        return [self.path.parent / name for name in sorted(set(self.places.values()))]

    def write(self, places: dict[str, str], **metadata: Any) -> None:
        """Store the index again with other places, and with what else changes in its metadata."""
        text = json.dumps({"metadata": self.metadata | metadata, "weight_map": places}, indent=2)
        write(self.path, text.encode())


def indexes(folder: Path) -> list[Index]:
    """The indexes below ``folder``, hidden folders left out."""
    found = []
    for path in sorted(_visible(folder, "*.json")):
        if ".index." in path.name:
            content = json.loads(path.read_text())
            found.append(Index(path, content.get("metadata", {}), content["weight_map"]))
    return found


def files(folder: Path) -> list[Path]:
    """The safetensors files below ``folder``, hidden folders left out."""
    return sorted(_visible(folder, "*.safetensors"))


def _visible(folder: Path, pattern: str) -> Iterable[Path]:
    return (
        path
        for path in folder.rglob(pattern)
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def header(path: Path) -> Header:
    """The header of a sound file."""
    found = judge(path.read_bytes()).header
    assert found is not None, path
    return found


def replace(path: Path, tensors: Iterable[Tensor], data: bytes | None = None) -> None:
    """Store a file again with other tensors in its header, over the same buffer unless ``data`` is another one."""
    raw, old = path.read_bytes(), header(path)
    write(path, encode(tensors, old.metadata, raw[8 + old.size :] if data is None else data))


def repack(path: Path, parts: Iterable[tuple[Tensor, bytes]]) -> None:
    """Store a file again with these tensors, one after the other."""
    tensors, buffer = [], b""
    for tensor, content in parts:
        tensors.append(tensor._replace(begin=len(buffer), end=len(buffer) + len(content)))
        buffer += content
    replace(path, tensors, buffer)


def contents(path: Path) -> list[tuple[Tensor, bytes]]:
    """Each tensor of a file with its bytes, in the order of the header."""
    raw, found = path.read_bytes(), header(path)
    return [(tensor, found.payload(raw, tensor)) for tensor in found.tensors]


def write(path: Path, data: bytes) -> None:
    """Write the file that a link leads to, as a faulty download does."""
    write_atomic(Path(os.path.realpath(path)), data, durable=False)
