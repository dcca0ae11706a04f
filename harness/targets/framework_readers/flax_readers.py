"""Reads for jax: parts, wholes and values that are kept."""

from __future__ import annotations

from types import MappingProxyType

from harness.programs.frameworks import FRAMEWORKS
from harness.targets.base import UNCAUGHT
from harness.targets.framework_readers.reader import Reader


class FlaxReaders(Reader):
    """Programs of reads with ``framework="flax"``."""

    name = "flax_readers"
    description = "safe_open and load(_file) for jax: parts, both backends, values kept and overwritten, by programs"
    like = FRAMEWORKS["flax"]
    memory_mb = 2048
    # It compiles for each shape that it meets, and some shapes end the process.
    runs_in_fork_server = True
    foreign = MappingProxyType({"jax": (UNCAUGHT, "hang")})
    flavours = ("sancov", "wheel")
    needs = ("jax", "flax")
    extra = "jax"
    built_on = ("flax", "numpy", "slices", "quantized", "parallel", "safe_open")
