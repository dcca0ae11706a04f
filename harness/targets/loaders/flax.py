"""``safetensors.flax``: load, load_file with both backends, save and save_file, on arrays of jax."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from harness.programs.frameworks import DTYPE_OF_WORD, FRAMEWORKS
from harness.targets.base import UNCAUGHT
from harness.targets.loaders.loader import Loader


class Flax(Loader):
    """The loader and saver for jax. Jax holds no 64-bit numbers by default, and the target keeps that default, as users do."""

    name = "flax"
    description = "safetensors.flax: load, load_file (mmap, pread), save, save_file"
    memory_mb = 2048
    like = FRAMEWORKS["flax"]
    # Its load, save and save_file are those of safetensors.numpy, with a conversion.
    built_on = ("safe_open", "numpy")
    # It compiles for each shape that it meets and keeps what it compiled, and some shapes end the process.
    runs_in_fork_server = True
    # An uncaught exception of C++, or a compiler that hangs, is jax's: the parser is Rust, and compiles nothing.
    foreign = MappingProxyType({"jax": (UNCAUGHT, "hang")})
    # Its threads do not survive another fork.
    guarded_every = 0
    # Not with AddressSanitizer: the framework is not built with it, and takes minutes to load.
    flavours = ("sancov", "wheel")
    needs = ("jax", "flax")
    extra = "jax"

    def holds(self, modules: Mapping[str, Any]) -> frozenset[str]:
        """The dtypes that ``jax.numpy`` has a name for."""
        names = vars(modules["jax"].numpy)
        return frozenset(dtype for word, dtype in DTYPE_OF_WORD.items() if word in names)
