"""The layout of a checkpoint without its values, as JSON: tests rebuild checkpoints from it where the libraries are missing.

``python -m harness.bench.checkpoints.recorded FOLDER NAME...`` prints the layouts of written checkpoints.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from pathlib import Path
from typing import Any

from harness.format.dtypes import DTYPE_BITS
from harness.format.encode import pack
from harness.format.judge import judge

#: Stands for a file of another kind. It is rebuilt as an empty object of JSON.
_OTHER: dict[str, Any] = {}


def record(folder: Path) -> dict[str, Any]:
    """Each file below ``folder`` by its path: its header, its index, the target of a link, or its kind alone."""
    return {
        path.relative_to(folder).as_posix(): _record(path)
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def _record(path: Path) -> Any:
    if path.is_symlink():
        return {"link": os.readlink(path)}
    if found := judge(path.read_bytes()).header:
        tensors = sorted(found.tensors, key=lambda tensor: (tensor.begin, tensor.end))
        return {
            "metadata": found.metadata,
            "tensors": [f"{one.name} {one.dtype} {'x'.join(map(str, one.shape))}" for one in tensors],
        }
    # Files of a cache have no suffix.
    with contextlib.suppress(ValueError):
        content = json.loads(path.read_bytes())
        if "weight_map" in content:
            return {"index": content}
    return _OTHER


def rebuild(recorded: dict[str, Any], folder: Path) -> None:
    """Write the files of a recorded layout below ``folder``. All values are 0."""
    for name, content in recorded.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content == _OTHER:
            path.write_text("{}")
        elif "link" in content:
            path.symlink_to(content["link"])
        elif "index" in content:
            path.write_text(json.dumps(content["index"]))
        else:
            path.write_bytes(pack(map(_tensor, content["tensors"]), content["metadata"]))


def _tensor(line: str) -> tuple[str, str, tuple[int, ...], bytes]:
    name, dtype, text = line.rsplit(" ", 2)
    shape = tuple(int(size) for size in text.split("x") if size)
    return name, dtype, shape, bytes(DTYPE_BITS[dtype] * math.prod(shape) // 8)


if __name__ == "__main__":
    print(json.dumps({name: record(Path(sys.argv[1]) / name) for name in sys.argv[2:]}, indent=1))
