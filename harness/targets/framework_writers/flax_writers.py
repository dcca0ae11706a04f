"""Saves of jax: tensors as users hold them."""

from __future__ import annotations

from types import MappingProxyType

from harness.programs.frameworks import FRAMEWORKS
from harness.targets.base import UNCAUGHT
from harness.targets.framework_writers.writer import Writer


class FlaxWriters(Writer):
    """Programs of saves with ``safetensors.flax``."""

    name = "flax_writers"
    description = "safetensors.flax: save and save_file of every layout and dtype, and load(_file) of it, by programs"
    like = FRAMEWORKS["flax"]
    memory_mb = 2048
    # It compiles for each shape that it meets, and some shapes end the process.
    runs_in_fork_server = True
    foreign = MappingProxyType({"jax": (UNCAUGHT, "hang")})
    needs = ("jax", "flax")
    extra = "jax"
    built_on = ("writers", "flax", "numpy", "safe_open")
