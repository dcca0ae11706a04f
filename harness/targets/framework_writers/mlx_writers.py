"""Saves of mlx: tensors as users hold them."""

from __future__ import annotations

from harness.programs.frameworks import FRAMEWORKS
from harness.targets.framework_writers.writer import Writer


class MlxWriters(Writer):
    """Programs of saves with ``safetensors.mlx``."""

    name = "mlx_writers"
    description = "safetensors.mlx: save and save_file of every layout and dtype, and load(_file) of it, by programs"
    like = FRAMEWORKS["mlx"]
    memory_mb = 2048
    needs = ("mlx",)
    extra = "mlx"
    built_on = ("writers", "mlx", "numpy", "safe_open")
