"""Reads for tensorflow: parts, wholes and values that are kept."""

from __future__ import annotations

from harness.programs.frameworks import FRAMEWORKS
from harness.targets.framework_readers.reader import Reader


class TensorflowReaders(Reader):
    """Programs of reads with ``framework="tf"``."""

    name = "tensorflow_readers"
    description = (
        "safe_open and load(_file) for tensorflow: parts, both backends, values kept and overwritten, by programs"
    )
    like = FRAMEWORKS["tensorflow"]
    memory_mb = 4096
    flavours = ("sancov", "wheel")
    needs = ("tensorflow",)
    extra = "tensorflow"
    start_s = 300.0
    built_on = ("tensorflow", "numpy", "slices", "quantized", "parallel", "safe_open")
