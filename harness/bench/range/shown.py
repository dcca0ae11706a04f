"""Runs the programs that show the bugs, in a process with one build: ``python -m harness.bench.range.shown PARSER NUMBER...``.

Prints a line of JSON for each: the number, and the ``repr`` of the name ``result`` at its end.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness.bench.range import bugs
from harness.parsers import registry, runtime

_IMPORTS = """
import os, threading
import numpy as np
from safetensors import TensorSpec, deserialize, safe_open, serialize
from safetensors.numpy import load, save, save_file
"""


def made(tensors: dict[str, tuple[str, list[int], int, int]], data: bytes, metadata: dict[str, str] | None = None) -> bytes:  # fmt: skip
    """A file: tensors as (dtype, shape, begin, end), then the data."""
    header: dict[str, Any] = {"__metadata__": metadata} if metadata is not None else {}
    for name, (dtype, shape, begin, end) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def told(function: Callable[[], Any]) -> Any:
    """Result of the function, or its exception in words. A panic is no Exception."""
    try:
        return function()
    except BaseException as error:
        return f"{type(error).__name__}: {error}"


def main(arguments: Sequence[str]) -> None:
    """Run the programs in the order of the numbers."""
    name, *numbers = arguments
    runtime.load(registry.find(name))
    programs = {bug.number: bug.shows for bug in bugs.bugs()}
    for number in map(int, numbers):
        with tempfile.TemporaryDirectory(prefix="harness-range-") as folder:

            def stored(data: bytes, folder: str = folder) -> str:
                path = Path(folder, "file")
                path.write_bytes(data)
                return str(path)

            names: dict[str, Any] = {"made": made, "stored": stored, "told": told}
            exec(_IMPORTS + programs[number], names)  # noqa: S102 - programs of our own file
            print(json.dumps([number, repr(names["result"])]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
