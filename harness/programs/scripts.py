"""Programs as Python source, for people and for reproducers.

A reproducer has a generator ``calls()`` of triples: the text of a call, a function that makes the call, and a function that
gives the expected value. None stands for the latter where nothing is known of the value. The template of the reproducer
imports ``numpy``, ``os``, ``pathlib``, ``safetensors`` and ``tempfile``.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from harness.programs import arrays
from harness.programs.arrays import Tensors

#: Opening lines of :func:`generator`: the bytes FILE become a file at ``path``.
WRITE_FILE = ('path = pathlib.Path(tempfile.mkdtemp()) / "model.safetensors"', "path.write_bytes(FILE)")
#: Source of an expected value: the call must fail.
REFUSED = 'def refused():\n    raise ValueError("the library should refuse this")\n\n\n'


def generator(yields: Iterable[Sequence[str]], opening: Sequence[str] = ()) -> str:
    """The source of ``calls()``: the opening lines, then each call; inside the last of them where that is a ``with``.

    ``yields`` has the text of each call, its source where that is not the text, and the source of the expected value.
    """
    lines = ["def calls():", *(f"    {line}" for line in opening)]
    margin = " " * (8 if opening and opening[-1].endswith(":") else 4)
    rows = [f"{margin}yield {text!r}, lambda: {(*source, text)[0]}, {wanted}" for text, *source, wanted in yields]
    return "\n".join(lines + (rows or [f"{margin}yield from ()"]))


def described(tensors: Tensors) -> list[str]:
    """A comment for each tensor of a file."""
    return [f"# {name!r}: {dtype} {list(shape)}" for name, dtype, shape, _ in tensors]


def file_and_arrays(tensors: Tensors) -> str:
    """Source of FILE, and of WHOLE: a dict of the arrays of FILE, without dtypes that numpy lacks."""
    begin = 8 + int.from_bytes(arrays.file(tensors)[:8], "little")
    lines = []
    for name, dtype, shape, salt in tensors:
        size = len(arrays.content(dtype, shape, salt))
        kind = arrays.NUMPY_NAMES.get(dtype)
        if kind is not None:
            part = f"FILE[{begin}:{begin + size}]"
            lines.append(f"    {name!r}: numpy.frombuffer({part}, {kind!r}).reshape({list(shape)}),\n")
        begin += size
    return f"FILE = {literal(tensors)}\n\n# The arrays of the file, read by numpy.\nWHOLE = {braced(lines)}\n\n"


def braced(lines: list[str]) -> str:
    """Source of a dict of these lines, each with its line break."""
    return "{\n" + "".join(lines) + "}" if lines else "{}"


def literal(tensors: Tensors) -> str:
    """Source of the bytes of a file, in lines."""
    raw = arrays.file(tensors)
    return "(\n" + "".join(f"    {raw[at : at + 32]!r}\n" for at in range(0, len(raw), 32)) + ")"


def array(dtype: str, shape: Sequence[int], data: bytes) -> str:
    """Source of an array; of bytes for a dtype that numpy lacks."""
    return f"numpy.frombuffer({data!r}, {arrays.NUMPY_NAMES.get(dtype, 'uint8')!r}).reshape({list(shape)})"


def plain(source: str) -> str:
    """Source of functions and classes without annotations, and without the imports that only annotations need."""
    cuts = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.arg) and node.annotation:
            cuts.append((node.lineno, node.col_offset + len(node.arg), node.annotation.end_col_offset))
        elif isinstance(node, ast.AnnAssign):
            cuts.append((node.lineno, node.target.end_col_offset or 0, node.annotation.end_col_offset))
        elif isinstance(node, ast.FunctionDef) and node.returns:
            cuts.append((node.returns.lineno, node.returns.col_offset - len(" -> "), node.returns.end_col_offset))
        elif isinstance(node, ast.ImportFrom) and node.module in ("__future__", "collections.abc", "typing"):
            cuts.append((node.lineno, 0, node.end_col_offset))
    lines = [line.encode() for line in source.splitlines()]
    for line, start, end in sorted(cuts, reverse=True):
        lines[line - 1] = lines[line - 1][:start] + lines[line - 1][end:]
    return re.sub(r" *# (?:noqa|type:).*|\n(?=\n\n\n)", "", b"\n".join(lines).decode()) + "\n"


# Reproducers carry these as source.


class Index:
    """An integer by __index__ alone."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        """The integer."""
        return self.value


def content(raw: bytes) -> Any:
    """({name: [dtype, shape, bytes in hex]}, metadata) of a file, or a sentence why the file is invalid."""
    end = 8 + int.from_bytes(raw[:8], "little")
    twice = []

    def members(pairs: Any) -> Any:
        twice.extend([key for at, (key, _) in enumerate(pairs) if key in dict(pairs[:at])])
        return dict(pairs)

    try:
        header = json.loads(raw[8:end].decode(), object_pairs_hook=members)
        metadata = header.pop("__metadata__", {})
        if twice or not all(isinstance(value, str) for value in metadata.values()):
            return f"no valid file: {raw[8:end]!r}"
        tensors = {}
        for name, tensor in header.items():
            first, last = tensor["data_offsets"]
            tensors[name] = [tensor["dtype"], tensor["shape"], raw[end + first : end + last].hex()]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return f"no valid file ({type(error).__name__}: {error}): {raw[8:end]!r}"
    return tensors, metadata


def order(raw: bytes) -> Any:
    """A file without the order of its metadata: its tensors in order, its content, and its size."""
    held = content(raw)
    return list(held[0]), held, len(raw)
