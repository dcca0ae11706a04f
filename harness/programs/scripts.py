"""Programs as the Python they stand for, for people and for reproducers.

A reproducer gets a generator ``calls()`` of triples: the text of a call, a function that makes it, and one that gives what
should come back (None where nothing is known of that). It uses ``numpy`` and ``safetensors``, which are imported already.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from harness.programs import arrays
from harness.programs.arrays import Tensors


def generator(yields: Iterable[tuple[str, str]], opening: list[str]) -> str:
    """The source of ``calls()``: the lines that open something, then each call; inside it where the last is a ``with``."""
    lines = ["def calls():", *(f"    {line}" for line in opening)]
    margin = " " * (8 if opening[-1].endswith(":") else 4)
    lines += [f"{margin}yield {text!r}, lambda: {text}, {wanted}" for text, wanted in yields] or [
        f"{margin}yield from ()"
    ]
    return "\n".join(lines)


def whole(tensors: Tensors) -> str:
    """Source of a dict of numpy arrays of the tensors that numpy knows, cut out of FILE."""
    raw = arrays.file(tensors)
    begin = 8 + int.from_bytes(raw[:8], "little")
    lines = []
    for name, dtype, shape, salt in tensors:
        size = len(arrays.content(dtype, shape, salt))
        kind = arrays.NUMPY_NAMES.get(dtype)
        if kind is not None:
            lines.append(
                f"    {name!r}: numpy.frombuffer(FILE[{begin}:{begin + size}], {kind!r}).reshape({list(shape)}),"
            )
        begin += size
    return "{\n" + "\n".join(lines) + "\n}" if lines else "{}"


def literal(tensors: Tensors, metadata: tuple[tuple[str, str], ...] | None = None) -> str:
    """Python source of the bytes of a file, in lines."""
    raw = arrays.file(tensors, metadata)
    lines = [repr(raw[at : at + 32]) for at in range(0, len(raw), 32)]
    return "(\n" + "".join(f"    {line}\n" for line in lines) + ")"


# Functions that reproducers carry as source.


def content(raw: bytes) -> Any:
    """({name: [dtype, shape, bytes in hex]}, metadata) of a file, or a sentence that says why it is none."""
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
    """A file but for the order of its metadata: its tensors in order, what it holds, and its size."""
    held = content(raw)
    return list(held[0]), held, len(raw)
