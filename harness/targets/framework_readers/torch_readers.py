"""Reads for torch: parts, wholes and values that are kept."""

from __future__ import annotations

import importlib

from harness.programs.frameworks import FRAMEWORKS
from harness.targets.framework_readers.reader import Reader


class TorchReaders(Reader):
    """Programs of reads with ``framework="pt"``."""

    name = "torch_readers"
    description = "safe_open and load(_file) for torch: parts, both backends, values kept and overwritten, by programs"
    like = FRAMEWORKS["torch"]
    memory_mb = 2048
    needs = ("torch",)
    extra = "torch"
    built_on = ("torch", "torch_quantized", "slices", "quantized", "parallel", "safe_open")

    def prepare(self) -> None:
        """One thread: tensors here are small, and workers many."""
        importlib.import_module("torch").set_num_threads(1)
