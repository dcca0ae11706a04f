"""``safetensors.torch``: load, load_file with both backends, save and save_file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.programs.frameworks import FRAMEWORKS
from harness.targets.loaders.loader import Loader


class Torch(Loader):
    """The loader and saver that most models go through."""

    name = "torch"
    description = "safetensors.torch: load, load_file (mmap, pread), save, save_file"
    memory_mb = 2048
    like = FRAMEWORKS["torch"]
    needs = ("torch",)

    def prepare(self, modules: Mapping[str, Any]) -> None:
        """One thread: tensors here are small, and workers many."""
        modules["torch"].set_num_threads(1)
