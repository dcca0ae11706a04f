"""Reads for mlx: parts, wholes and values that are kept."""

from __future__ import annotations

from harness.programs.frameworks import FRAMEWORKS
from harness.targets.framework_readers.reader import Reader


class MlxReaders(Reader):
    """Programs of reads with ``framework="mlx"``."""

    name = "mlx_readers"
    description = "safe_open and load(_file) for mlx: parts, both backends, values kept and overwritten, by programs"
    like = FRAMEWORKS["mlx"]
    memory_mb = 2048
    flavours = ("sancov", "wheel")
    needs = ("mlx",)
    extra = "mlx"
    built_on = ("mlx", "numpy", "slices", "quantized", "parallel", "safe_open")
