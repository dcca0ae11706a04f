"""Saves of jax: tensors as users hold them."""

from __future__ import annotations

from harness.programs.frameworks import FRAMEWORKS
from harness.targets.framework_writers.writer import Writer


class FlaxWriters(Writer):
    """Programs of saves with ``safetensors.flax``."""

    name = "flax_writers"
    description = "safetensors.flax: save and save_file of every layout and dtype, and load(_file) of it, by programs"
    like = FRAMEWORKS["flax"]
    # Jax keeps what it compiles for each shape. It does not compile in a forked child: its threads are gone there.
    memory_mb = 4096
    needs = ("jax", "flax")
    extra = "jax"
    built_on = ("writers", "flax", "numpy", "safe_open")
