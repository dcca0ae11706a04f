"""What a file holds, read by the words of the format alone. The functions are part of reproducers, as source."""

from __future__ import annotations

import json
from typing import Any


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
