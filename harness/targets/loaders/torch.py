"""``safetensors.torch``: load, load_file with both backends, save and save_file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.targets.loaders.loader import Loader


class Torch(Loader):
    """The loader and saver that most models go through."""

    name = "torch"
    description = "safetensors.torch: load, load_file (mmap, pread), save, save_file"
    memory_mb = 2048
    framework = "pt"
    module = "safetensors.torch"
    needs = ("torch",)
    imports = ("torch",)
    kind = "torch.Tensor"
    raw = "tensor.reshape(-1).view(torch.uint8).numpy().tobytes()"

    def prepare(self, modules: Mapping[str, Any]) -> None:
        """One thread: tensors here are small, and workers many."""
        modules["torch"].set_num_threads(1)
