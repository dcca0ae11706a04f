"""A small reader of sharded checkpoints with ``safe_open``. It follows the index exactly, and never out of its folder.

It needs no framework and no network, so the parser meets every kind of index on every machine.
"""

from __future__ import annotations

import json
import os
from typing import Any

INDEX = "model.safetensors.index.json"


class BadIndex(Exception):
    """The index is invalid, leads out of its folder, or names a tensor that its shard lacks."""


def read_sharded(folder: str, safe_open: Any, **options: Any) -> dict[str, Any]:
    """The tensors of a sharded checkpoint, each from its file in the index.

    Raises BadIndex, OSError where a file cannot be opened, and the errors of ``safe_open``.
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
