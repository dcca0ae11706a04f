"""Small checkpoints in folders, and their problems as the judge finds them without parsers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.checkpoint import arguments
from harness.checkpoint.judge import Verdict, judge_all, unreadable_folder
from harness.checkpoint.reading import Reader
from harness.format.dtypes import byte_size
from harness.format.encode import pack

Tensors = Mapping[str, tuple[str, tuple[int, ...]]]
INDEX = "model.safetensors.index.json"
ONE, TWO = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


def file(path: Path, *names: str, metadata: dict[str, str] | None = None, tensors: Tensors | None = None) -> Path:
    """A file with a float of each name, and with ``tensors``: their dtypes and shapes by name."""
    listed = dict.fromkeys(names, ("F32", (1,))) | dict(tensors or {})
    path.parent.mkdir(parents=True, exist_ok=True)
    held = [(name, dtype, shape, bytes(byte_size(dtype, shape) or 0)) for name, (dtype, shape) in listed.items()]
    path.write_bytes(pack(held, metadata))
    return path


def index(path: Path, weights: Any, total: Any = None) -> Path:
    """An index of ``weights``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"metadata": {} if total is None else {"total_size": total}, "weight_map": weights}))
    return path


def sharded(folder: Path) -> Path:
    """A checkpoint in order: ``a`` in the first shard, ``b`` in the second."""
    file(folder / ONE, "a")
    file(folder / TWO, "b")
    index(folder / INDEX, {"a": ONE, "b": TWO}, 8)
    return folder


def verdicts(*paths: Path | str) -> list[Verdict]:
    """The verdicts on ``paths``."""
    sources = arguments.resolve([str(path) for path in paths], lambda entries: None)
    found = [unreadable_folder(problem) for problem in sources.problems]
    with Reader([]) as reader:
        return found + list(judge_all(sources.checkpoints, reader, lambda path: None))


def codes(*paths: Path | str) -> list[str]:
    """The codes of all problems, sorted."""
    return sorted(problem.kind.code for verdict in verdicts(*paths) for problem in verdict.problems)


def said(*paths: Path | str) -> str:
    """The lines of all problems."""
    return "\n".join(line for verdict in verdicts(*paths) for line in verdict.lines())
