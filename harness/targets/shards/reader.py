"""A small reader of sharded checkpoints, over ``safe_open``: it follows the index to the letter, and never out of its folder.

It needs no framework and no network, so that the parser meets whatever an index can lead it to, on every machine.
"""

from __future__ import annotations

import json
import os
from typing import Any

INDEX = "model.safetensors.index.json"


class BadIndex(Exception):
    """The index is no index, leads out of its folder, or says what its shards do not hold."""


def read_sharded(folder: str, safe_open: Any, **options: Any) -> dict[str, Any]:
    """The tensors of a sharded checkpoint, each read from the file that the index names for it.

    Raises BadIndex, OSError where a file cannot be opened, and whatever ``safe_open`` raises.
    """
    with open(os.path.join(folder, INDEX), encoding="utf-8") as file:
        try:
            weights = json.load(file)["weight_map"]
            items = sorted(weights.items())
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise BadIndex(f"{type(error).__name__}: {error}") from error
    shards: dict[str, list[str]] = {}
    for name, shard in items:
        if not isinstance(shard, str) or not shard.endswith(".safetensors"):
            raise BadIndex(f"{name!r} is in {shard!r}, which is no shard")
        if os.path.isabs(shard) or ".." in shard.split("/"):
            raise BadIndex(f"{name!r} is in {shard!r}, outside the folder")
        shards.setdefault(shard, []).append(name)
    found = {}
    for shard, names in shards.items():
        with safe_open(os.path.join(folder, shard), framework="numpy", **options) as opened:
            held = set(opened.keys())
            for name in names:
                if name not in held:
                    raise BadIndex(f"{name!r} is not in {shard!r}")
                found[name] = opened.get_tensor(name)
    return found
