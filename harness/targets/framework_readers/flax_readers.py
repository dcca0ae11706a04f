"""Reads for jax: parts, wholes and values that are kept."""

from __future__ import annotations

from harness.programs.frameworks import FRAMEWORKS
from harness.targets.framework_readers.reader import Reader


class FlaxReaders(Reader):
    """Programs of reads with ``framework="flax"``."""

    name = "flax_readers"
    description = "safe_open and load(_file) for jax: parts, both backends, values kept and overwritten, by programs"
    like = FRAMEWORKS["flax"]
    # Jax keeps what it compiles for each shape. It does not compile in a forked child: its threads are gone there.
    memory_mb = 4096
    flavours = ("sancov", "wheel")
    needs = ("jax", "flax")
    extra = "jax"
    built_on = ("flax", "numpy", "slices", "quantized", "parallel", "safe_open")
