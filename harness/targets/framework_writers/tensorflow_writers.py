"""Saves of tensorflow: tensors as users hold them."""

from __future__ import annotations

from harness.programs.frameworks import FRAMEWORKS
from harness.targets.framework_writers.writer import Writer


class TensorflowWriters(Writer):
    """Programs of saves with ``safetensors.tensorflow``."""

    name = "tensorflow_writers"
    description = (
        "safetensors.tensorflow: save and save_file of every layout and dtype, and load(_file) of it, by programs"
    )
    like = FRAMEWORKS["tensorflow"]
    memory_mb = 4096
    needs = ("tensorflow",)
    extra = "tensorflow"
    start_s = 300.0
    built_on = ("writers", "tensorflow", "numpy", "safe_open")
