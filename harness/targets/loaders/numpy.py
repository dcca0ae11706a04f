"""``safetensors.numpy``: load, load_file with both backends, save and save_file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.programs.frameworks import DTYPE_OF_WORD, FRAMEWORKS
from harness.targets.loaders.loader import Loader

#: The dtypes of numpy itself.
OWN = frozenset(DTYPE_OF_WORD[word] for word in (
    "bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64",
    "complex64",
))  # fmt: skip


class Numpy(Loader):
    """The loader and saver that need nothing but numpy."""

    name = "numpy"
    description = "safetensors.numpy: load, load_file (mmap, pread), save, save_file"
    like = FRAMEWORKS["numpy"]
    needs = ("numpy",)

    def holds(self, modules: Mapping[str, Any]) -> frozenset[str]:
        """Numpy has no dtypes for learning: ml_dtypes brings some of them, and nothing here imports that."""
        return OWN
